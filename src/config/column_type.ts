import { nearestName } from "./key_names.ts";

/** A declared type in the engine's words. */
export interface ColumnType {
  /** `BIGINT`, `VARCHAR`, `DECIMAL(18,2)` … */
  readonly type: string;
  /** Longest text in characters. */
  readonly maxLength?: number;
}

/** Why a text is no type. */
export interface ColumnTypeProblem {
  readonly problem: string;
  readonly hint?: string;
}

/** Names of types without brackets, in lower case, and the engine's names. The first name of each is the builder's. */
const NAMES: Readonly<Record<string, string>> = {
  bigint: "BIGINT",
  int8: "BIGINT",
  integer: "INTEGER",
  int: "INTEGER",
  int4: "INTEGER",
  smallint: "SMALLINT",
  int2: "SMALLINT",
  tinyint: "TINYINT",
  utinyint: "UTINYINT",
  usmallint: "USMALLINT",
  uinteger: "UINTEGER",
  ubigint: "UBIGINT",
  hugeint: "HUGEINT",
  text: "VARCHAR",
  string: "VARCHAR",
  varchar: "VARCHAR",
  boolean: "BOOLEAN",
  bool: "BOOLEAN",
  double: "DOUBLE",
  "double precision": "DOUBLE",
  float8: "DOUBLE",
  real: "FLOAT",
  float: "FLOAT",
  float4: "FLOAT",
  decimal: "DECIMAL(18,3)",
  numeric: "DECIMAL(18,3)",
  date: "DATE",
  time: "TIME",
  timestamp: "TIMESTAMP",
  "timestamp without time zone": "TIMESTAMP",
  timestamptz: "TIMESTAMP WITH TIME ZONE",
  "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
  uuid: "UUID",
  json: "JSON",
  bytes: "BLOB",
  blob: "BLOB",
  bytea: "BLOB",
};

/** Those that a message names. */
const SHOWN = "bigint, integer, smallint, text, string(n), boolean, double, real, decimal(p, s), " +
  "date, time, timestamp, timestamptz, uuid, json, bytes";

const MAX_PRECISION = 38;

/**
 * Reads the text of a type: the engine's names (`TIMESTAMPTZ`, `DECIMAL(18,2)`, `VARCHAR`) and the builders' (`string(256)`, `bytes`), in
 * upper or lower case.
 */
export function columnType(text: string): ColumnType | ColumnTypeProblem {
  const plain = text.trim().toLowerCase().replaceAll(/\s+/g, " ");
  const simple = Object.hasOwn(NAMES, plain) ? NAMES[plain] : undefined;
  if (simple !== undefined) return { type: simple };
  const [, name = "", list] = /^([a-z][a-z0-9 ]*?) ?\((.*)\)$/.exec(plain) ?? [];
  const sizes = list?.split(",").map((size) => size.trim()) ?? [];
  if (NAMES[name] === "VARCHAR") return textType(text, sizes);
  if (name === "decimal" || name === "numeric") return decimalType(text, sizes);
  if (list !== undefined && Object.hasOwn(NAMES, name)) {
    return { problem: `${shown(text)} is no type: ${name} takes no size`, hint: `write ${name}` };
  }
  const near = nearestName(name === "" ? plain : name, Object.keys(NAMES));
  return {
    problem: `${shown(text)} is no type`,
    hint: near === undefined ? `types: ${SHOWN}` : `did you mean ${near}?`,
  };
}

/** True for types whose values are times: what `parse_timestamp` and event timestamps need. */
export function isTimeType(type: string): boolean {
  return type === "DATE" || type.startsWith("TIMESTAMP");
}

function textType(text: string, sizes: readonly string[]): ColumnType | ColumnTypeProblem {
  const [size] = sizes;
  const maxLength = sizes.length === 1 ? wholeNumber(size) : undefined;
  return maxLength === undefined || maxLength < 1
    ? {
      problem: `${shown(text)} is no type: the size of a text is its most characters`,
      hint: "such as string(256)",
    }
    : { type: "VARCHAR", maxLength };
}

function decimalType(text: string, sizes: readonly string[]): ColumnType | ColumnTypeProblem {
  const precision = wholeNumber(sizes[0]);
  const scale = sizes.length === 1 ? 0 : wholeNumber(sizes[1]);
  const isValid = precision !== undefined && scale !== undefined && sizes.length <= 2 &&
    precision >= 1 && precision <= MAX_PRECISION && scale <= precision;
  if (isValid) return { type: `DECIMAL(${precision},${scale})` };
  return {
    problem: `${shown(text)} is no type: a decimal has 1 to ${MAX_PRECISION} digits, and no more ` +
      "of them after the point",
    hint: "such as decimal(18, 2)",
  };
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
  return Number(text);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
