import type { TableRef } from "../../core/connector.ts";
import type { Dialect, TypedExpression } from "../../core/database.ts";
import type { Column, TargetColumn } from "../../core/schema.ts";
import type { SqlValue } from "../../core/session.ts";
import { clockTime, monthAndDay, nearestFourDigitYear, utcTime } from "../../core/utc_time.ts";
import { lowestNumber, typeWithoutOrder } from "../../sql/dialect.ts";
import { canonicalType, decimalSize, integerRange } from "../../core/engine_type.ts";
import { keptType } from "../_sql/kept_type.ts";
import { exactCast, normalized } from "./dialect_cast.ts";
import { exactText, rowHash, withValue } from "./dialect_text.ts";
import { KEY_CHARACTERS, mysqlType } from "./type_map.ts";

/** What an index of 3072 bytes holds of text. */
const INDEX_CHARACTERS = 700;

/** Statements of MySQL and MariaDB that commit what is open; those on temporary tables do not. */
const COMMITTING = new RegExp(
  `^(${
    [
      "ALTER",
      String.raw`CREATE(?!\s+(OR\s+REPLACE\s+)?TEMPORARY\b)`,
      String.raw`DROP(?!\s+(TEMPORARY|PREPARE)\b)`,
      ...["RENAME", "TRUNCATE", "GRANT", "REVOKE", "INSTALL", "UNINSTALL", "FLUSH", "RESET"],
      ...["CHANGE", "START", "STOP", "PURGE"],
      String.raw`SET\s+PASSWORD`,
      String.raw`(UN)?LOCK\s+TABLES?`,
      String.raw`(CACHE|LOAD)\s+INDEX`,
      String.raw`(ANALYZE|CHECK|OPTIMIZE|REPAIR)\s+(LOCAL\s+|NO_WRITE_TO_BINLOG\s+)?TABLES?`,
    ].join("|")
  })\\b`,
  "i",
);

/**
 * The dialect of MariaDB 10.11 and later and of MySQL 8. Where the two differ, each skips the comment that is meant for the other one
 * (`/*M! … *\/`, `/*!80000 … *\/`), so that one text serves both.
 */
export const mysqlDialect: Dialect = {
  kind: "mysql",
  quote,
  foldName: (name) => name.toLowerCase(),
  tableName,
  placeholder: () => "?",
  columnType: mysqlType,
  keyTextLength: KEY_CHARACTERS,
  cast: exactCast,
  normalize: normalized,
  // The first part sees what the text of a FLOAT does not show, the second what a collation takes for equal.
  differs: (left, right) =>
    withValue(left, (a) => withValue(right, (b) => differing(a, b), "other")),
  comparable,
  rowHash,
  addSeconds: ({ sql, type }, seconds) => {
    const micros = `CAST(ROUND((${seconds}) * 1000000) AS SIGNED)`;
    const time = `(CAST(${sql} AS DATETIME(6)) + INTERVAL ${micros} MICROSECOND)`;
    return canonicalType(type) === "DATE" ? `CAST(${time} AS DATE)` : time;
  },
  timestampValue,
  typedParameter,
  lowestValue,
  updateFrom: ({ table, source, set, on }) =>
    `UPDATE ${table} AS t JOIN ${source} AS s ON ${on} SET ${
      Object.entries(set).map(([name, value]) => `t.${quote(name)} = ${value}`).join(", ")
    }`,
  deleteWhere: (table, condition) => `DELETE t FROM ${table} AS t WHERE ${condition}`,
  // TRUNCATE would commit.
  emptyTable: (table) => `DELETE FROM ${table}`,
  createStageAs: (name, query) => `CREATE TEMPORARY TABLE ${quote(name)} ${query}`,
  createStage,
  stageName: quote,
  // Without TEMPORARY it would commit, and might drop another table.
  dropStage: (name) => `DROP TEMPORARY TABLE IF EXISTS ${quote(name)}`,
  createSchema: (schema) => `CREATE DATABASE IF NOT EXISTS ${quote(schema)} CHARACTER SET utf8mb4`,
  addColumn: (table, name, columnType) =>
    `ALTER TABLE ${table} ADD COLUMN ${quote(name)} ${columnType} NULL`,
  widenColumn,
  keptType,
  hasSchemas: false,
  keepsAnyValue: false,
  transactionalDdl: false,
  commitsByItself: (statement) => COMMITTING.test(statement),
  savepoints: true,
  // What INSERT … SELECT and UPDATE read is not the transaction's snapshot but the newest state, and they lock it.
  stableReads: false,
};

function createStage(
  name: string,
  columns: readonly Column[],
  keys: readonly string[] = [],
): string {
  const parts = columns.map((column) => `${quote(column.name)} ${mysqlType(column.type)}`);
  const indexed = columns.filter((column) => keys.includes(column.name)).map((column) => {
    const unbounded = /^LONG(TEXT|BLOB)/.test(mysqlType(column.type));
    return unbounded
      ? `${quote(column.name)}(${Math.floor(INDEX_CHARACTERS / keys.length)})`
      : quote(column.name);
  });
  const isJson = columns.some(({ name, type }) =>
    keys.includes(name) && mysqlType(type) === "JSON"
  );
  if (indexed.length > 0 && indexed.length <= 16 && !isJson) {
    parts.push(`INDEX flow_keys (${indexed.join(", ")})`);
  }
  return `CREATE TEMPORARY TABLE ${quote(name)} (${parts.join(", ")})`;
}

/** MODIFY forgets what it is not told: collation, default, AUTO_INCREMENT, comment. */
function widenColumn(
  table: string,
  name: string,
  columnType: string,
  { nullable, restated }: Pick<TargetColumn, "nullable" | "restated"> = { nullable: true },
): string {
  // A column of a person keeps the collation that it has: unique keys and joins depend on it.
  const type = restated === undefined || restated.type === ""
    ? columnType
    : `${columnType.replace(/ CHARACTER SET .*$/, "")}${restated.type}`;
  const rest = restated?.column ?? "";
  const comment = / COMMENT '/.test(columnType) ? rest.replace(/ COMMENT '.*$/s, "") : rest;
  return `ALTER TABLE ${table} MODIFY COLUMN ${quote(name)} ${type}${
    nullable ? " NULL" : " NOT NULL"
  }${comment}`;
}

/**
 * The column of a table may be of another type of the same engine type than that of a stage: UUID and CHAR(36), BIT and a number, ENUM and a text,
 * DATETIME and DATETIME(6). `differs` compares texts, too, and theirs would differ.
 */
function comparable({ sql, type }: TypedExpression): string {
  const name = canonicalType(type);
  const size = decimalSize(name);
  if (size !== undefined) {
    // All 65 digits that there are: what the type needs before the point, and after it as many as are left, 30 at most.
    const left = 65 - (size.precision - size.scale);
    return `CAST(${sql} AS DECIMAL(65,${Math.max(size.scale, Math.min(30, left))}))`;
  }
  if (name.startsWith("TIMESTAMP")) return `CAST(${sql} AS DATETIME(6))`;
  switch (name) {
    case "VARCHAR":
    case "UUID":
      return `CONVERT(${sql} USING utf8mb4)`;
    case "BOOLEAN":
    case "UBIGINT":
      return `(${sql} + 0)`;
    case "FLOAT":
    case "DOUBLE":
      return `CAST(${sql} AS DOUBLE)`;
    case "TIME":
      return `CAST(${sql} AS TIME(6))`;
    default:
      return sql;
  }
}

function differing(a: string, b: string): string {
  return `(NOT (${a} <=> ${b}) OR NOT (CAST(${a} AS BINARY) <=> CAST(${b} AS BINARY)))`;
}

function quote(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

function tableName(ref: TableRef): string {
  return ref.schema === undefined ? quote(ref.name) : `${quote(ref.schema)}.${quote(ref.name)}`;
}

/** UTC as DATETIME(6) takes it: `2026-01-01 00:00:00.000001`. Years outside of 1 to 9999 do not exist there: the nearest time that does. */
function timestampValue(micros: bigint): string {
  const time = utcTime(nearestFourDigitYear(micros));
  const year = String(time.year).padStart(4, "0");
  return `${year}-${monthAndDay(time)} ${clockTime(time)}.${String(time.micro).padStart(6, "0")}`;
}

function typedParameter(placeholder: string, type: string): string {
  const target = canonicalType(type);
  const range = integerRange(target);
  // The server has no integers of more than 64 bits.
  if (range !== undefined && range.bits > 64) return `CAST(${placeholder} AS DECIMAL(38,0))`;
  if (range !== undefined) {
    return `CAST(${placeholder} AS ${range.signed ? "SIGNED" : "UNSIGNED"})`;
  }
  if (decimalSize(target) !== undefined) return `CAST(${placeholder} AS ${target})`;
  if (target.startsWith("TIMESTAMP")) return `CAST(${placeholder} AS DATETIME(6))`;
  switch (target) {
    case "BOOLEAN":
      return `CAST(${placeholder} AS SIGNED)`;
    case "FLOAT":
    case "DOUBLE":
      return `CAST(${placeholder} AS DOUBLE)`;
    case "DATE":
      return `CAST(${placeholder} AS DATE)`;
    case "TIME":
      return `CAST(${placeholder} AS TIME(6))`;
    case "BLOB":
      return `CAST(${placeholder} AS BINARY)`;
    default:
      return exactText(placeholder);
  }
}

const LOWEST: Readonly<Record<string, SqlValue>> = {
  BOOLEAN: 0n,
  HUGEINT: `-${"9".repeat(38)}`,
  FLOAT: -Number.MAX_VALUE,
  DOUBLE: -Number.MAX_VALUE,
  DATE: "0001-01-01",
  TIMESTAMP: "0001-01-01 00:00:00",
  TIMESTAMP_S: "0001-01-01 00:00:00",
  TIMESTAMP_MS: "0001-01-01 00:00:00",
  TIMESTAMP_NS: "0001-01-01 00:00:00",
  "TIMESTAMP WITH TIME ZONE": "0001-01-01 00:00:00",
  TIME: "-838:59:59",
  UUID: "00000000-0000-0000-0000-000000000000",
  VARCHAR: "",
  BLOB: new Uint8Array(0),
};

function lowestValue(type: string): SqlValue {
  const target = canonicalType(type);
  const lowest = LOWEST[target] ?? lowestNumber(target);
  if (lowest === undefined) throw typeWithoutOrder(type);
  return lowest;
}
