import type { TypedExpression } from "../../core/database.ts";
import { canonicalType } from "../../core/engine_type.ts";
import { EXACT_COLLATION } from "./type_map.ts";

/** Text as utf8mb4 that compares by code points. */
export function exactText(sql: string): string {
  return `CONVERT(${sql} USING utf8mb4) ${EXACT_COLLATION}`;
}

/**
 * Something made of a value in which the value occurs several times. Parameters are bound by their place, each once: an expression with one is
 * made a column of its own first. It cannot refer to the query's columns then.
 */
export function withValue(
  sql: string,
  make: (value: string) => string,
  alias = "bound",
): string {
  const isPlain = !sql.replaceAll(/'(?:[^'\\]|\\.|'')*'|`[^`]*`/gs, "").includes("?");
  return isPlain
    ? make(sql)
    : `(SELECT ${make(`${alias}.v`)} FROM (SELECT ${sql} AS v) AS ${alias})`;
}

/**
 * The value as the engine prints it: `true`, `2026-01-01 00:00:00.12+00`, `1.0`, `1e-05`. JSON is the server's own text.
 * The expression occurs many times in the result.
 */
export function engineText({ sql, type }: TypedExpression): string {
  return withValue(sql, (value) => valueText(value, type));
}

function valueText(sql: string, type: string): string {
  const name = canonicalType(type);
  switch (name) {
    case "VARCHAR":
    case "JSON":
      return exactText(sql);
    case "BOOLEAN":
      return exactText(
        `CASE WHEN ${sql} IS NULL THEN NULL WHEN ${sql} THEN 'true' ELSE 'false' END`,
      );
    case "TIMESTAMP WITH TIME ZONE":
      return exactText(`CONCAT(${timeText(sql)}, '+00')`);
    case "TIMESTAMP":
    case "TIMESTAMP_S":
    case "TIMESTAMP_MS":
    case "TIMESTAMP_NS":
      return exactText(timeText(sql));
    case "TIME":
      return exactText(withoutTrailingZeros(`TIME_FORMAT(${sql}, '%H:%i:%s.%f')`));
    case "FLOAT":
      return exactText(doubleText(shortestFloat(sql)));
    case "DOUBLE":
      return exactText(doubleText(`CAST(${sql} AS DOUBLE)`));
    case "BLOB":
      return exactText(blobText(sql));
    case "UUID":
      return exactText(`LOWER(CAST(${sql} AS CHAR))`);
    default:
      return exactText(`CAST(${sql} AS CHAR)`);
  }
}

function timeText(sql: string): string {
  return withoutTrailingZeros(
    `DATE_FORMAT(CAST(${sql} AS DATETIME(6)), '%Y-%m-%d %H:%i:%s.%f')`,
  );
}

/** The text ends in six decimals. */
function withoutTrailingZeros(sql: string): string {
  return `TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM ${sql}))`;
}

/**
 * The engine writes exponents below -4 and from 16 on, of two digits at least, and `.0` behind whole numbers; the server writes them below -15
 * and from 15 on, and whole numbers bare. Both write the fewest digits that give the number again.
 */
function doubleText(sql: string): string {
  const text = `CAST(${sql} AS CHAR)`;
  const sign = `IF(${sql} < 0, '-', '')`;
  // 0.0000123: the digits from the first that is not zero, and how many zeros stand before it.
  const tail = `SUBSTRING_INDEX(${text}, '.', -1)`;
  const digits = `TRIM(LEADING '0' FROM ${tail})`;
  const zeros = `(CHAR_LENGTH(${tail}) - CHAR_LENGTH(${digits}))`;
  const small = `CONCAT(${sign}, LEFT(${digits}, 1), IF(CHAR_LENGTH(${digits}) > 1, '.', ''), ` +
    `SUBSTRING(${digits}, 2), 'e-', LPAD(${zeros} + 1, 2, '0'))`;
  const exponent = `SUBSTRING_INDEX(${text}, 'e', -1)`;
  const power = `CONCAT(SUBSTRING_INDEX(${text}, 'e', 1), 'e', IF(${exponent} < 0, '-', '+'), ` +
    `IF(ABS(${exponent}) < 10, LPAD(ABS(${exponent}), 2, '0'), ABS(${exponent})))`;
  return `CASE WHEN ABS(${sql}) >= 1e15 AND ABS(${sql}) < 1e16 ` +
    `THEN CONCAT(CAST(${sql} AS DECIMAL(20,0)), '.0') ` +
    `WHEN LOCATE('e', ${text}) > 0 THEN ${power} ` +
    `WHEN ${sql} <> 0 AND ABS(${sql}) < 1e-4 THEN ${small} ` +
    `WHEN LOCATE('.', ${text}) > 0 THEN ${text} ELSE CONCAT(${text}, '.0') END`;
}

const LARGEST_FLOAT = "3.4028234663852886e38";

/**
 * The FLOAT as a DOUBLE of as few digits as give the FLOAT again; the server itself shows six at most. Rounding is not exact to the last digit
 * for numbers below 1e-15: some of those are written with more digits than the engine's.
 */
function shortestFloat(sql: string): string {
  const exact = `CAST(${sql} AS DOUBLE)`;
  const rounded = (digits: number) =>
    `ROUND(${exact}, ${digits - 1} - FLOOR(LOG10(ABS(${exact}))))`;
  const tries = [1, 2, 3, 4, 5, 6, 7, 8].map((digits) => {
    const value = rounded(digits);
    const isSame = `CAST(IF(ABS(${value}) > ${LARGEST_FLOAT}, 0, ${value}) AS FLOAT) = ${sql}`;
    return `WHEN ${isSame} THEN ${value}`;
  });
  return `(CASE WHEN ${sql} IS NULL OR ${sql} = 0 THEN ${exact} ` +
    `WHEN ABS(${exact}) >= ${LARGEST_FLOAT} THEN SIGN(${exact}) * 3.4028235e38 ` +
    `${tries.join(" ")} ELSE ${rounded(9)} END)`;
}

/** A backslash, an x, and the first group: each server has its own sign for that. */
const BYTE = "/*!80000 '\\\\\\\\x$1' */ /*M! '\\\\\\\\x\\\\1' */";

/** Beyond it the server would take too long to write bytes as the engine does. */
const ESCAPED_BYTES = 65_536;
/** Hex digits of printable ASCII without quotes and the backslash. */
const PRINTABLE_HEX = "'^(2[013-689A-F]|[346][0-9A-F]|5[0-9ABDEF]|7[0-9A-E])*$'";

/**
 * Printable ASCII as it is but for quotes and the backslash, any other byte as `\\x` and two digits; more than 64 KiB are lower-case hex,
 * which is not the engine's text.
 */
function blobText(sql: string): string {
  let escaped = `REGEXP_REPLACE(HEX(${sql}), '(..)', ${BYTE})`;
  for (let code = 32; code < 127; code += 1) {
    const character = String.fromCharCode(code);
    if ("'\"\\".includes(character)) continue;
    const hex = code.toString(16).toUpperCase();
    escaped = `REPLACE(${escaped}, '\\\\x${hex}', '${character}')`;
  }
  return `CASE WHEN LENGTH(${sql}) > ${ESCAPED_BYTES} THEN LOWER(HEX(${sql})) ` +
    `WHEN HEX(${sql}) REGEXP ${PRINTABLE_HEX} THEN CAST(${sql} AS CHAR CHARACTER SET utf8mb4) ` +
    `ELSE ${escaped} END`;
}

/** SHA-256 over the values, as `Dialect.rowHash` wants it. */
export function rowHash(values: readonly TypedExpression[]): string {
  const parts = values.map((value) => {
    return withValue(value.sql, (sql) => {
      const text = engineText({ sql, type: value.type });
      return `IF(${sql} IS NULL, 'N', CONCAT(LENGTH(${text}), ':', ${text}))`;
    });
  });
  return `UNHEX(SHA2(${parts.length === 0 ? "''" : `CONCAT(${parts.join(", ")})`}, 256))`;
}
