import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier } from "../../core/schema.ts";
import type { SqliteClient } from "./client.ts";
import type { SqliteValue } from "./protocol.ts";
import { declaredType } from "./type_map.ts";

/** Rows that are looked at where nothing else tells what a computed column holds. */
const SAMPLE_ROWS = 1000;
const PROBE_TABLE = "flow_type_probe";

/** Types that SQLite gives to the columns of a table made from a query. */
const STATIC_TYPES: Readonly<Record<string, string>> = {
  INT: "BIGINT",
  REAL: "DOUBLE",
  TEXT: "VARCHAR",
};

/**
 * The columns of a query with engine types. A table's column has the type that the table declares. SQLite knows none for a computed one: it is
 * that of an outermost `CAST(… AS INTEGER | REAL | TEXT)`, otherwise what the first {@link SAMPLE_ROWS} rows hold, and VARCHAR where that
 * is nothing, or mixed.
 */
export async function queryColumns(
  client: SqliteClient,
  query: string,
  params: readonly SqliteValue[],
): Promise<Column[]> {
  const columns = await client.call({ op: "columns", sql: query });
  if (columns.length === 0) throw givesNoColumns();
  const types = columns.map(({ declared }) =>
    declared === null ? undefined : namedType(declaredType(declared, false).engineType)
  );
  if (types.every((type) => type !== undefined)) return named(columns, types);
  const cast = await staticTypes(client, query, params);
  const known = types.map((type, at) => type ?? cast[at]);
  if (known.every((type) => type !== undefined)) return named(columns, known);
  const sampled = await sampledTypes(client, query, params, columns.length);
  return named(columns, known.map((type, at) => type ?? sampled[at]));
}

/** A query with its columns called `c0`, `c1` … as the table expression `flow_rows`. */
export function numberedColumns(query: string, count: number): string {
  const names = Array.from({ length: count }, (_, at) => `c${at}`);
  return `WITH flow_rows (${names.join(", ")}) AS (\n${bareQuery(query)}\n)`;
}

function givesNoColumns(): FlowError {
  return new FlowError("the query gives no columns", {
    code: "query_invalid",
    domain: "user",
    hint: "write a SELECT, or another statement that gives rows",
  });
}

function bareQuery(query: string): string {
  return query.replace(/[;\s]+$/, "");
}

function named(
  columns: readonly { readonly name: string }[],
  types: readonly (string | undefined)[],
): Column[] {
  return columns.map(({ name }, at) => ({ name, type: types[at] ?? "VARCHAR" }));
}

function namedType(type: string): string | undefined {
  return type === "ANY" ? undefined : type;
}

async function staticTypes(
  client: SqliteClient,
  query: string,
  params: readonly SqliteValue[],
): Promise<(string | undefined)[]> {
  const probe = `temp.${quoteIdentifier(PROBE_TABLE)}`;
  await client.run(`DROP TABLE IF EXISTS ${probe}`);
  await client.call({
    op: "change",
    sql: `CREATE TEMPORARY TABLE ${quoteIdentifier(PROBE_TABLE)} AS ` +
      `SELECT * FROM (\n${bareQuery(query)}\n) LIMIT 0`,
    params,
  });
  const rows = await client.call({
    op: "query",
    sql: "SELECT type FROM pragma_table_info(?, 'temp') ORDER BY cid",
    params: [PROBE_TABLE],
  });
  await client.run(`DROP TABLE ${probe}`);
  return rows.map((row) => STATIC_TYPES[String(row["type"])]);
}

async function sampledTypes(
  client: SqliteClient,
  query: string,
  params: readonly SqliteValue[],
  count: number,
): Promise<(string | undefined)[]> {
  const classes = Array.from(
    { length: count },
    (_, at) => `group_concat(DISTINCT nullif(typeof(c${at}), 'null')) AS t${at}`,
  );
  const [found] = await client.call({
    op: "query",
    sql: `${numberedColumns(query, count)} SELECT ${classes.join(", ")} ` +
      `FROM (SELECT * FROM flow_rows LIMIT ${SAMPLE_ROWS})`,
    params,
  });
  return Array.from({ length: count }, (_, at) => sampledType(found?.[`t${at}`]));
}

function sampledType(classes: SqliteValue | undefined): string | undefined {
  switch (String(classes ?? "").split(",").sort().join()) {
    case "integer":
      return "BIGINT";
    case "real":
    case "integer,real":
      return "DOUBLE";
    case "blob":
      return "BLOB";
    default:
      return undefined;
  }
}
