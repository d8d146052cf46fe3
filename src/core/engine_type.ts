/** What the names of the engine's types mean: their spelling, the ranges of numbers, and which of them have values in common. */

/** An integer type of a fixed size. */
export interface IntegerRange {
  readonly signed: boolean;
  readonly least: bigint;
  readonly greatest: bigint;
  /** Bits of the greatest value: 63 of BIGINT. */
  readonly bits: number;
  /** Decimal digits of the greatest value. */
  readonly digits: number;
}

function range(size: number, signed: boolean): IntegerRange {
  const bits = signed ? size - 1 : size;
  const greatest = (1n << BigInt(bits)) - 1n;
  const least = signed ? -greatest - 1n : 0n;
  return { signed, least, greatest, bits, digits: String(greatest).length };
}

const RANGES: ReadonlyMap<string, IntegerRange> = new Map([
  ["TINYINT", range(8, true)],
  ["SMALLINT", range(16, true)],
  ["INTEGER", range(32, true)],
  ["BIGINT", range(64, true)],
  ["HUGEINT", range(128, true)],
  ["UTINYINT", range(8, false)],
  ["USMALLINT", range(16, false)],
  ["UINTEGER", range(32, false)],
  ["UBIGINT", range(64, false)],
  ["UHUGEINT", range(128, false)],
]);

/** The engine's integer types of a fixed size: those with a sign, narrowest first, and then those without. */
export const INTEGER_TYPES: readonly string[] = [...RANGES.keys()];

/** What an integer type holds; `undefined` for every other type. */
export function integerRange(type: string): IntegerRange | undefined {
  return RANGES.get(type);
}

/** True where each value of one integer type is one of the other. */
export function holdsIntegers(outer: IntegerRange, inner: IntegerRange): boolean {
  return outer.least <= inner.least && outer.greatest >= inner.greatest;
}

/** How many digits a decimal type has in all, and how many of them after the point. */
export interface DecimalSize {
  readonly precision: number;
  readonly scale: number;
}

/** The size of a canonical DECIMAL type; `undefined` for every other type. */
export function decimalSize(type: string): DecimalSize | undefined {
  const [, precision, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(type) ?? [];
  return precision === undefined
    ? undefined
    : { precision: Number(precision), scale: Number(scale) };
}

/** True for numbers in binary floating point. */
export function isFloatType(type: string): boolean {
  return type === "DOUBLE" || type === "FLOAT";
}

/** True for all types of numbers. */
export function isNumericType(type: string): boolean {
  return RANGES.has(type) || isFloatType(type) || decimalSize(type) !== undefined;
}

const MOMENTS = /^(DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/;

/** True for days and for times of a day that is known. */
export function isMomentType(type: string): boolean {
  return MOMENTS.test(type);
}

const ALIASES: ReadonlyMap<string, string> = new Map(Object.entries({
  INT1: "TINYINT",
  INT2: "SMALLINT",
  SHORT: "SMALLINT",
  INT: "INTEGER",
  INT4: "INTEGER",
  SIGNED: "INTEGER",
  INT8: "BIGINT",
  LONG: "BIGINT",
  INT16: "SMALLINT",
  INT32: "INTEGER",
  INT64: "BIGINT",
  INT128: "HUGEINT",
  UINT8: "UTINYINT",
  UINT16: "USMALLINT",
  UINT32: "UINTEGER",
  UINT64: "UBIGINT",
  UINT128: "UHUGEINT",
  VARINT: "BIGNUM",
  BOOL: "BOOLEAN",
  LOGICAL: "BOOLEAN",
  FLOAT4: "FLOAT",
  REAL: "FLOAT",
  FLOAT8: "DOUBLE",
  "DOUBLE PRECISION": "DOUBLE",
  TEXT: "VARCHAR",
  STRING: "VARCHAR",
  CHAR: "VARCHAR",
  BPCHAR: "VARCHAR",
  "CHARACTER VARYING": "VARCHAR",
  BYTEA: "BLOB",
  BINARY: "BLOB",
  VARBINARY: "BLOB",
  BITSTRING: "BIT",
  DATETIME: "TIMESTAMP",
  TIMESTAMP_US: "TIMESTAMP",
  "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
  TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
  "TIME WITHOUT TIME ZONE": "TIME",
  TIMETZ: "TIME WITH TIME ZONE",
}));

/** Digits of a DECIMAL that names none. */
export const DEFAULT_DECIMAL: DecimalSize = { precision: 18, scale: 3 };

/** The engine's own name of a scalar type that is given by one of its names, in upper case and with single blanks. */
export function scalarName(name: string): string {
  return ALIASES.get(name) ?? name;
}

/** The engine's own spelling of a type: `TIMESTAMPTZ` is `TIMESTAMP WITH TIME ZONE`, `DECIMAL(18, 2)` is `DECIMAL(18,2)`. */
export function canonicalType(type: string): string {
  const text = type.trim();
  const upper = text.toUpperCase().replaceAll(/\s+/g, " ");
  const [decimal, precision = DEFAULT_DECIMAL.precision, scale] =
    /^(?:DECIMAL|NUMERIC|DEC) ?(?:\( ?(\d+) ?(?:, ?(\d+) ?)?\))?$/.exec(upper) ?? [];
  if (decimal !== undefined) {
    const decimals = scale ?? (decimal.includes("(") ? 0 : DEFAULT_DECIMAL.scale);
    return `DECIMAL(${precision},${decimals})`;
  }
  if (/^VARCHAR ?\( ?\d+ ?\)$/.test(upper)) return "VARCHAR";
  // Names of struct fields and enum values keep their case.
  return /^[A-Z0-9_ ]+$/.test(upper) ? scalarName(upper) : text;
}

/** True for the type of a column of nothing but NULL. */
export function isNullType(type: string): boolean {
  return type === "SQLNULL" || type === "NULL" || type === '"NULL"';
}

type Family = "number" | "moment" | "text" | "other" | string;

function familyOf(type: string): Family {
  if (isNumericType(type)) return "number";
  if (isMomentType(type)) return "moment";
  if (/^(VARCHAR|JSON|ENUM\()/.test(type) || isNullType(type)) return "text";
  return /^(BOOLEAN|TIME|TIME_NS|TIME WITH TIME ZONE|INTERVAL|BLOB|UUID)$/.test(type)
    ? type
    : "other";
}

/** Further families whose values can be values of another one, beside those of the same family. */
const RELATED: ReadonlyMap<Family, readonly Family[]> = new Map([
  ["number", ["BOOLEAN"]],
  ["BOOLEAN", ["number"]],
  ["TIME", ["TIME_NS", "TIME WITH TIME ZONE", "INTERVAL"]],
  ["TIME_NS", ["TIME"]],
  ["TIME WITH TIME ZONE", ["TIME"]],
]);

/**
 * True unless no value of a type can be one of the other: a time of the day has no day, and a number is no date, whatever a database makes of
 * `CAST(20260131 AS DATE)`. Text may be a value of every type, and every value has a text. Of types that it does not know (lists, structs)
 * it says true: the database decides.
 *
 * @param source a canonical type
 * @param target a canonical type
 */
export function hasCommonValues(source: string, target: string): boolean {
  const [from, to] = [familyOf(source), familyOf(target)];
  if (from === to || [from, to].some((family) => family === "text" || family === "other")) {
    return true;
  }
  return RELATED.get(from)?.includes(to) ?? false;
}
