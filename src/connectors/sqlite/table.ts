import { type Column, quoteIdentifier } from "../../core/schema.ts";
import { MADE_BY_FLOW, type MarkedColumn } from "../_sql/widening.ts";
import type { SqliteClient } from "./client.ts";
import type { SqliteValue } from "./protocol.ts";
import { type Affinity, declarationOf, declaredType } from "./type_map.ts";

/** A column of an SQLite table. */
export interface SqliteColumn extends MarkedColumn {
  /** The declared type, as it stands in the table's declaration. */
  readonly declared: string;
  readonly affinity: Affinity;
  /** A generated column takes no values. */
  readonly generated: boolean;
}

/** A table as it is now. */
export interface SqliteTable {
  readonly columns: readonly SqliteColumn[];
  readonly primaryKey: readonly string[];
  /** Column sets that a unique index without condition keeps unique, the primary key's included. */
  readonly uniqueKeys: readonly (readonly string[])[];
  readonly strict: boolean;
  /** The table's declaration. */
  readonly sql: string;
  readonly withoutRowId: boolean;
}

/** The table's name as SQL takes it. */
export function qualifiedName(name: string): string {
  return `main.${quoteIdentifier(name)}`;
}

/** Reads the table's definition; `undefined` when there is no such table. */
export async function readTable(
  client: SqliteClient,
  name: string,
): Promise<SqliteTable | undefined> {
  const query = (sql: string, ...params: SqliteValue[]) =>
    client.call({ op: "query", sql, params });
  const [table] = await query(
    "SELECT name, strict, wr FROM pragma_table_list WHERE schema = 'main' AND lower(name) = lower(?)",
    name,
  );
  if (table === undefined) return undefined;
  const strict = table["strict"] === 1n;
  const [schema] = await query(
    "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)",
    name,
  );
  const sql = String(schema?.["sql"] ?? "");
  const columns = await query(
    `SELECT name, type, "notnull" AS not_null, dflt_value IS NOT NULL AS has_default, pk, hidden ` +
      "FROM pragma_table_xinfo(?) ORDER BY cid",
    name,
  );
  const primaryKey = columns.filter((column) => column["pk"] !== 0n)
    .sort((a, b) => Number(a["pk"]) - Number(b["pk"]))
    .map((column) => String(column["name"]));
  const isRowId = (column: Readonly<Record<string, SqliteValue>>) =>
    primaryKey.length === 1 && column["pk"] === 1n && table["wr"] === 0n &&
    String(column["type"]).toUpperCase() === "INTEGER";
  const indexes = await query(
    `SELECT l.name AS "index", x.name AS name FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x ` +
      `WHERE l."unique" = 1 AND l.partial = 0 AND x.key = 1 ORDER BY l.seq, x.seqno`,
    name,
  );
  const uniqueKeys = [...Map.groupBy(indexes, (row) => row["index"]).values()]
    // A key over an expression has no name for it.
    .filter((rows) => rows.every((row) => row["name"] !== null))
    .map((rows) => rows.map((row) => String(row["name"])));
  return {
    columns: columns.map((column) => ({
      name: String(column["name"]),
      nativeType: `${column["type"]}` || "no type",
      nullable: column["not_null"] === 0n && !(column["pk"] !== 0n && table["wr"] === 1n),
      hasDefault: column["has_default"] === 1n || column["hidden"] !== 0n || isRowId(column),
      generated: column["hidden"] !== 0n,
      declared: String(column["type"]),
      widens: markedDeclaration(sql, String(column["name"]), String(column["type"])) !== undefined,
      ...targetType(String(column["type"]), strict),
    })),
    primaryKey,
    uniqueKeys: columns.some(isRowId) ? [primaryKey, ...uniqueKeys] : uniqueKeys,
    strict,
    sql,
    withoutRowId: table["wr"] === 1n,
  };
}

/** A column's declaration with flow's mark, as {@link createStatement} and {@link addColumnStatement} write it. */
function declaration(name: string, type: string, notNull: boolean): string {
  return `${quoteIdentifier(name)} ${type}${notNull ? " NOT NULL" : ""} ${MARK}`;
}

const MARK = `/* ${MADE_BY_FLOW} */`;

/** Where in a table's declaration a column stands that flow made, and may give another type; `undefined` when it did not. */
export function markedDeclaration(
  sql: string,
  column: string,
  type: string,
): { readonly from: number; readonly to: number } | undefined {
  for (const before of ["(", ", "]) {
    const text = before + declaration(column, type, false);
    const at = sql.indexOf(text);
    if (at >= 0) return { from: at + before.length, to: at + text.length };
  }
  return undefined;
}

/** The table's declaration with another type for a marked column. */
export function redeclared(sql: string, column: SqliteColumn, type: string): string {
  const place = markedDeclaration(sql, column.name, column.declared);
  if (place === undefined) return sql;
  return sql.slice(0, place.from) + declaration(column.name, type, false) + sql.slice(place.to);
}

function targetType(declaration: string, strict: boolean) {
  const { affinity, engineType } = declaredType(declaration, strict);
  return { affinity, type: engineType, ...(engineType === "JSON" ? { json: true } : {}) };
}

/** The statement that makes a table for a batch's columns, with `keys` as its primary key. */
export function createStatement(
  name: string,
  columns: readonly Column[],
  keys: readonly string[],
): string {
  const declared = columns.map((column) =>
    // A primary key of SQLite takes NULL unless told otherwise.
    declaration(column.name, declarationOf(column.type, false), keys.includes(column.name))
  );
  const key = keys.length === 0 ? [] : [`PRIMARY KEY (${keys.map(quoteIdentifier).join(", ")})`];
  return `CREATE TABLE ${qualifiedName(name)} (${[...declared, ...key].join(", ")})`;
}

/** The statement that adds a column in mid-stream. */
export function addColumnStatement(name: string, column: Column, strict: boolean): string {
  return `ALTER TABLE ${qualifiedName(name)} ADD COLUMN ${
    declaration(column.name, declarationOf(column.type, strict), false)
  }`;
}
