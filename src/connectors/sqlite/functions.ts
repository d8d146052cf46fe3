import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { nearestFourDigitYear } from "../../core/utc_time.ts";
import { doubleText } from "../../sql/number_text.ts";
import { engineText, exactValue } from "./exact_value.ts";
import type { SqliteValue } from "./protocol.ts";
import { dateText, isOtherTime, localText, parseTime, zonedText } from "./time_text.ts";

/** Arguments of `flow_encode` per call: SQLite takes 127 in a call. */
export const ENCODED_VALUES_PER_CALL = 50;

const text = new TextEncoder();

/**
 * The functions that `sqliteDialect` writes into statements:
 *
 * - `flow_lower(x)`, `flow_upper(x)`: of all letters, one by one as the engine does it; SQLite's own know ASCII only.
 * - `flow_cast(x, from, to)`: as the engine type `to`, or an error.
 * - `flow_encode(type, x, …)`: the values for a hash: `N`, or length, `:` and the engine's text.
 * - `flow_sha256(x)`: of a text's UTF-8, as a blob.
 * - `flow_real(x)`: the fewest digits that give the number again.
 * - `flow_add_seconds(x, seconds, type)`.
 */
export function registerFunctions(database: DatabaseSync): FunctionErrors {
  const errors = new FunctionErrors();
  const define = (name: string, work: (...values: SqliteValue[]) => SqliteValue) =>
    database.function(
      name,
      { deterministic: true, useBigIntArguments: true, varargs: true },
      (...values: unknown[]) => errors.watch(() => work(...values as SqliteValue[])),
    );
  define("flow_lower", (value) => mapLetters(value, (letter) => letter.toLowerCase()));
  define("flow_upper", (value) => mapLetters(value, (letter) => letter.toUpperCase()));
  define(
    "flow_cast",
    (value, from, to) => exactValue(value ?? null, String(from), String(to)),
  );
  define("flow_encode", (...values) => encode(values));
  define(
    "flow_sha256",
    (value) => new Uint8Array(createHash("sha256").update(String(value)).digest()),
  );
  define("flow_real", (value) => doubleText(Number(value)));
  define("flow_add_seconds", (value, seconds, type) => addSeconds(value, seconds, String(type)));
  return errors;
}

/**
 * What a function has thrown, which is asked for after every statement. The runtime ends a statement whose function throws, but not always
 * tells of it, and its `all()` never returns then.
 */
export class FunctionErrors {
  #error: unknown;
  #keeps = false;

  /** Runs a function's work; what it throws is kept, and thrown on unless {@link keeping}. */
  watch(work: () => SqliteValue): SqliteValue {
    try {
      return work();
    } catch (error) {
      this.#error ??= error;
      if (this.#keeps) return null;
      throw error;
    }
  }

  /** Runs a statement whose functions must not throw: they give NULL, and the result is not to be used when {@link throwIfAny} throws. */
  keeping<T>(statement: () => T): T {
    this.#keeps = true;
    try {
      return statement();
    } finally {
      this.#keeps = false;
    }
  }

  /** Throws what a function of the last statement has thrown. */
  throwIfAny(): void {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
  }
}

/** Letter by letter: what would become two letters (`ß`) stays, as one letter never becomes another number of them in the engine. */
function mapLetters(
  value: SqliteValue | undefined,
  map: (letter: string) => string,
): SqliteValue {
  if (value === null || value === undefined) return null;
  const given = String(value);
  const mapped = map(given);
  if (mapped.length === given.length && !given.includes("Σ")) return mapped;
  return Array.from(given, (letter) => {
    const one = map(letter);
    return Array.from(one).length === 1 ? one : letter;
  }).join("");
}

function encode(values: readonly SqliteValue[]): string {
  let encoded = "";
  for (let at = 0; at < values.length; at += 2) {
    const written = engineText(values[at + 1] ?? null, String(values[at]));
    encoded += written === null ? "N" : `${text.encode(written).length}:${written}`;
  }
  return encoded;
}

function addSeconds(
  value: SqliteValue | undefined,
  seconds: SqliteValue | undefined,
  type: string,
): SqliteValue {
  if (value === null || value === undefined || seconds === null) return null;
  const given = String(value);
  const micros = parseTime(given);
  if (micros === undefined) {
    if (isOtherTime(given)) return given;
    throw new Error(`the value '${given.slice(0, 80)}' is no time`);
  }
  const sum = nearestFourDigitYear(micros + BigInt(Math.round(Number(seconds) * 1_000_000)));
  if (type === "TIMESTAMP") return localText(sum);
  return type === "DATE" ? dateText(sum) : zonedText(sum);
}
