import type { RowSpans } from "./payload_builder.ts";

/**
 * Finds rows in a stretch of bytes. Keeps no bytes, but how far it has looked: what it has not consumed must be given again, with more behind
 * it.
 */
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
  /** Bytes of the next line that are known to hold no line end. */
  #passed = 0;

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
      let end = bytes.indexOf(NEWLINE, at + this.#passed);
      if (end === -1) {
        this.#passed = bytes.length - at;
        if (!final || at >= bytes.length) break;
        end = bytes.length;
      }
      this.#passed = 0;
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
  readonly #end = new ValueEnd();

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
      let end = this.#end.find(bytes, at);
      if (end === -1) {
        if (!final) break;
        this.#end.forget();
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
  return new ValueEnd().find(bytes, from);
}

/** Looks for the end of a value that comes in pieces: each byte is looked at once. */
class ValueEnd {
  /** Bytes of the value that were looked at; one more where the next byte is escaped. */
  #passed = 0;
  #depth = 0;
  #inString = false;

  /**
   * Where the value ends (exclusive), -1 when it goes on behind the bytes. Then the next call goes on, with the same bytes and more behind them.
   *
   * @param from where the value starts
   */
  find(bytes: Uint8Array, from: number): number {
    const first = bytes[from];
    const at = from + Math.max(1, this.#passed);
    const end = first === OPEN_OBJECT || first === OPEN_LIST
      ? this.#nestedEnd(bytes, from + this.#passed)
      : first === QUOTE
      ? stringEnd(bytes, at)
      : scalarEnd(bytes, at);
    if (end >= 0) {
      this.forget();
      return end;
    }
    this.#passed = ~end - from;
    return -1;
  }

  /** The value is done with: the next one begins. */
  forget(): void {
    this.#passed = 0;
    this.#depth = 0;
    this.#inString = false;
  }

  #nestedEnd(bytes: Uint8Array, from: number): number {
    let at = from;
    let depth = this.#depth;
    for (;;) {
      if (this.#inString) {
        at = stringEnd(bytes, at);
        if (at < 0) return at;
        this.#inString = false;
      }
      for (; at < bytes.length && !this.#inString; at += 1) {
        switch (bytes[at]) {
          case QUOTE:
            this.#inString = true;
            break;
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
      this.#depth = depth;
      if (!this.#inString) return ~at;
    }
  }
}

/** Where the string ends that `at` lies in (exclusive); when it does not, `~` of where to go on. */
function stringEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at += 1;
    else if (byte === QUOTE || byte === NEWLINE) return at + 1;
  }
  return ~at;
}

/** As {@link stringEnd}, of a number or a word. */
function scalarEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === COMMA || byte === CLOSE_LIST || isSpace(byte)) return at;
  }
  return ~at;
}
