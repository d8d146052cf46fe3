import type { TypedExpression } from "../../core/database.ts";
import type { Normalizer } from "../../core/table_spec.ts";
import {
  canonicalType,
  type DecimalSize,
  decimalSize,
  hasCommonValues,
  type IntegerRange,
  integerRange,
  isFloatType,
  isNumericType,
} from "../../core/engine_type.ts";
import { engineText, exactText, withValue } from "./dialect_text.ts";

const WHITE_SPACE = "[ \\\\t\\\\n\\\\r\\\\f\\\\x0B]";
const WHOLE = "'^[ \\\\t\\\\n\\\\r]*[-+]?[0-9]+([.]0*)?[ \\\\t\\\\n\\\\r]*$'";
const DECIMAL =
  "'^[ \\\\t\\\\n\\\\r]*[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[-+]?[0-9]+)?[ \\\\t\\\\n\\\\r]*$'";
const DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const TIME = "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?";
const ZONE = " ?(z|[-+][0-9]{2}(:?[0-9]{2})?)";

/**
 * The value, where the condition does not hold; otherwise the statement fails. A plain SELECT only warns of values that it cannot cast, and
 * what fails in every statement is arithmetic: the sum overflows by the condition's 1. The type is in the text for `mysql_error.ts`.
 */
export function guarded(bad: string, type: string, value: string): string {
  const label = `CHAR_LENGTH('flow: ${type.replaceAll("'", "")}') = 0`;
  return `IF(18446744073709551615 + (${label} OR COALESCE(${bad}, 0)) > 0, ${value}, NULL)`;
}

/**
 * The value as the engine type: nothing is lost, or the statement fails. Fractions below a microsecond are cut off, and decimals
 * into binary floating point are rounded to the nearest number, which is what such a type means.
 */
export function exactCast(expression: TypedExpression, to: string): string {
  const source = canonicalType(expression.type);
  const target = canonicalType(to);
  if (source === target && target !== "VARCHAR") return expression.sql;
  return withValue(expression.sql, (sql) => castValue(sql, source, target));
}

function castValue(sql: string, source: string, target: string): string {
  if (target === "VARCHAR") {
    return source === "BLOB" ? blobToText(sql) : engineText({ sql, type: source });
  }
  if (!hasCommonValues(source, target)) return guarded(`${sql} IS NOT NULL`, target, "NULL");
  const text = source === "VARCHAR" || source === "JSON" || source.startsWith("ENUM(");
  const decimal = decimalOf(target);
  const integer = decimal === undefined ? integerRange(target) : undefined;
  if (integer !== undefined) return toInteger(sql, text, source, target, integer);
  if (decimal !== undefined) return toDecimal(sql, text, source, target, decimal);
  switch (target) {
    case "BOOLEAN":
      return text
        ? textToBoolean(sql)
        : guarded(`${sql} NOT IN (0, 1)`, target, `CAST(${sql} AS SIGNED)`);
    case "FLOAT":
    case "DOUBLE":
      return toDouble(sql, text, source, target);
    case "DATE":
      if (text) return textToTime(sql, target, "DATE");
      return guarded(
        `CAST(${sql} AS DATETIME(6)) <> CAST(${sql} AS DATE)`,
        target,
        `CAST(${sql} AS DATE)`,
      );
    case "TIMESTAMP":
    case "TIMESTAMP_S":
    case "TIMESTAMP_MS":
    case "TIMESTAMP_NS":
    case "TIMESTAMP WITH TIME ZONE":
      return text ? textToTime(sql, target, "DATETIME(6)") : `CAST(${sql} AS DATETIME(6))`;
    case "TIME":
      return text
        ? guarded(
          `NOT ${matches(sql, `'^ *${TIME} *$'`)}`,
          target,
          `CAST(${withSixDecimals(sql)} AS TIME(6))`,
        )
        : `CAST(${sql} AS TIME(6))`;
    case "UUID":
      return uuid(sql);
    case "JSON":
      return toJson(sql, source);
    case "BLOB":
      return source === "VARCHAR" ? textToBlob(sql) : `CAST(${sql} AS BINARY)`;
    default:
      return engineText({ sql, type: source });
  }
}

function matches(sql: string, pattern: string): string {
  return `(CONVERT(${sql} USING utf8mb4) COLLATE utf8mb4_general_ci REGEXP ${pattern})`;
}

/** The types that are decimals in MySQL. */
function decimalOf(type: string): DecimalSize | undefined {
  return /^U?HUGEINT$/.test(type) ? { precision: 38, scale: 0 } : decimalSize(type);
}

/** A number of any type as an exact one; what is above 35 digits or below 30 decimals no integer or decimal column holds. */
const WIDE = "DECIMAL(65,30)";

function toInteger(
  sql: string,
  text: boolean,
  source: string,
  target: string,
  { least, greatest, signed }: IntegerRange,
): string {
  const type = signed ? "SIGNED" : "UNSIGNED";
  const value = `CAST(${sql} AS ${type})`;
  if (source === "BOOLEAN") return value;
  if (text) {
    const number = `CAST(${sql} AS DECIMAL(65,0))`;
    return guarded(
      `NOT ${matches(sql, WHOLE)} OR ${number} NOT BETWEEN ${least} AND ${greatest}`,
      target,
      `CAST(${number} AS ${type})`,
    );
  }
  const whole = integerRange(source) === undefined ? ` OR ${sql} <> ROUND(${sql})` : "";
  return guarded(`${sql} NOT BETWEEN ${least} AND ${greatest}${whole}`, target, value);
}

function toDecimal(
  sql: string,
  text: boolean,
  source: string,
  target: string,
  { precision, scale }: DecimalSize,
): string {
  const type = `DECIMAL(${precision},${scale})`;
  const value = `CAST(${sql} AS ${type})`;
  if (text) {
    return guarded(
      `NOT ${matches(sql, DECIMAL)} OR CAST(${sql} AS ${WIDE}) <> ${value}`,
      target,
      value,
    );
  }
  if (isFloatType(source)) return guarded(`CAST(${value} AS DOUBLE) <> ${sql}`, target, value);
  return guarded(`${value} <> ${sql}`, target, value);
}

function toDouble(sql: string, text: boolean, source: string, target: string): string {
  const value = `CAST(${sql} AS ${target})`;
  if (text) return guarded(`NOT ${matches(sql, DECIMAL)}`, target, value);
  if (integerRange(source) === undefined) return value;
  return guarded(`CAST(${value} AS DECIMAL(65,0)) <> ${sql}`, target, value);
}

function textToBoolean(sql: string): string {
  return guarded(
    `NOT ${matches(sql, "'^ *(true|false|t|f|yes|no|y|n|1|0) *$'")}`,
    "BOOLEAN",
    `CASE WHEN ${sql} IS NULL THEN NULL ELSE ${matches(sql, "'^ *(t|y|1)'")} END`,
  );
}

/** ISO 8601 with or without time and zone, taken to UTC; text without a zone is UTC. */
function textToTime(sql: string, target: string, type: "DATE" | "DATETIME(6)"): string {
  const text = `CONVERT(TRIM(${sql}) USING utf8mb4)`;
  const pattern = type === "DATE"
    ? `'^ *${DATE}([T ]00:00(:00([.]0+)?)?${ZONE.replace(" ?", " ?")}?)? *$'`
    : `'^ *${DATE}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(${ZONE})?)? *$'`;
  const local = withSixDecimals(
    `REPLACE(REPLACE(LEFT(${text}, ` +
      `CHAR_LENGTH(${text}) - CHAR_LENGTH(${zoneOf(text)})), 'T', ' '), 't', ' ')`,
  );
  const zone = `REPLACE(REPLACE(${zoneOf(text)}, ':', ''), ' ', '')`;
  const minutes =
    `(IF(LEFT(${zone}, 1) = '-', -1, 1) * (CAST(SUBSTRING(CONCAT(${zone}, '00000'), 2, 2) AS SIGNED) * 60 + ` +
    `CAST(SUBSTRING(CONCAT(${zone}, '00000'), 4, 2) AS SIGNED)))`;
  const time = `CAST(${local} AS DATETIME(6))`;
  const value = type === "DATE"
    ? `CAST(LEFT(${text}, 10) AS DATE)`
    : `(${time} - INTERVAL ${minutes} MINUTE)`;
  const none = type === "DATE" ? value : time;
  return guarded(
    `${sql} IS NOT NULL AND (NOT ${matches(sql, pattern)} OR ${none} IS NULL)`,
    target,
    value,
  );
}

/** The server would round what is behind them. */
function withSixDecimals(text: string): string {
  return `REGEXP_REPLACE(${text}, '([.][0-9]{6})[0-9]+', '\\\\1')`;
}

/** The zone at the end of an ISO time, `` where it has none. */
function zoneOf(text: string): string {
  const behindDate = `SUBSTRING(${text}, 11)`;
  return `IF(RIGHT(${text}, 1) IN ('Z', 'z'), 'Z', ` +
    `COALESCE(REGEXP_SUBSTR(${behindDate}, ' ?[-+][0-9]{2}(:?[0-9]{2})?$'), ''))`;
}

function uuid(sql: string): string {
  const text = `LOWER(CAST(${sql} AS CHAR))`;
  const pattern = "'^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'";
  return guarded(`NOT ${matches(sql, pattern)}`, "UUID", exactText(text));
}

/** MariaDB keeps JSON as text and has no cast into it. */
function asJson(text: string): string {
  return `CAST(${text} AS /*!80000 JSON */ /*M! CHAR */)`;
}

function toJson(sql: string, source: string): string {
  if (source === "VARCHAR" || source.startsWith("ENUM(")) {
    return guarded(`NOT JSON_VALID(${sql})`, "JSON", asJson(sql));
  }
  const isPlain = isNumericType(source) || source === "BOOLEAN";
  const text = engineText({ sql, type: source });
  return asJson(isPlain ? text : `JSON_QUOTE(${text})`);
}

/** Bytes as the UTF-8 that they are. */
function blobToText(sql: string): string {
  const text = exactText(sql);
  return guarded(`NOT (CAST(${text} AS BINARY) <=> CAST(${sql} AS BINARY))`, "VARCHAR", text);
}

/** `\x` with hex digits is those bytes, any other text its UTF-8. */
function textToBlob(sql: string): string {
  const text = `CONVERT(${sql} USING utf8mb4)`;
  const isHex = `(${text} REGEXP '^[\\\\\\\\]x([0-9a-fA-F]{2})*$')`;
  return `IF(${isHex}, UNHEX(SUBSTRING(${text}, 3)), CAST(${text} AS BINARY))`;
}

/** The normalizers, on text; what they give compares exactly. */
export function normalized(
  expression: TypedExpression,
  normalizer: Normalizer,
  type: string,
): string {
  const { sql } = expression;
  switch (normalizer) {
    case "lower":
    case "upper":
      // The exact collation knows no letters beyond the first plane.
      return exactText(
        `${normalizer.toUpperCase()}(CONVERT(${sql} USING utf8mb4) COLLATE utf8mb4_unicode_520_ci)`,
      );
    case "trim":
      return exactText(
        `REGEXP_REPLACE(CONVERT(${sql} USING utf8mb4), '^${WHITE_SPACE}+|${WHITE_SPACE}+$', '')`,
      );
    case "empty_to_null":
      return `NULLIF(${exactText(sql)}, '')`;
    case "parse_timestamp": {
      const time = exactCast(expression, "TIMESTAMP WITH TIME ZONE");
      const target = canonicalType(type);
      return /^TIMESTAMP/.test(target)
        ? time
        : exactCast({ sql: time, type: "TIMESTAMP WITH TIME ZONE" }, type);
    }
  }
}
