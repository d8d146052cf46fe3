import type { TableRef } from "../core/connector.ts";
import type { Dialect, TypedExpression } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { SqlValue } from "../core/session.ts";
import type { Normalizer } from "../core/table_spec.ts";
import { clockTime, monthAndDay, utcTime } from "../core/utc_time.ts";
import { sharedStatements } from "./dialect_statements.ts";
import { canonicalType, decimalSize, integerRange } from "../core/engine_type.ts";
import { exactCast } from "./exact_cast.ts";

/** White space that the normalizer `trim` takes away. */
const WHITE_SPACE = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)";

/**
 * DuckDB's dialect: for DuckDB files, where the connection uses the attached file so that names need no database before them, and for
 * the engine itself.
 */
export const duckdbDialect: Dialect = {
  kind: "duckdb",
  quote: quoteIdentifier,
  tableName,
  placeholder: (index) => `$${index}`,
  columnType,
  ...sharedStatements(columnType),
  cast: exactCast,
  normalize,
  differs: (left, right) => `(${left} IS DISTINCT FROM ${right})`,
  rowHash,
  addSeconds: (expression, seconds) =>
    `CAST(${expression.sql} + to_microseconds(CAST(round(CAST(${seconds} AS DOUBLE) * 1000000) AS BIGINT)) ` +
    `AS ${expression.type})`,
  timestampValue: timestampText,
  typedParameter: (placeholder, type) => `CAST(${placeholder} AS ${canonicalType(type)})`,
  lowestValue,
  createSchema: (schema) =>
    schema.toLowerCase() === "main"
      ? undefined
      : `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`,
  // DuckDB refuses it for a column of a key or an index, and for every column of a table with an index.
  widenColumn: (table, name, columnType) =>
    `ALTER TABLE ${table} ALTER COLUMN ${quoteIdentifier(name)} SET DATA TYPE ${columnType}`,
  keptType: (type) => type,
  hasSchemas: true,
  keepsAnyValue: false,
  transactionalDdl: true,
  savepoints: false,
  stableReads: true,
};

function columnType(type: string): string {
  return /^(SQLNULL|"?NULL"?)$/.test(type) ? "VARCHAR" : canonicalType(type);
}

function tableName(ref: TableRef): string {
  const name = quoteIdentifier(ref.name);
  return ref.schema === undefined ? name : `${quoteIdentifier(ref.schema)}.${name}`;
}

function normalize(expression: TypedExpression, normalizer: Normalizer, type: string): string {
  const { sql } = expression;
  switch (normalizer) {
    case "lower":
    case "upper":
      return `${normalizer}(${sql})`;
    case "trim":
      return `trim(${sql}, ${WHITE_SPACE})`;
    case "empty_to_null":
      return `nullif(${sql}, '')`;
    case "parse_timestamp": {
      const time = `CAST(${sql} AS TIMESTAMP WITH TIME ZONE)`;
      return exactCast({ sql: time, type: "TIMESTAMP WITH TIME ZONE" }, type);
    }
  }
}

function rowHash(values: readonly TypedExpression[]): string {
  const parts = values.map(({ sql, type }) => {
    const text = canonicalType(type) === "VARCHAR" ? sql : `CAST(${sql} AS VARCHAR)`;
    return `coalesce(strlen(${text}) || ':' || ${text}, 'N')`;
  });
  return `unhex(sha256(${parts.length === 0 ? "''" : parts.join(" || ")}))`;
}

/**
 * The time as DuckDB writes it, in UTC: `2026-01-01 00:00:00.000001+00`.
 *
 * @param micros microseconds since the epoch
 */
export function timestampText(micros: bigint): string {
  const time = utcTime(micros);
  const { year, micro } = time;
  // There is no year 0: the one before 1 is 1 BC.
  const day = `${String(year > 0 ? year : 1 - year).padStart(4, "0")}-${monthAndDay(time)}`;
  const digits = micro === 0 ? "" : `.${String(micro).padStart(6, "0")}`;
  return `${day}${year > 0 ? "" : " (BC)"} ${clockTime(time)}${digits}+00`;
}

const LOWEST: Readonly<Record<string, SqlValue>> = {
  BOOLEAN: false,
  FLOAT: "-infinity",
  DOUBLE: "-infinity",
  DATE: "-infinity",
  TIMESTAMP: "-infinity",
  TIMESTAMP_S: "-infinity",
  TIMESTAMP_MS: "-infinity",
  TIMESTAMP_NS: "-infinity",
  "TIMESTAMP WITH TIME ZONE": "-infinity",
  TIME: "00:00:00",
  UUID: "00000000-0000-0000-0000-000000000000",
  VARCHAR: "",
  BLOB: new Uint8Array(0),
};

function lowestValue(type: string): SqlValue {
  const canonical = canonicalType(type);
  const lowest = LOWEST[canonical] ?? lowestNumber(canonical);
  if (lowest === undefined) throw typeWithoutOrder(type);
  return lowest;
}

/** The lowest value of an integer or decimal type; one that a parameter of 64 bits cannot be is text. */
export function lowestNumber(type: string): SqlValue | undefined {
  const least = integerRange(type)?.least;
  if (least !== undefined) return least < BIGINT_LEAST ? String(least) : least;
  const size = decimalSize(type);
  if (size === undefined) return undefined;
  const whole = "9".repeat(size.precision - size.scale) || "0";
  return size.scale === 0 ? `-${whole}` : `-${whole}.${"9".repeat(size.scale)}`;
}

const BIGINT_LEAST = -(2n ** 63n);

/** The error of `lowestValue` for types whose values have no order that a watermark could follow. */
export function typeWithoutOrder(type: string): FlowError {
  return new FlowError(`a column of type ${type} cannot be a watermark`, {
    code: "watermark_type_unordered",
    domain: "user",
    hint: `choose a column of numbers, times, text or UUIDs, or cast ${quoteLiteral(type)} to one`,
    details: { type },
  });
}
