import type { TypedExpression } from "../../core/database.ts";
import { canonicalType } from "../../sql/exact_cast.ts";
import { EXACT_COLLATION } from "./type_map.ts";

/** Text as utf8mb4 that compares by code points. */
export function exactText(sql: string): string {
  return `CONVERT(${sql} USING utf8mb4) ${EXACT_COLLATION}`;
}

/**
 * The value as the engine prints it: `true`, `2026-01-01 00:00:00.12+00`, `1.0`, `1e-05`.
 *
 * Exceptions: a FLOAT is printed as the DOUBLE that it is (0.1 gives 0.10000000149011612), since the server shows six of its digits at most;
 * a BLOB is lower-case hex; JSON is the server's own text. The expression occurs many times in the result.
 */
export function engineText({ sql, type }: TypedExpression): string {
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
    case "DOUBLE":
      return exactText(doubleText(`CAST(${sql} AS DOUBLE)`));
    case "BLOB":
      return exactText(`LOWER(HEX(${sql}))`);
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

/** SHA-256 over the values, as `Dialect.rowHash` wants it. */
export function rowHash(values: readonly TypedExpression[]): string {
  const parts = values.map((value) => {
    const text = engineText(value);
    return `IF(${value.sql} IS NULL, 'N', CONCAT(LENGTH(${text}), ':', ${text}))`;
  });
  return `UNHEX(SHA2(${parts.length === 0 ? "''" : `CONCAT(${parts.join(", ")})`}, 256))`;
}
