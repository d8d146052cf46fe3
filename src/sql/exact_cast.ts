import type { TypedExpression } from "../core/database.ts";
import {
  canonicalType,
  decimalSize,
  hasCommonValues,
  integerRange,
  isFloatType,
  isMomentType,
  isNullType,
  isNumericType,
} from "../core/engine_type.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";

/** What a cast to the type may cut off. */
const NARROW_TIMES = /^(DATE|TIMESTAMP_S|TIMESTAMP_MS)$/;
/** Texts that may be a time of the day, without a day or a zone: a pattern of the engine. */
export const TIME_OF_DAY = "\\s*[0-9]{1,2}:[0-9:.]+\\s*";

/**
 * The value as another type of the engine: nothing of it is lost, or the statement fails and names the value. DuckDB's own CAST rounds
 * 1.5 to 2, makes true of it, and cuts times off. Types without a common value (`hasCommonValues`) take nothing but NULL from each other. Decimals and doubles into binary floating point are rounded to the nearest number, which is what such a type means;
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
  if (isNullType(source)) return plain;
  if (!hasCommonValues(source, target)) {
    return orFail(value, `CAST(NULL AS ${target})`, target, "true", column);
  }
  if (source === "BLOB" && (target === "VARCHAR" || target === "JSON")) {
    return target === "JSON" ? `CAST(decode(${value}) AS JSON)` : `decode(${value})`;
  }
  if (target === "JSON") return source === "VARCHAR" ? plain : `to_json(${value})`;
  if (target === "VARCHAR") return plain;
  if (source === "VARCHAR" || source === "JSON" || source.startsWith("ENUM(")) {
    return fromText(source === "VARCHAR" ? value : `CAST(${value} AS VARCHAR)`, target, column);
  }
  if (isFloatType(source) && decimalSize(target) !== undefined) {
    // By way of the shortest text: multiplying a double by a power of ten would bring in digits that it never had.
    const cast = `TRY_CAST(CAST(${value} AS VARCHAR) AS ${target})`;
    return reversible(value, source, cast, target, column);
  }
  return mayLose(source, target)
    ? reversible(value, source, `TRY_CAST(${value} AS ${target})`, target, column)
    : plain;
}

function mayLose(source: string, target: string): boolean {
  if (isMomentType(source) && isMomentType(target)) {
    return source !== "DATE" && (NARROW_TIMES.test(target) || source === "TIMESTAMP_NS");
  }
  // A zone, or nanoseconds.
  if (source.startsWith("TIME") && target === "TIME") return true;
  if (!isNumericType(source)) return false;
  if (isFloatType(target)) {
    return (integerRange(source)?.bits ?? 0) > (target === "DOUBLE" ? 53 : 24);
  }
  if (target === "BOOLEAN") return true;
  // The cast itself fails on integers that are too long for another type.
  return integerRange(source) === undefined && isNumericType(target);
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
  if (integerRange(target) !== undefined) {
    // `1.5` would be rounded.
    const isWhole = `regexp_full_match(${text}, '\\s*[+-]?[0-9]+([.]0*)?\\s*')`;
    return orFail(text, tried, target, `${tried} IS NULL OR NOT ${isWhole}`, column);
  }
  const decimal = decimalSize(target);
  if (decimal !== undefined) {
    const lossy = `${tried} IS NULL OR ${losesDigits(text, tried, decimal.scale)}`;
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
    case "TIME": {
      const isTime = `regexp_full_match(${text}, '${TIME_OF_DAY}')`;
      return orFail(text, tried, target, `${tried} IS NULL OR NOT ${isTime}`, column);
    }
    case "TIMESTAMP":
      return `CAST(CAST(${text} AS TIMESTAMP WITH TIME ZONE) AS TIMESTAMP)`;
    case "BLOB":
      return bytesOfText(text);
    default:
      return plain;
  }
}

/** The condition that a text has more decimals than the decimal that was made of it may have: rounding is a loss, trailing zeros are not. */
export function losesDigits(text: string, decimal: string, scale: number): string {
  const plain = `regexp_full_match(${text}, '\\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)\\s*')`;
  const exponent = `regexp_full_match(${text}, '(?i)\\s*[+-]?[0-9]+[.]?[0-9]*e[+-]?[0-9]+\\s*')`;
  const decimals = `length(regexp_extract(${text}, '[.]([0-9]*?)0*\\s*$', 1))`;
  return `CASE WHEN ${plain} THEN ${decimals} > ${scale} WHEN ${exponent} ` +
    `THEN TRY_CAST(${decimal} AS DOUBLE) IS DISTINCT FROM TRY_CAST(${text} AS DOUBLE) ELSE true END`;
}

/** Bytes written as `\x` and hex digits (the databases' own form) are those bytes; any other text is its UTF-8. */
export function bytesOfText(text: string): string {
  return `CASE WHEN regexp_full_match(${text}, '\\\\x([0-9a-fA-F]{2})*') ` +
    `THEN unhex(substr(${text}, 3)) ELSE encode(${text}) END`;
}
