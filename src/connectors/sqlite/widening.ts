import { quoteIdentifier } from "../../core/schema.ts";
import { parseType } from "../../formats/type_text.ts";
import { markedCast, type Widener, type Widening } from "../_sql/widening.ts";
import type { SqliteClient } from "./client.ts";
import { qualifiedName, redeclared, type SqliteColumn, type SqliteTable } from "./table.ts";
import { declarationOf, declaredType } from "./type_map.ts";

/** A double holds every integer up to here. */
const MAX_EXACT = "9007199254740992";

/** What a declaration begins with, in any of the ways in which SQLite quotes names. */
const DECLARED_NAME = /^CREATE TABLE\s+("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[^\s("`[]+)/i;

/** How values of a column become values of another type. */
interface Conversion {
  readonly expr: string;
  /** Holds for values that stay what they are; absent when all do. */
  readonly exact?: string;
}

/** What an SQLite table can do about its columns' types, within the connection's open transaction. */
export function sqliteWidener(
  client: SqliteClient,
  name: string,
  table: SqliteTable,
): Widener<SqliteColumn> {
  return {
    stored: (type) => declaredType(declarationOf(type, table.strict), table.strict).engineType,
    cast(column, to) {
      // A strict table has no booleans: flow itself declares INTEGER for them there.
      const isOwn = table.strict && column.type === "BOOLEAN" && to === "BIGINT";
      const expr = quoteIdentifier(column.name);
      return Promise.resolve(isOwn ? { expr } : markedCast(column, to));
    },
    async holds(target, type) {
      if (await isReferenced(client, name)) return false;
      const conversion = conversionOf(target, type);
      if (conversion?.exact === undefined) return conversion !== undefined;
      const rows = await client.call({
        op: "query",
        sql: `SELECT 1 FROM ${qualifiedName(name)} WHERE NOT (${conversion.exact}) LIMIT 1`,
        params: [],
      });
      return rows.length === 0;
    },
  };
}

/**
 * Gives the columns their new types. SQLite cannot change a declared type, and a column of the old type would change what is put into it
 * (`007` into 7): so the table is made anew under its declaration, with the indexes and triggers that it had, and the rows
 * with their rowids are copied.
 */
export async function widenColumns(
  client: SqliteClient,
  name: string,
  table: SqliteTable,
  widenings: readonly Widening<SqliteColumn>[],
): Promise<void> {
  const dependents = await client.call({
    op: "query",
    sql: "SELECT sql FROM main.sqlite_schema WHERE lower(tbl_name) = lower(?) " +
      "AND type IN ('index', 'trigger') AND sql IS NOT NULL",
    params: [name],
  });
  let sql = table.sql;
  for (const { target, type } of widenings) {
    sql = redeclared(sql, target, declarationOf(type, table.strict));
  }
  const fresh = `_flow_${name}`;
  const columns = table.columns.filter((column) => !column.generated);
  const names = columns.map((column) => quoteIdentifier(column.name));
  const values = columns.map((column) => {
    const widening = widenings.find(({ target }) => target.name === column.name);
    const kept = quoteIdentifier(column.name);
    return widening === undefined ? kept : conversionOf(column, widening.type)?.expr ?? kept;
  });
  if (!table.withoutRowId && !names.some((column) => /^"_?(rowid_?|oid)"$/i.test(column))) {
    names.push("rowid");
    values.push("rowid");
  }
  const body = sql.replace(DECLARED_NAME, "");
  await client.run(`CREATE TABLE ${qualifiedName(fresh)} ${body}`);
  await client.run(
    `INSERT INTO ${qualifiedName(fresh)} (${names.join(", ")}) ` +
      `SELECT ${values.join(", ")} FROM ${qualifiedName(name)}`,
  );
  await client.run(`DROP TABLE ${qualifiedName(name)}`);
  // Views that name the table are to go on naming it, and not to be looked at while it is away.
  await client.run("PRAGMA legacy_alter_table = ON");
  try {
    await client.run(`ALTER TABLE ${qualifiedName(fresh)} RENAME TO ${quoteIdentifier(name)}`);
  } finally {
    await client.run("PRAGMA legacy_alter_table = OFF");
  }
  for (const dependent of dependents) await client.run(String(dependent["sql"]));
}

/** A table that foreign keys lead to cannot be made anew: dropping it would take its rows for deleted. */
async function isReferenced(client: SqliteClient, name: string): Promise<boolean> {
  const rows = await client.call({
    op: "query",
    sql: "SELECT 1 FROM main.sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f " +
      `WHERE s.type = 'table' AND lower(f."table") = lower(?) LIMIT 1`,
    params: [name],
  });
  return rows.length > 0;
}

/** `undefined` where there is no way that keeps the values. Times are ISO-8601 texts already, wide numbers their digits. */
function conversionOf(target: SqliteColumn, to: string): Conversion | undefined {
  const name = quoteIdentifier(target.name);
  const from = parseType(target.type);
  const type = parseType(to);
  const asText = `CAST(${name} AS TEXT)`;
  if (to === "DOUBLE") {
    if (target.type !== "BIGINT") return undefined;
    return {
      expr: `CAST(${name} AS REAL)`,
      exact: `${name} IS NULL OR abs(${name}) <= ${MAX_EXACT}`,
    };
  }
  if (type.kind === "decimal") {
    if (target.type === "DOUBLE") return undefined;
    const digits = type.precision - type.scale;
    const whole = `ltrim(substr(${asText}, 1, instr(${asText} || '.', '.') - 1), '-')`;
    const exact = `${name} IS NULL OR length(${whole}) <= ${digits}`;
    return { expr: from.kind === "decimal" ? name : asText, exact };
  }
  if (to.startsWith("TIMESTAMP") && target.type === "DATE") {
    const zone = to === "TIMESTAMP WITH TIME ZONE" ? ".000000Z" : "";
    return { expr: `${name} || 'T00:00:00${zone}'` };
  }
  if (to.startsWith("TIMESTAMP")) return { expr: name };
  if (target.type === "BOOLEAN") {
    return { expr: `CASE ${name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE ${asText} END` };
  }
  return { expr: asText, ...(target.type === "DOUBLE" ? { exact: sameNumber(name, asText) } : {}) };
}

/** Older versions of SQLite write doubles with 15 digits. */
function sameNumber(name: string, text: string): string {
  return `${name} IS NULL OR CAST(${text} AS REAL) = ${name}`;
}
