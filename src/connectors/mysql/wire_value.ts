import type mysql from "mysql2";
import type { SqlValue } from "../../core/session.ts";

/** A column of a result as the server describes it. */
export interface ColumnDefinition {
  readonly name: string;
  /** The protocol's number of the type; see {@link WIRE}. */
  readonly columnType: number;
  readonly flags: number;
  /** Display length: characters times bytes per character for text. */
  readonly columnLength: number;
  readonly decimals: number;
  readonly characterSet: number;
  /** Database, table and column where a value comes straight from; empty for computed ones. */
  readonly schema: string;
  readonly orgTable: string;
  readonly orgName: string;
  /** MariaDB's `uuid`, `inet6` … */
  readonly extendedTypeName?: string;
  /** MariaDB's `json`. */
  readonly extendedFormat?: string;
}

/** Numbers of the protocol's types. */
export const WIRE = {
  DECIMAL: 0,
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  NULL: 6,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  NEWDATE: 14,
  BIT: 16,
  JSON: 245,
  NEWDECIMAL: 246,
  GEOMETRY: 255,
} as const;

/** The flag of a column without negative numbers, in its definition on the wire. */
export const UNSIGNED_FLAG = 32;
/** The character set of bytes. */
export const BINARY_CHARSET = 63;

const INTEGERS: ReadonlySet<number> = new Set([
  ...[WIRE.TINY, WIRE.SHORT, WIRE.LONG, WIRE.LONGLONG, WIRE.INT24, WIRE.YEAR],
]);
const PLAIN_TEXT: ReadonlySet<number> = new Set([
  ...[WIRE.DECIMAL, WIRE.NEWDECIMAL, WIRE.FLOAT, WIRE.DOUBLE, WIRE.TIMESTAMP, WIRE.DATE],
  ...[WIRE.TIME, WIRE.DATETIME, WIRE.NEWDATE, WIRE.JSON],
]);

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** True for `TINYINT(1)`, which is how both servers spell BOOLEAN. */
export function isBoolean(column: ColumnDefinition): boolean {
  return column.columnType === WIRE.TINY && column.columnLength === 1;
}

/**
 * A value of a small result: integers as bigint, TINYINT(1) and BIT(1) as boolean, other numbers and times as text, bytes as bytes.
 *
 * @param value raw bytes (text protocol), or what the driver made of them (prepared statements)
 */
export function cellValue(value: unknown, column: ColumnDefinition): SqlValue {
  if (value === null || value === undefined) return null;
  if (column.columnType === WIRE.BIT) return bits(value as Uint8Array, column);
  const isBytes = value instanceof Uint8Array;
  if (INTEGERS.has(column.columnType)) {
    const number = BigInt(isBytes ? decoder.decode(value) : String(value));
    return isBoolean(column) ? number !== 0n : number;
  }
  if (!isBytes) return String(value);
  const isText = column.characterSet !== BINARY_CHARSET || PLAIN_TEXT.has(column.columnType) ||
    column.extendedTypeName !== undefined;
  return isText ? decoder.decode(value) : new Uint8Array(value);
}

function bits(value: Uint8Array, column: ColumnDefinition): SqlValue {
  let number = 0n;
  for (const byte of value) number = number << 8n | BigInt(byte);
  return column.columnLength === 1 ? number !== 0n : number;
}

/** The value as the driver binds it with its own type. */
export function parameter(
  value: SqlValue,
  { TypedParameter }: Pick<typeof mysql, "TypedParameter">,
): ReturnType<typeof mysql.TypedParameter.LONGLONG> | string | number | boolean | Buffer | null {
  if (typeof value === "bigint") {
    return value > 9223372036854775807n
      ? TypedParameter.LONGLONG.unsigned(value)
      : TypedParameter.LONGLONG(value);
  }
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value === "number" && Number.isSafeInteger(value)) {
    return TypedParameter.LONGLONG(value);
  }
  return value;
}
