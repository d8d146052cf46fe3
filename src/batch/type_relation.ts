import { holdsIntegers, integerRange } from "../core/engine_type.ts";
import type { OwnType, TargetColumn } from "../core/schema.ts";
import type { DeclaredColumn } from "../core/table_spec.ts";

/**
 * How a declared type stands to the type that the table has: `fits` (every declared value goes in), `widen` (the declared type
 * holds everything that the table's does, and more), or `conflict`.
 */
export type TypeRelation = "fits" | "widen" | "conflict";

const FLOATS = ["FLOAT", "DOUBLE"];
const TIMES = ["DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"];
/** Types that databases without one of their own keep as text. */
const TEXT_LIKE = /^(UUID|JSON|INTERVAL|TIME|TIME WITH TIME ZONE|ENUM\(.*|VARCHAR)$/;

/**
 * Compares a declaration with a column of a table.
 *
 * @param flexible `Dialect.keepsAnyValue` of the table's database
 */
export function typeRelation(
  declared: Pick<DeclaredColumn, "type" | "maxLength">,
  table: Pick<TargetColumn, "type" | "maxLength" | "ownType">,
  flexible: boolean,
): TypeRelation {
  if (flexible) return "fits";
  if (table.ownType !== undefined && declared.type !== "VARCHAR") {
    return isNumberType(table.ownType)
      ? numberRelation(declared.type, table.ownType.name)
      : "conflict";
  }
  if (table.type === "VARCHAR" && TEXT_LIKE.test(declared.type)) {
    if (table.maxLength === undefined) return "fits";
    if (declared.type !== "VARCHAR") return "fits";
    return declared.maxLength !== undefined && declared.maxLength <= table.maxLength
      ? "fits"
      : "widen";
  }
  if (declared.type === table.type) return "fits";
  if (declared.type === "VARCHAR") return "conflict";
  for (const family of [FLOATS, TIMES]) {
    const [a, b] = [family.indexOf(declared.type), family.indexOf(table.type)];
    if (a < 0 || b < 0) continue;
    // A time with a zone and one without do not hold one another.
    if (family === TIMES && a > 0 && b > 0) return "conflict";
    return a <= b ? "fits" : "widen";
  }
  return numberRelation(declared.type, table.type);
}

/** True for own types of databases that are exact numbers. */
export function isNumberType(ownType: OwnType | undefined): ownType is OwnType {
  return ownType !== undefined && decimalOf(ownType.name) !== undefined;
}

function numberRelation(declared: string, table: string): TypeRelation {
  const whole = integerRange(declared);
  const tableWhole = integerRange(table);
  const decimal = decimalOf(declared);
  const tableDecimal = decimalOf(table);
  if (whole !== undefined && tableWhole !== undefined) {
    if (holdsIntegers(tableWhole, whole)) return "fits";
    return holdsIntegers(whole, tableWhole) ? "widen" : "conflict";
  }
  if (decimal !== undefined && tableDecimal !== undefined) {
    if (holdsDecimal(tableDecimal, decimal)) return "fits";
    return holdsDecimal(decimal, tableDecimal) ? "widen" : "conflict";
  }
  if (whole !== undefined && tableDecimal !== undefined) {
    return tableDecimal.after >= 0 && tableDecimal.before >= whole.digits ? "fits" : "conflict";
  }
  if (decimal !== undefined && tableWhole !== undefined) {
    return decimal.before >= tableWhole.digits ? "widen" : "conflict";
  }
  return "conflict";
}

/** How many digits a decimal type has before and after the point. */
interface Decimal {
  readonly before: number;
  readonly after: number;
}

/** A type without a size holds all there are. */
function decimalOf(type: string): Decimal | undefined {
  if (/^numeric$/i.test(type)) return { before: Infinity, after: Infinity };
  const [, precision, scale] = /^(?:DECIMAL|NUMERIC)\((\d+),\s*(-?\d+)\)$/i.exec(type) ?? [];
  if (precision === undefined) return undefined;
  return { before: Number(precision) - Number(scale), after: Number(scale) };
}

function holdsDecimal(outer: Decimal, inner: Decimal): boolean {
  return outer.after >= inner.after && outer.before >= inner.before;
}
