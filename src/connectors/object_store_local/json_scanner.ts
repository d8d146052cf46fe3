import type { RowSpans } from "./payload_builder.ts";

/** Finds rows in a stretch of bytes. Keeps no bytes: what it has not consumed is given again, with more behind it. */
export interface RowScanner {
  /**
   * Looks for rows in `bytes` from `from` on and notes them in `spans`, up to its length, or as long as all of them together have at most
   * `maxBytes` (then `spans.full` is set).
   *
   * @param final no more bytes follow: what is left over is a row too, if it is anything
   * @returns up to where the bytes are consumed
   */
  scan(bytes: Uint8Array, from: number, spans: RowSpans, maxBytes: number, final: boolean): number;
  /** Number of the next row. */
  row: number;
  /** True when only insignificant bytes (blanks, the end of the array) lie in `bytes` from `from` on. */
  isBlank(bytes: Uint8Array, from: number): boolean;
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === NEWLINE || byte === RETURN || byte === TAB;
}

function onlySpaces(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    if (!isSpace(bytes[at] ?? 0)) return false;
  }
  return true;
}

/** One row a line. Blank lines are no rows, but count as line numbers. */
export class LineScanner implements RowScanner {
  row: number;

  constructor(row: number) {
    this.row = row;
  }

  scan(
    bytes: Uint8Array,
    from: number,
    spans: RowSpans,
    maxBytes: number,
    final: boolean,
  ): number {
    const limit = spans.starts.length;
    let at = from;
    let room = maxBytes;
    while (spans.count < limit && this.row < spans.stopRow) {
      let end = bytes.indexOf(NEWLINE, at);
      if (end === -1) {
        if (!final || at >= bytes.length) break;
        end = bytes.length;
      }
      const last = end > at && bytes[end - 1] === RETURN ? end - 1 : end;
      if (!onlySpaces(bytes, at, last)) {
        if (last - at > room && !(spans.anyFirst && spans.count === 0)) {
          spans.full = true;
          break;
        }
        spans.starts[spans.count] = at;
        spans.ends[spans.count] = last;
        spans.numbers[spans.count] = this.row;
        spans.count += 1;
        room -= last - at;
      }
      this.row += 1;
      at = Math.min(end + 1, bytes.length);
    }
    return at;
  }

  isBlank(bytes: Uint8Array, from: number): boolean {
    return onlySpaces(bytes, from, bytes.length);
  }
}

/**
 * One row per JSON value: the elements of one big array, or values that stand one after the other. It only follows brackets and quotes,
 * so that a broken element comes out as a row of its own that the decoder refuses. A line break within a string (not
 * allowed in JSON) ends that string, which keeps a missing quote from swallowing the rest of the file.
 */
export class ValueScanner implements RowScanner {
  row: number;
  /** `start` until the array's bracket was seen. */
  #phase: "start" | "elements" | "end";
  readonly #inArray: boolean;

  /** @param started true when reading goes on behind the array's opening bracket */
  constructor(row: number, inArray: boolean, started: boolean) {
    this.row = row;
    this.#inArray = inArray;
    this.#phase = inArray && !started ? "start" : "elements";
  }

  scan(
    bytes: Uint8Array,
    from: number,
    spans: RowSpans,
    maxBytes: number,
    final: boolean,
  ): number {
    const limit = spans.starts.length;
    let at = from;
    let room = maxBytes;
    while (spans.count < limit && this.row < spans.stopRow) {
      at = this.#skipBetween(bytes, at);
      if (at >= bytes.length || this.#phase === "end") break;
      let end = valueEnd(bytes, at);
      if (end === -1) {
        if (!final) break;
        end = bytes.length;
      }
      if (end - at > room && !(spans.anyFirst && spans.count === 0)) {
        spans.full = true;
        break;
      }
      spans.starts[spans.count] = at;
      spans.ends[spans.count] = end;
      spans.numbers[spans.count] = this.row;
      spans.count += 1;
      this.row += 1;
      room -= end - at;
      at = end;
    }
    return this.#phase === "end" ? bytes.length : at;
  }

  isBlank(bytes: Uint8Array, from: number): boolean {
    const at = this.#skipBetween(bytes, from);
    return at >= bytes.length || this.#phase === "end";
  }

  #skipBetween(bytes: Uint8Array, from: number): number {
    let at = from;
    for (; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (isSpace(byte) || byte === COMMA) continue;
      if (this.#inArray && byte === OPEN_LIST && this.#phase === "start") this.#phase = "elements";
      else if (this.#inArray && byte === CLOSE_LIST) {
        this.#phase = "end";
        return bytes.length;
      } else break;
    }
    return at;
  }
}

/** Where the value that starts at `from` ends (exclusive), -1 when it goes on behind the bytes. */
export function valueEnd(bytes: Uint8Array, from: number): number {
  const first = bytes[from];
  if (first !== OPEN_OBJECT && first !== OPEN_LIST) {
    return first === QUOTE ? stringEnd(bytes, from) : scalarEnd(bytes, from);
  }
  let depth = 0;
  for (let at = from; at < bytes.length; at += 1) {
    switch (bytes[at]) {
      case QUOTE: {
        const end = stringEnd(bytes, at);
        if (end === -1) return -1;
        at = end - 1;
        break;
      }
      case OPEN_OBJECT:
      case OPEN_LIST:
        depth += 1;
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        depth -= 1;
        if (depth === 0) return at + 1;
        break;
    }
  }
  return -1;
}

function stringEnd(bytes: Uint8Array, from: number): number {
  for (let at = from + 1; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at += 1;
    else if (byte === QUOTE || byte === NEWLINE) return at + 1;
  }
  return -1;
}

function scalarEnd(bytes: Uint8Array, from: number): number {
  for (let at = from + 1; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === COMMA || byte === CLOSE_LIST || isSpace(byte)) return at;
  }
  return -1;
}
