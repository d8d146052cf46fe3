import type { TypedExpression } from "../../core/database.ts";
import { canonicalType } from "../../core/engine_type.ts";

/**
 * The value as text in the engine's own form, which is what hashes of rows are made of, so that rows have the same hash whatever way they
 * came in. The session's settings (time zone UTC, ISO dates, shortest doubles) do the rest. The forms differ for times before Christ,
 * bytes (`\x` and hex digits here, escaped text in the engine), a few large floats (`1.5e10` as FLOAT lies just between two of them: Postgres spends a digit more), intervals with negative parts, and JSON (jsonb has an order and blanks of its own).
 */
export function textForm({ sql, type }: TypedExpression): string {
  const text = `CAST(${sql} AS text)`;
  const canonical = canonicalType(type);
  const [, precision, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(canonical) ?? [];
  if (precision !== undefined) {
    const decimal = `CAST(CAST(${sql} AS numeric(${precision},${scale})) AS text)`;
    // Without whole digits the engine writes none.
    return precision === scale ? `regexp_replace(${decimal}, '^(-?)0[.]', '\\1.')` : decimal;
  }
  switch (canonical) {
    case "DOUBLE":
      return floatText(sql, text, 15);
    case "FLOAT":
      return floatText(sql, text, 6);
    case "INTERVAL":
      return `replace(${text}, 'mon', 'month')`;
    default:
      return text;
  }
}

/**
 * The shortest digits are the same in both. The engine writes numbers from 1e-4 to below 1e16 without an exponent (Postgres only those of up to
 * `digits` digits), whole ones with `.0`, and `inf` and `nan`.
 */
function floatText(value: string, text: string, digits: number): string {
  const isWhole = `${value} = trunc(CAST(${value} AS double precision))`;
  const isPlain = `abs(${value}) >= 1e${digits} AND abs(${value}) < 1e16`;
  // The first case, most numbers, is there for speed.
  return `CASE WHEN abs(${value}) < 1e${digits} ` +
    `THEN CASE WHEN ${isWhole} THEN ${text} || '.0' ELSE ${text} END ` +
    `WHEN ${value} IS NULL THEN NULL ` +
    `WHEN ${value} IN ('NaN', 'Infinity', '-Infinity') ` +
    `THEN replace(lower(${text}), 'infinity', 'inf') ` +
    `WHEN ${isPlain} THEN CAST(CAST(${text} AS numeric) AS text) || ` +
    `CASE WHEN ${isWhole} THEN '.0' ELSE '' END ` +
    `WHEN ${text} ~ '[.e]' THEN ${text} ELSE ${text} || '.0' END`;
}
