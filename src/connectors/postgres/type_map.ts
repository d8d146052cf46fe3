import { parseType, type TypeNode } from "../../formats/type_text.ts";

const SCALARS: Readonly<Record<string, string>> = {
  BOOLEAN: "boolean",
  TINYINT: "smallint",
  SMALLINT: "smallint",
  INTEGER: "integer",
  BIGINT: "bigint",
  HUGEINT: "numeric(39,0)",
  UTINYINT: "smallint",
  USMALLINT: "integer",
  UINTEGER: "bigint",
  UBIGINT: "numeric(20,0)",
  UHUGEINT: "numeric(39,0)",
  BIGNUM: "numeric",
  FLOAT: "real",
  DOUBLE: "double precision",
  DATE: "date",
  TIME: "time",
  TIME_NS: "time",
  "TIME WITH TIME ZONE": "timetz",
  TIMESTAMP: "timestamp",
  TIMESTAMP_S: "timestamp",
  TIMESTAMP_MS: "timestamp",
  TIMESTAMP_NS: "timestamp",
  "TIMESTAMP WITH TIME ZONE": "timestamptz",
  INTERVAL: "interval",
  UUID: "uuid",
  BLOB: "bytea",
  BIT: "bit varying",
  JSON: "jsonb",
};

/**
 * The Postgres type of a column that flow creates for an engine type: the one that holds every value of it. Structs, lists, maps and
 * JSON become `jsonb`; what Postgres has no type for becomes `text`.
 */
export function postgresType(engineType: string): string {
  const type: TypeNode = parseType(engineType);
  switch (type.kind) {
    case "scalar":
      return SCALARS[type.name] ?? "text";
    case "decimal":
      return `numeric(${type.precision},${type.scale})`;
    case "enum":
      return "text";
    default:
      return "jsonb";
  }
}

/** {@link engineType} of a type that {@link postgresType} gave. */
export function engineTypeOf(postgresType: string): string | undefined {
  const decimal = /^numeric\((\d+),(\d+)\)$/.exec(postgresType);
  if (decimal === null) return engineType(CATALOGUE_NAMES[postgresType] ?? postgresType, -1);
  return engineType("numeric", (Number(decimal[1]) << 16 | Number(decimal[2])) + 4);
}

const CATALOGUE_NAMES: Readonly<Record<string, string>> = {
  boolean: "bool",
  smallint: "int2",
  integer: "int4",
  bigint: "int8",
  real: "float4",
  "double precision": "float8",
};

/** The engine's type for a Postgres type, by the catalogue's name of it; `undefined` for those that only Postgres can parse. */
export function engineType(typeName: string, typeModifier: number): string | undefined {
  switch (typeName) {
    case "int2":
      return "SMALLINT";
    case "int4":
      return "INTEGER";
    case "int8":
      return "BIGINT";
    case "float4":
      return "FLOAT";
    case "float8":
      return "DOUBLE";
    case "numeric":
      return decimalType(typeModifier);
    case "bool":
      return "BOOLEAN";
    case "text":
    case "varchar":
    case "bpchar":
    case "citext":
      return "VARCHAR";
    case "timestamptz":
      return "TIMESTAMP WITH TIME ZONE";
    case "timestamp":
      return "TIMESTAMP";
    case "date":
      return "DATE";
    case "time":
      return "TIME";
    case "timetz":
      return "TIME WITH TIME ZONE";
    case "interval":
      return "INTERVAL";
    case "uuid":
      return "UUID";
    case "bytea":
      return "BLOB";
    case "json":
    case "jsonb":
      return "JSON";
    default:
      return undefined;
  }
}

function decimalType(typeModifier: number): string | undefined {
  const size = numericSize(typeModifier);
  if (size === undefined) return undefined;
  const { precision, scale } = size;
  const fits = precision <= 38 && scale >= 0 && scale <= precision;
  return fits ? `DECIMAL(${precision},${scale})` : undefined;
}

/** A number's type in Postgres's own words: `numeric`, `numeric(50,20)`. */
export function numericType(typeModifier: number): string {
  const size = numericSize(typeModifier);
  return size === undefined ? "numeric" : `numeric(${size.precision},${size.scale})`;
}

/** The catalogue keeps precision and scale of `numeric(p,s)` in one number, with the four bytes of its header added. */
function numericSize(
  typeModifier: number,
): { readonly precision: number; readonly scale: number } | undefined {
  if (typeModifier < 4) return undefined;
  const precision = ((typeModifier - 4) >> 16) & 0xffff;
  // An eleven-bit number with a sign.
  const scale = (((typeModifier - 4) & 0x7ff) ^ 1024) - 1024;
  return { precision, scale };
}
