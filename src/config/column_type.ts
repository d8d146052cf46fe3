import { canonicalType } from "../core/engine_type.ts";
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

/** Names of types that a declaration may give without brackets, in lower case: the builders', and the usual ones of databases. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ...[
    ...["bigint", "int8", "integer", "int", "int4", "smallint", "int2", "tinyint"],
    ...["utinyint", "usmallint", "uinteger", "ubigint", "hugeint"],
    ...["text", "string", "varchar", "boolean", "bool"],
    ...["double", "double precision", "float8", "real", "float", "float4", "decimal", "numeric"],
    ...["date", "time", "timestamp", "timestamp without time zone"],
    ...["timestamptz", "timestamp with time zone", "uuid", "json", "blob", "bytea"],
  ].map((name) => [name, canonicalType(name)] as const),
  ["bytes", "BLOB"],
]);

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
  const simple = NAMES.get(plain);
  if (simple !== undefined) return { type: simple };
  const [, name = "", list] = /^([a-z][a-z0-9 ]*?) ?\((.*)\)$/.exec(plain) ?? [];
  const sizes = list?.split(",").map((size) => size.trim()) ?? [];
  if (NAMES.get(name) === "VARCHAR") return textType(text, sizes);
  if (name === "decimal" || name === "numeric") return decimalType(text, sizes);
  if (list !== undefined && NAMES.has(name)) {
    return { problem: `${shown(text)} is no type: ${name} takes no size`, hint: `write ${name}` };
  }
  const near = nearestName(name === "" ? plain : name, [...NAMES.keys()]);
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
