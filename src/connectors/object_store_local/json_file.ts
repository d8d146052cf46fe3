import { BrokenFileError, FileReads } from "./broken_file.ts";
import { ByteStream } from "./byte_stream.ts";
import type { Compression } from "./file_format.ts";
import { LineScanner, type RowScanner, valueEnd, ValueScanner } from "./json_scanner.ts";
import { newSpans, type PayloadBuilder, type RowSpans } from "./payload_builder.ts";
import type { FilePosition } from "./position.ts";

/**
 * What bytes behind the last line break are, at the file's present end: a line that is still being written, a row, or either: a row where they
 * are JSON.
 */
export type LastLine = "unfinished" | "row" | "row_if_whole";

/** How the JSON values of a file stand. */
export type JsonLayout = "lines" | "array" | "values";

/** How far the rows of a file went into a batch. */
export interface Filled {
  readonly position: FilePosition;
  /** The file's present end is reached: what is left is blank, or an unfinished line. */
  readonly atEnd: boolean;
}

/** A row may be this long; what is longer is taken for a bracket or quote that was never closed rather than held in memory. */
export const MAX_ROW_BYTES = 64 * 1024 * 1024;
const HEAD_BYTES = 64 * 1024;
const SPANS = 8192;
const BOM_BYTES = 3;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const OPEN_OBJECT = 0x7b;

/**
 * Finds out how the values of a `.json` file stand, from its first bytes: `[` starts an array; where the first value fills just
 * the first line there is one a line; otherwise values follow one another, spread over lines.
 */
export async function jsonLayout(path: string, compression: Compression): Promise<JsonLayout> {
  const stream = await ByteStream.open(path, compression, 0);
  try {
    let head = new Uint8Array(0);
    while (head.length < HEAD_BYTES) {
      const chunk = await stream.next();
      if (chunk === undefined) break;
      const joined = new Uint8Array(head.length + chunk.length);
      joined.set(head);
      joined.set(chunk, head.length);
      head = joined;
    }
    return layoutOf(head.subarray(bomLength(head)));
  } finally {
    await stream.close();
  }
}

function layoutOf(head: Uint8Array): JsonLayout {
  const start = head.findIndex((byte) => byte > SPACE);
  const first = head[start];
  if (first === OPEN_LIST) return "array";
  if (first !== OPEN_OBJECT) return "lines";
  const lineEnd = head.indexOf(NEWLINE, start);
  const end = valueEnd(head, start);
  if (end !== -1 && (lineEnd === -1 || end <= lineEnd)) {
    const next = head.subarray(end, lineEnd === -1 ? head.length : lineEnd).find((b) => b > SPACE);
    return next === OPEN_OBJECT || next === COMMA ? "values" : "lines";
  }
  // The first value is spread over lines, unless the next line starts another one: then the first line is broken.
  const next = head.subarray(lineEnd + 1).find((byte) => byte > SPACE);
  return lineEnd === -1 || next === OPEN_OBJECT ? "lines" : "values";
}

function bomLength(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? BOM_BYTES : 0;
}

/** Reads the rows of one JSON file, from a position on, into batches of payloads. */
export class JsonFileReader {
  readonly #path: string;
  readonly #stream: ByteStream;
  readonly #scanner: RowScanner;
  readonly #spans = newSpans(SPANS);
  /** Rows below this number are passed over: the position told the row only. */
  readonly #firstRow: number;
  #buffer = new Uint8Array(0);
  #from = 0;
  #to = 0;
  /** Number of the buffer's first byte within the file. */
  #base: number;
  #ended = false;
  /** Reading behind the buffer, and why that cannot be. */
  readonly #reads = new FileReads();

  private constructor(
    path: string,
    stream: ByteStream,
    scanner: RowScanner,
    base: number,
    firstRow: number,
  ) {
    this.#path = path;
    this.#stream = stream;
    this.#scanner = scanner;
    this.#base = base;
    this.#firstRow = firstRow;
  }

  static async open(
    path: string,
    compression: Compression,
    layout: JsonLayout,
    position: FilePosition,
    size: number,
  ): Promise<JsonFileReader> {
    const from = position.bytes ?? 0;
    const row = position.bytes === undefined ? 0 : position.rows;
    const stream = await ByteStream.open(path, compression, from, size);
    const scanner = layout === "lines"
      ? new LineScanner(row)
      : new ValueScanner(row, layout === "array", from > 0);
    return new JsonFileReader(path, stream, scanner, from, position.rows);
  }

  /**
   * Adds rows to the builder until it is full or nothing more is there now.
   *
   * @param lastLine what a last line without line break is
   * @throws BrokenFileError once the rows in front of the broken place have been handed over
   */
  async fill(
    builder: PayloadBuilder,
    partition: number,
    lastLine: LastLine,
    signal: AbortSignal,
  ): Promise<Filled> {
    const before = builder.count;
    let full = false;
    while (!(full ||= builder.roomRows === 0) && !signal.aborted) {
      const found = this.#scan(builder, partition, this.#ended && this.#isRow(lastLine));
      full = found.full;
      if (found.count > 0 || full) continue;
      if (this.#ended) break;
      if (this.#reads.fault !== undefined && builder.count > before) break;
      await this.#refill().catch((error: unknown) => {
        if (error !== this.#reads.fault || builder.count === before) throw error;
      });
    }
    const bytes = this.#base + this.#from;
    const seal = this.#stream.seal(bytes);
    const sealed = seal === undefined ? {} : { seal };
    const position = { rows: this.#nextRow(), bytes, done: false, ...sealed };
    return { position, atEnd: full ? await this.#onlyBlanksFollow() : this.#ended };
  }

  /** True unless the position's seal tells that it is in another file than this one. */
  isInSealed({ bytes, seal }: FilePosition): boolean {
    const own = bytes === undefined ? undefined : this.#stream.seal(bytes);
    return seal === undefined || own === undefined || own === seal;
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  #isRow(lastLine: LastLine): boolean {
    if (lastLine !== "row_if_whole") return lastLine === "row";
    const rest = this.#buffer.subarray(this.#from, this.#to);
    if (rest.includes(NEWLINE)) return false;
    try {
      JSON.parse(new TextDecoder().decode(rest));
      return true;
    } catch {
      return false;
    }
  }

  /** Hands the rows in the buffer to the builder, or passes over those before the first one wanted. */
  #scan(builder: PayloadBuilder, partition: number, final: boolean): RowSpans {
    const unwanted = this.#firstRow - this.#scanner.row;
    const limit = unwanted > 0 ? SPANS : Math.min(SPANS, builder.roomRows);
    const spans = {
      ...this.#spans,
      count: 0,
      full: false,
      // A row of any length fits into an empty batch.
      anyFirst: builder.count === 0,
      stopRow: unwanted > 0 ? this.#firstRow : Infinity,
      starts: this.#spans.starts.subarray(0, limit),
    };
    const room = unwanted > 0 ? Infinity : builder.roomBytes;
    const bytes = this.#buffer.subarray(0, this.#to);
    this.#from = this.#scanner.scan(bytes, this.#from, spans, room, final);
    if (unwanted <= 0) builder.add(bytes, spans, partition);
    return spans;
  }

  /** Reads on, or notes the end of the file. */
  async #refill(): Promise<void> {
    // A byte order mark is seen as a whole, or bytes would be looked at that are no text.
    do await this.#reads.read(() => this.#readOn()); while (
      this.#base === 0 && this.#to < BOM_BYTES && !this.#ended
    );
  }

  async #readOn(): Promise<void> {
    const chunk = await this.#stream.next();
    if (chunk === undefined) {
      this.#ended = true;
      return;
    }
    const kept = this.#to - this.#from;
    const needed = kept + chunk.length;
    if (needed > MAX_ROW_BYTES) {
      throw new BrokenFileError(
        this.#path,
        `row ${this.#scanner.row} is longer than ${MAX_ROW_BYTES} bytes (a bracket, a quote or a line may never end)`,
        {
          code: "file_row_too_long",
          hint: "is the file newline JSON or an array of objects?",
        },
      );
    }
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(this.#from, this.#to));
      this.#buffer = larger;
    } else if (this.#from > 0) this.#buffer.copyWithin(0, this.#from, this.#to);
    this.#buffer.set(chunk, kept);
    this.#base += this.#from;
    this.#from = 0;
    this.#to = needed;
    if (this.#base === 0 && this.#scanner.row === 0) {
      this.#from = bomLength(this.#buffer.subarray(0, this.#to));
    }
  }

  async #onlyBlanksFollow(): Promise<boolean> {
    while (this.#scanner.isBlank(this.#buffer.subarray(0, this.#to), this.#from)) {
      if (this.#ended) return true;
      // A broken place behind these rows is for the next call to tell.
      if (this.#reads.fault !== undefined) return false;
      await this.#refill().catch((error: unknown) => {
        if (error !== this.#reads.fault) throw error;
      });
    }
    return false;
  }

  #nextRow(): number {
    return Math.max(this.#scanner.row, this.#firstRow);
  }
}
