import type { LoadTarget } from "../../core/database.ts";
import type { BoundQuery } from "./bound_query.ts";
import { typeName } from "./column_types.ts";

/** The formats of COPY that one Postgres writes and another reads. */
export type CopyFormat = "text" | "binary";

/** A query whose result another Postgres takes by COPY. */
export interface NativeCopy {
  readonly sql: string;
  readonly format: CopyFormat;
}

/**
 * Types whose binary form is the same in every Postgres, by the spelling of a column without length or precision: what the catalogue calls
 * them. Arrays, enums and domains are none: theirs holds numbers of the database that wrote it.
 */
const BINARY_TYPES: Readonly<Record<string, string>> = {
  bigint: "int8",
  integer: "int4",
  smallint: "int2",
  "double precision": "float8",
  real: "float4",
  numeric: "numeric",
  boolean: "bool",
  text: "text",
  "character varying": "text",
  varchar: "text",
  uuid: "uuid",
  bytea: "bytea",
  date: "date",
  time: "time",
  "time without time zone": "time",
  timestamp: "timestamp",
  "timestamp without time zone": "timestamp",
  timestamptz: "timestamptz",
  "timestamp with time zone": "timestamptz",
  interval: "interval",
  json: "json",
  jsonb: "jsonb",
};

/**
 * The query as another Postgres takes its values. Where each column has the target's own type, they go in binary: numbers and times are
 * neither written as text nor parsed, which is half of the work of a COPY. Everything else goes as text, which the target reads by its own types.
 */
export function nativeCopy(query: BoundQuery, into: LoadTarget): NativeCopy {
  return isBinary(query, into)
    ? { sql: query.sql, format: "binary" }
    : { sql: withoutPadding(query), format: "text" };
}

function isBinary({ columns }: BoundQuery, into: LoadTarget): boolean {
  return columns.length === into.columns.length && columns.every(({ dataTypeID }, at) => {
    const wanted = targetType(into.columns[at]?.nativeType ?? "");
    const name = typeName(dataTypeID);
    return wanted !== undefined && wanted === (name === "varchar" ? "text" : name);
  });
}

/** The length of a text and the precision of a number are the target's to check, as it does for text. */
function targetType(nativeType: string): string | undefined {
  const sized = /^(character varying|varchar|numeric)\([0-9, -]+\)$/.exec(nativeType);
  return BINARY_TYPES[sized?.[1] ?? nativeType];
}

/** Only the blanks at the end of a char(n) do not belong to the value. */
function withoutPadding({ sql, columns }: BoundQuery): string {
  const isPadded = columns.map(({ dataTypeID }) => typeName(dataTypeID) === "bpchar");
  if (!isPadded.includes(true)) return sql;
  const names = columns.map((_, at) => `c${at + 1}`);
  const values = names.map((name, at) => isPadded[at] === true ? `CAST(${name} AS text)` : name);
  return `SELECT ${values.join(", ")} FROM (${sql}\n) AS q (${names.join(", ")})`;
}

/** `COPY (query) TO STDOUT`. */
export function copyOutSql({ sql, format }: NativeCopy): string {
  return `COPY (${sql}\n) TO STDOUT (${options(format)})`;
}

/** `COPY table (columns) FROM STDIN` of what {@link copyOutSql} gives. */
export function copyInSql(table: string, columns: string, format: CopyFormat): string {
  return `COPY ${table} (${columns}) FROM STDIN (${options(format)})`;
}

/** Texts in binary have the session's encoding, which is UTF-8. */
function options(format: CopyFormat): string {
  return format === "binary" ? "FORMAT binary" : "ENCODING 'UTF8'";
}
