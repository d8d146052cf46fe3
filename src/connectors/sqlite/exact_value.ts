import {
  type DecimalSize,
  decimalSize,
  hasCommonValues,
  type IntegerRange,
  integerRange,
} from "../../core/engine_type.ts";
import { doubleText } from "../../sql/number_text.ts";
import type { SqliteValue } from "./protocol.ts";
import {
  dateText,
  engineTimeText,
  isOtherTime,
  localText,
  parseTime,
  zonedText,
} from "./time_text.ts";

/** The greatest value of the integer types that SQLite holds as such; those of wider ones are text. */
const GREATEST_STORED = 9223372036854775807n;
const NUMBER = /^\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?\s*$/;
/** A time of the day up to six decimals of its seconds, and what is cut off. */
const TIME_OF_DAY = /^\s*(\d{1,2}:\d{2})(?:(:\d{2})(?:(\.\d{1,6})\d*)?)?\s*$/;
const UUID =
  /^\s*\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?\s*$/i;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The value as SQLite keeps a value of the engine type `to`; nothing of it is lost.
 *
 * @throws Error when the value does not fit.
 */
export function exactValue(value: SqliteValue, from: string, to: string): SqliteValue {
  if (value === null) return null;
  const fitted = fit(value, from, to);
  if (fitted !== undefined) return fitted;
  const shown = value instanceof Uint8Array ? `${value.length} bytes` : String(value).slice(0, 80);
  throw new Error(`the value '${shown}' does not fit ${to}`);
}

/** The engine's text of a value that SQLite keeps for the engine type: `true`, `2026-01-31 12:00:00.5+00`. */
export function engineText(value: SqliteValue, type: string): string | null {
  if (value === null) return null;
  if (type === "BOOLEAN" && typeof value !== "string") {
    return Number(value) === 0 ? "false" : "true";
  }
  if (type === "DOUBLE" || type === "FLOAT") return doubleText(Number(value));
  if (value instanceof Uint8Array) return type === "BLOB" ? blobText(value) : utf8.decode(value);
  if (typeof value === "number") return doubleText(value);
  if (typeof value === "string") {
    if (type === "TIMESTAMP" || type === "TIMESTAMP WITH TIME ZONE") {
      const micros = parseTime(value);
      if (micros === undefined) return value;
      return `${engineTimeText(micros)}${type === "TIMESTAMP" ? "" : "+00"}`;
    }
    if (type === "BLOB") return blobText(new TextEncoder().encode(value));
  }
  return String(value);
}

function fit(
  value: Exclude<SqliteValue, null>,
  from: string,
  to: string,
): SqliteValue | undefined {
  const range = integerRange(to);
  if (range !== undefined) return integerOf(value, range);
  const size = decimalSize(to);
  if (size !== undefined) return decimalOf(value, size);
  const text = typeof value === "string" ? value : undefined;
  switch (to) {
    case "BOOLEAN":
      return booleanOf(value);
    case "DOUBLE":
    case "FLOAT":
      return floatOf(value);
    case "DATE":
    case "TIMESTAMP":
    case "TIMESTAMP WITH TIME ZONE":
      return text === undefined ? undefined : timeOf(text, to);
    case "VARCHAR":
      return textOf(value, from);
    case "JSON":
      return jsonOf(value, from);
    case "BLOB":
      if (value instanceof Uint8Array) return value;
      return text !== undefined && hasCommonValues(from, to) ? bytesOf(text) : undefined;
    case "TIME":
      return text === undefined ? undefined : TIME_OF_DAY.exec(text)?.slice(1).join("");
    case "UUID":
      return text === undefined ? undefined : UUID.exec(text)?.slice(1).join("-").toLowerCase();
    default:
      return value;
  }
}

function integerOf(
  value: SqliteValue,
  { least, greatest }: IntegerRange,
): SqliteValue | undefined {
  const whole = typeof value === "bigint"
    ? value
    : typeof value === "number"
    ? (Number.isInteger(value) ? BigInt(value) : undefined)
    : typeof value === "string" && /^\s*[+-]?\d+(\.0*)?\s*$/.test(value)
    ? BigInt(value.trim().replace(/^\+/, "").replace(/\.0*$/, ""))
    : undefined;
  if (whole === undefined || whole < least || whole > greatest) return undefined;
  return greatest <= GREATEST_STORED ? whole : String(whole);
}

function decimalOf(value: SqliteValue, { precision, scale }: DecimalSize): string | undefined {
  if (value instanceof Uint8Array) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] = NUMBER.exec(String(value)) ?? [];
  if (sign === undefined || whole + fraction === "") return undefined;
  const shift = Number(exponent) - fraction.length + scale;
  const all = whole + fraction;
  const kept = shift >= 0 ? all + "0".repeat(Math.min(shift, 100)) : all.slice(0, shift);
  const cut = shift >= 0 ? "" : all.slice(shift);
  const digits = kept.replace(/^0+/, "");
  if (/[1-9]/.test(cut) || digits.length > precision) return undefined;
  const padded = digits.padStart(scale + 1, "0");
  const text = scale === 0 ? padded : `${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
  return sign === "-" && digits !== "" ? `-${text}` : text;
}

function booleanOf(value: SqliteValue): bigint | undefined {
  if (value instanceof Uint8Array) return undefined;
  const text = String(value).trim().toLowerCase();
  if (["true", "t", "yes", "y"].includes(text)) return 1n;
  if (["false", "f", "no", "n"].includes(text)) return 0n;
  // A decimal is text: `1.00`.
  const [, digit] = /^([01])(?:\.0*)?$/.exec(text) ?? [];
  return digit === undefined ? undefined : BigInt(digit);
}

function floatOf(value: SqliteValue): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return BigInt(Number(value)) === value ? Number(value) : undefined;
  if (typeof value !== "string") return undefined;
  const infinite = /^\s*([+-]?)inf(inity)?\s*$/i.exec(value);
  if (infinite !== null) return infinite[1] === "-" ? -Infinity : Infinity;
  return NUMBER.test(value) && /\d/.test(value) && Number.isFinite(Number(value))
    ? Number(value)
    : undefined;
}

function timeOf(text: string, type: string): string | undefined {
  const micros = parseTime(text);
  if (micros === undefined) return isOtherTime(text) ? text : undefined;
  if (type === "TIMESTAMP") return localText(micros);
  if (type !== "DATE") return zonedText(micros);
  return parseTime(dateText(micros)) === micros ? dateText(micros) : undefined;
}

function textOf(value: Exclude<SqliteValue, null>, from: string): string | undefined {
  if (value instanceof Uint8Array) {
    try {
      return utf8.decode(value);
    } catch {
      return undefined;
    }
  }
  return engineText(value, from) ?? undefined;
}

function jsonOf(value: Exclude<SqliteValue, null>, from: string): string | undefined {
  const text = textOf(value, from);
  if (text === undefined) return undefined;
  const isText = typeof value === "string" && from !== "VARCHAR" && !from.startsWith("DECIMAL");
  if (isText) return JSON.stringify(text);
  try {
    JSON.parse(text);
    return text;
  } catch {
    return undefined;
  }
}

function bytesOf(text: string): Uint8Array {
  if (!/^\\x([0-9a-f]{2})*$/i.test(text)) return new TextEncoder().encode(text);
  return Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function blobText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    // As DuckDB writes bytes: what is printable as it is, but for backslashes and quotes.
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x5c && byte !== 0x27 && byte !== 0x22;
    text += isPlain
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return text;
}
