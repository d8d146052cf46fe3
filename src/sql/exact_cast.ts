import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { TypedExpression } from "../core/database.ts";

/** Bits without the sign of each integer type. */
const INTEGER_BITS: Readonly<Record<string, number>> = {
  TINYINT: 7,
  SMALLINT: 15,
  INTEGER: 31,
  BIGINT: 63,
  HUGEINT: 127,
  UTINYINT: 8,
  USMALLINT: 16,
  UINTEGER: 32,
  UBIGINT: 64,
  UHUGEINT: 128,
};

const TIMES = /^(DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/;
/** What a cast to the type may cut off. */
const NARROW_TIMES = /^(DATE|TIMESTAMP_S|TIMESTAMP_MS)$/;
const TYPE_NAMES: Readonly<Record<string, string>> = {
  TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
  TEXT: "VARCHAR",
  STRING: "VARCHAR",
  INT: "INTEGER",
  INT8: "BIGINT",
  INT4: "INTEGER",
  BOOL: "BOOLEAN",
  BYTEA: "BLOB",
  FLOAT8: "DOUBLE",
  FLOAT4: "FLOAT",
};

/** The engine's own spelling of a type: `TIMESTAMPTZ` is `TIMESTAMP WITH TIME ZONE`, `DECIMAL(18, 2)` is `DECIMAL(18,2)`. */
export function canonicalType(type: string): string {
  const text = type.trim();
  const upper = text.toUpperCase();
  const decimal = /^(?:DECIMAL|NUMERIC)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?$/.exec(upper);
  if (decimal !== null) {
    return decimal[1] === undefined ? "DECIMAL(18,3)" : `DECIMAL(${decimal[1]},${decimal[2] ?? 0})`;
  }
  if (/^VARCHAR\s*\(\s*\d+\s*\)$/.test(upper)) return "VARCHAR";
  // Names of struct fields and enum values keep their case.
  return /^[A-Z0-9_ ]+$/.test(upper) ? TYPE_NAMES[upper] ?? upper : text;
}

/**
 * The value as another type of the engine: nothing of it is lost, or the statement fails and names the value. DuckDB's own CAST rounds
 * 1.5 to 2 and cuts times off. Decimals and doubles into binary floating point are rounded to the nearest number, which is what such a type means;
 * text without a zone is taken as UTC; fractions below a microsecond are cut off; bytes and text are UTF-8 to each other, but `\x` with hex digits is
 * those bytes.
 *
 * @param column where the value comes from, for the message
 */
export function exactCast(expression: TypedExpression, to: string, column?: string): string {
  const source = canonicalType(expression.type);
  const target = canonicalType(to);
  const value = expression.sql;
  if (source === target) return value;
  const plain = `CAST(${value} AS ${target})`;
  if (isNull(source)) return plain;
  if (source === "BLOB" && (target === "VARCHAR" || target === "JSON")) {
    return target === "JSON" ? `CAST(decode(${value}) AS JSON)` : `decode(${value})`;
  }
  if (target === "JSON") return source === "VARCHAR" ? plain : `to_json(${value})`;
  if (target === "VARCHAR") return plain;
  if (source === "VARCHAR" || source === "JSON" || source.startsWith("ENUM(")) {
    return fromText(source === "VARCHAR" ? value : `CAST(${value} AS VARCHAR)`, target, column);
  }
  if (isFloat(source) && isDecimal(target)) {
    // By way of the shortest text: multiplying a double by a power of ten would bring in digits that it never had.
    const cast = `TRY_CAST(CAST(${value} AS VARCHAR) AS ${target})`;
    return reversible(value, source, cast, target, column);
  }
  return mayLose(source, target)
    ? reversible(value, source, `TRY_CAST(${value} AS ${target})`, target, column)
    : plain;
}

function mayLose(source: string, target: string): boolean {
  if (TIMES.test(source) && TIMES.test(target)) {
    return source !== "DATE" && (NARROW_TIMES.test(target) || source === "TIMESTAMP_NS");
  }
  const bits = INTEGER_BITS[source];
  if (bits !== undefined) {
    return isFloat(target) && bits > (target === "DOUBLE" ? 53 : 24);
  }
  const isNumber = isFloat(source) || isDecimal(source);
  if (!isNumber || isFloat(target)) return false;
  return INTEGER_BITS[target] !== undefined || isDecimal(target);
}

/** Fails unless the result, cast back, is the value again. */
function reversible(
  value: string,
  source: string,
  cast: string,
  target: string,
  column: string | undefined,
): string {
  const lossy = `TRY_CAST(${cast} AS ${source}) IS DISTINCT FROM ${value}`;
  return orFail(value, cast, target, lossy, column);
}

function orFail(
  value: string,
  cast: string,
  target: string,
  lossy: string,
  column: string | undefined,
): string {
  const of = column === undefined ? "" : ` of column ${quoteIdentifier(column)}`;
  const message = `${quoteLiteral("the value '")} || left(CAST(${value} AS VARCHAR), 80) || ` +
    quoteLiteral(`'${of} does not fit ${target}`);
  return `CASE WHEN ${value} IS NOT NULL AND (${lossy}) THEN error(${message}) ELSE ${cast} END`;
}

function fromText(text: string, target: string, column: string | undefined): string {
  const plain = `CAST(${text} AS ${target})`;
  const tried = `TRY_CAST(${text} AS ${target})`;
  if (INTEGER_BITS[target] !== undefined) {
    // `1.5` would be rounded.
    const isWhole = `regexp_full_match(${text}, '\\s*[+-]?[0-9]+([.]0*)?\\s*')`;
    return orFail(text, tried, target, `${tried} IS NULL OR NOT ${isWhole}`, column);
  }
  if (isDecimal(target)) {
    const lossy = `${tried} IS NULL OR ${losesDigits(text, tried, target)}`;
    return orFail(text, tried, target, lossy, column);
  }
  switch (target) {
    case "DATE":
      return orFail(
        text,
        tried,
        target,
        `${tried} IS NULL OR CAST(${tried} AS TIMESTAMP) IS DISTINCT FROM TRY_CAST(${text} AS TIMESTAMP)`,
        column,
      );
    case "TIMESTAMP":
      return `CAST(CAST(${text} AS TIMESTAMP WITH TIME ZONE) AS TIMESTAMP)`;
    case "BLOB":
      return `CASE WHEN regexp_full_match(${text}, '\\\\x([0-9a-fA-F]{2})*') ` +
        `THEN unhex(substr(${text}, 3)) ELSE encode(${text}) END`;
    default:
      return plain;
  }
}

/** Rounding a text to fewer decimals than it has is a loss; trailing zeros are not. */
function losesDigits(text: string, decimal: string, target: string): string {
  const scale = /,(\d+)\)/.exec(target)?.[1] ?? "0";
  const plain = `regexp_full_match(${text}, '\\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)\\s*')`;
  const exponent = `regexp_full_match(${text}, '(?i)\\s*[+-]?[0-9]+[.]?[0-9]*e[+-]?[0-9]+\\s*')`;
  const decimals = `length(regexp_extract(${text}, '[.]([0-9]*?)0*\\s*$', 1))`;
  return `CASE WHEN ${plain} THEN ${decimals} > ${scale} WHEN ${exponent} ` +
    `THEN TRY_CAST(${decimal} AS DOUBLE) IS DISTINCT FROM TRY_CAST(${text} AS DOUBLE) ELSE true END`;
}

function isFloat(type: string): boolean {
  return type === "DOUBLE" || type === "FLOAT";
}

function isDecimal(type: string): boolean {
  return type.startsWith("DECIMAL(");
}

function isNull(type: string): boolean {
  return type === "SQLNULL" || type === "NULL" || type === '"NULL"';
}
