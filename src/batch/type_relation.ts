import type { TargetColumn } from "../core/schema.ts";
import type { DeclaredColumn } from "../core/table_spec.ts";

/**
 * How a declared type stands to the type that the table has: `fits` (every declared value goes in), `widen` (the declared type
 * holds everything that the table's does, and more), or `conflict`.
 */
export type TypeRelation = "fits" | "widen" | "conflict";

/** Whole numbers by how many they hold. */
const INTEGERS = [
  "TINYINT",
  "UTINYINT",
  "SMALLINT",
  "USMALLINT",
  "INTEGER",
  "UINTEGER",
  "BIGINT",
  "UBIGINT",
  "HUGEINT",
];
/** Decimal digits that hold all values of the type. */
const INTEGER_DIGITS = [3, 3, 5, 5, 10, 10, 19, 20, 39];
const FLOATS = ["FLOAT", "DOUBLE"];
const TIMES = ["DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"];
/** Types that databases without one of their own keep as text. */
const TEXT_LIKE = /^(UUID|JSON|INTERVAL|TIME|TIME WITH TIME ZONE|ENUM\(.*|VARCHAR)$/;

/**
 * Compares a declaration with a column of a table.
 *
 * @param flexible the database keeps any value in any column (SQLite)
 */
export function typeRelation(
  declared: Pick<DeclaredColumn, "type" | "maxLength">,
  table: Pick<TargetColumn, "type" | "maxLength">,
  flexible: boolean,
): TypeRelation {
  if (flexible) return "fits";
  if (table.type === "VARCHAR" && TEXT_LIKE.test(declared.type)) {
    if (table.maxLength === undefined) return "fits";
    if (declared.type !== "VARCHAR") return "fits";
    return declared.maxLength !== undefined && declared.maxLength <= table.maxLength
      ? "fits"
      : "widen";
  }
  if (declared.type === table.type) return "fits";
  if (declared.type === "VARCHAR") return "conflict";
  const whole = INTEGERS.indexOf(declared.type);
  const tableWhole = INTEGERS.indexOf(table.type);
  const decimal = decimalOf(declared.type);
  const tableDecimal = decimalOf(table.type);
  if (whole >= 0 && tableWhole >= 0) return wholeRelation(declared.type, table.type);
  if (decimal !== undefined && tableDecimal !== undefined) {
    if (holdsDecimal(tableDecimal, decimal)) return "fits";
    return holdsDecimal(decimal, tableDecimal) ? "widen" : "conflict";
  }
  if (whole >= 0 && tableDecimal !== undefined) {
    return tableDecimal.precision - tableDecimal.scale >= (INTEGER_DIGITS[whole] ?? 39)
      ? "fits"
      : "conflict";
  }
  if (decimal !== undefined && tableWhole >= 0) {
    return decimal.precision - decimal.scale >= (INTEGER_DIGITS[tableWhole] ?? 39)
      ? "widen"
      : "conflict";
  }
  for (const family of [FLOATS, TIMES]) {
    const [a, b] = [family.indexOf(declared.type), family.indexOf(table.type)];
    if (a < 0 || b < 0) continue;
    // A time with a zone and one without do not hold one another.
    if (family === TIMES && a > 0 && b > 0) return "conflict";
    return a <= b ? "fits" : "widen";
  }
  return "conflict";
}

/** An unsigned type holds a signed one never; a signed one holds the unsigned ones below it. */
function wholeRelation(declared: string, table: string): TypeRelation {
  if (holdsWhole(table, declared)) return "fits";
  return holdsWhole(declared, table) ? "widen" : "conflict";
}

function holdsWhole(outer: string, inner: string): boolean {
  const [a, b] = [INTEGERS.indexOf(outer), INTEGERS.indexOf(inner)];
  if (a < b) return false;
  return !outer.startsWith("U") || inner.startsWith("U");
}

interface Decimal {
  readonly precision: number;
  readonly scale: number;
}

function decimalOf(type: string): Decimal | undefined {
  const [, precision, scale] = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(type) ?? [];
  if (precision === undefined) return undefined;
  return { precision: Number(precision), scale: Number(scale) };
}

function holdsDecimal(outer: Decimal, inner: Decimal): boolean {
  return outer.scale >= inner.scale &&
    outer.precision - outer.scale >= inner.precision - inner.scale;
}
