import { parseType, type TypeNode } from "../../formats/type_text.ts";

/** How SQLite changes what is put into a column, by the column's declared type (its "affinity"); `none` changes nothing. */
export type Affinity = "integer" | "real" | "text" | "numeric" | "none";

/** What a declared type means to SQLite and to flow. */
export interface DeclaredType {
  readonly affinity: Affinity;
  /** The engine's type whose values belong into such a column; `ANY` where the declaration says nothing. */
  readonly engineType: string;
}

/** Names that flow gives to columns whose values SQLite has no type for: all hold text, which keeps every digit. */
const TEXT_TYPES: Readonly<Record<string, string>> = {
  HUGE_TEXT: "HUGEINT",
  UHUGE_TEXT: "UHUGEINT",
  BIGNUM_TEXT: "BIGNUM",
  JSON_TEXT: "JSON",
};

const NAMED_TYPES: Readonly<Record<string, string>> = {
  BOOLEAN: "BOOLEAN",
  BOOL: "BOOLEAN",
  DATE: "DATE",
  TIME: "TIME",
  TIMETZ: "TIME WITH TIME ZONE",
  TIMESTAMP: "TIMESTAMP",
  DATETIME: "TIMESTAMP",
  TIMESTAMP_NS: "TIMESTAMP_NS",
  TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
  "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE",
  JSON: "JSON",
  JSONB: "JSON",
};

/** Without precision: as many digits as the engine's decimals hold. */
const ANY_DECIMAL = "DECIMAL(38,10)";

/** Reads a declared type by SQLite's own rules of affinity, and by the names that are usual or flow's own. */
export function declaredType(declaration: string, strict: boolean): DeclaredType {
  const text = declaration.trim().toUpperCase().replaceAll(/\s+/g, " ");
  const [, name = text, precision, scale] =
    /^([^(]*?) ?(?:\( ?(\d+) ?(?:, ?(\d+) ?)?\))?$/.exec(text) ?? [];
  if (strict && name === "ANY") return { affinity: "none", engineType: "ANY" };
  const affinity = affinityOf(text);
  switch (affinity) {
    case "integer":
      return { affinity, engineType: "BIGINT" };
    case "real":
      return { affinity, engineType: "DOUBLE" };
    case "none":
      return { affinity, engineType: text === "" ? "ANY" : "BLOB" };
    case "text":
      if (name === "DECIMAL_TEXT") return { affinity, engineType: decimalType(precision, scale) };
      return { affinity, engineType: TEXT_TYPES[name] ?? "VARCHAR" };
    case "numeric":
      if (name === "NUMERIC" || name === "DECIMAL" || name === "NUMBER") {
        return { affinity, engineType: decimalType(precision, scale) };
      }
      return { affinity, engineType: NAMED_TYPES[name] ?? "ANY" };
  }
}

function affinityOf(text: string): Affinity {
  if (text.includes("INT")) return "integer";
  if (/CHAR|CLOB|TEXT/.test(text)) return "text";
  if (text === "" || text.includes("BLOB")) return "none";
  if (/REAL|FLOA|DOUB/.test(text)) return "real";
  return "numeric";
}

function decimalType(precision: string | undefined, scale: string | undefined): string {
  const digits = Number(precision);
  if (precision === undefined || digits < 1 || digits > 38) return ANY_DECIMAL;
  return `DECIMAL(${digits},${Math.min(Number(scale ?? 0), digits)})`;
}

const DECLARATIONS: Readonly<Record<string, string>> = {
  BOOLEAN: "BOOLEAN",
  TINYINT: "INTEGER",
  SMALLINT: "INTEGER",
  INTEGER: "INTEGER",
  BIGINT: "INTEGER",
  UTINYINT: "INTEGER",
  USMALLINT: "INTEGER",
  UINTEGER: "INTEGER",
  UBIGINT: "DECIMAL_TEXT(20,0)",
  HUGEINT: "HUGE_TEXT",
  UHUGEINT: "UHUGE_TEXT",
  BIGNUM: "BIGNUM_TEXT",
  FLOAT: "REAL",
  DOUBLE: "REAL",
  DATE: "DATE",
  TIME: "TIME",
  TIME_NS: "TIME",
  "TIME WITH TIME ZONE": "TIMETZ",
  TIMESTAMP: "TIMESTAMP",
  TIMESTAMP_S: "TIMESTAMP",
  TIMESTAMP_MS: "TIMESTAMP",
  TIMESTAMP_NS: "TIMESTAMP_NS",
  "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
  BLOB: "BLOB",
  JSON: "JSON_TEXT",
};

/**
 * The type that flow declares for a column of an engine type: one under which SQLite keeps every value as it came. Decimals and integers
 * of more than 64 bits are text (`DECIMAL_TEXT(18,2)`); structs, lists, maps and JSON are JSON text (`JSON_TEXT`); times are
 * ISO-8601 text.
 */
export function declarationOf(engineType: string, strict: boolean): string {
  const type = parseType(engineType);
  const declaration = looseDeclaration(type);
  return strict ? strictDeclaration(declaration) : declaration;
}

function looseDeclaration(type: TypeNode): string {
  switch (type.kind) {
    case "scalar":
      return DECLARATIONS[type.name] ?? "TEXT";
    case "decimal":
      return `DECIMAL_TEXT(${type.precision},${type.scale})`;
    case "enum":
      return "TEXT";
    default:
      return "JSON_TEXT";
  }
}

/** STRICT tables know six types only. */
function strictDeclaration(declaration: string): string {
  if (declaration === "BOOLEAN") return "INTEGER";
  return ["INTEGER", "REAL", "BLOB"].includes(declaration) ? declaration : "TEXT";
}
