import { BrokenFileError, FileReads } from "./broken_file.ts";
import { ByteStream } from "./byte_stream.ts";
import type { Compression } from "./file_format.ts";

/** The characters that give CSV its structure, as bytes; `-1` for none. */
export interface CsvDialect {
  readonly delimiter: number;
  readonly quote: number;
  readonly escape: number;
  readonly comment: number;
}

/** Records of a piece of a file, copied one after the other, each ended by a line feed. */
export interface CsvPiece {
  readonly bytes: Uint8Array;
  /** Where the records start in `bytes`; the end of record i is one byte before the start of i + 1. */
  readonly starts: readonly number[];
  /** True when the last record ends within quotes: the file is cut off, or a quote is missing. */
  readonly unclosed: boolean;
  /** Where the next record starts in the file's text. */
  readonly nextByte: number;
  readonly atEnd: boolean;
}

/** What is longer is taken for a quote that was never closed rather than held in memory. */
const MAX_RECORD_BYTES = 64 * 1024 * 1024;
const BOM_BYTES = 3;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Cuts a CSV file into pieces of whole records. Follows quotes only: whether the fields make sense is for the engine to say. */
export class CsvRecordReader {
  readonly #path: string;
  readonly #dialect: CsvDialect;
  readonly #stream: ByteStream;
  /** Blank lines are records in files of one column, where they stand for NULL. */
  keepBlank = false;
  /** The bytes that were read and not consumed, at the start of `#space`. */
  #buffer = new Uint8Array(0);
  #space = new Uint8Array(0);
  #from = 0;
  #base: number;
  #ended = false;
  /** Reading behind the buffer, and why that cannot be. */
  readonly #reads = new FileReads();

  private constructor(path: string, dialect: CsvDialect, stream: ByteStream, base: number) {
    this.#path = path;
    this.#dialect = dialect;
    this.#stream = stream;
    this.#base = base;
  }

  static async open(
    path: string,
    compression: Compression,
    dialect: CsvDialect,
    fromByte: number,
  ): Promise<CsvRecordReader> {
    const stream = await ByteStream.open(path, compression, fromByte);
    return new CsvRecordReader(path, dialect, stream, fromByte);
  }

  /**
   * The next records, at least one where there is one, and at most `maxRows` of together `maxBytes` (a longer one comes alone).
   *
   * @throws BrokenFileError once the records in front of the broken place have been handed over
   */
  async next(maxRows: number, maxBytes: number): Promise<CsvPiece> {
    const starts: number[] = [];
    let piece = new Uint8Array(Math.min(maxBytes, 256 * 1024));
    let used = 0;
    let unclosed = false;
    while (starts.length < maxRows) {
      const record = await this.#record().catch((error: unknown) => {
        if (starts.length === 0 || error !== this.#reads.fault) throw error;
        return undefined;
      });
      if (record === undefined) break;
      const { from, to } = record;
      const length = to - from + 1;
      if (starts.length > 0 && used + length > maxBytes) {
        // Left for the next piece: nothing of it is consumed.
        this.#from = record.start;
        break;
      }
      if (used + length > piece.length) {
        const larger = new Uint8Array(Math.max(used + length, piece.length * 2));
        larger.set(piece.subarray(0, used));
        piece = larger;
      }
      starts.push(used);
      piece.set(this.#buffer.subarray(from, to), used);
      piece[used + length - 1] = NEWLINE;
      used += length;
      unclosed = record.unclosed;
    }
    return {
      bytes: piece.subarray(0, used),
      starts,
      unclosed,
      nextByte: this.#base + this.#from,
      atEnd: await this.#onlyBlanksFollow(),
    };
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  /** Consumes one record that is to be kept; gives its place in the buffer without its line end. */
  async #record(): Promise<
    { start: number; from: number; to: number; unclosed: boolean } | undefined
  > {
    for (;;) {
      const end = this.#recordEnd();
      if (end === -1 && !this.#ended) {
        await this.#refill();
        continue;
      }
      const start = this.#from;
      if (end === -1 && start >= this.#buffer.length) return undefined;
      // Without a line end the last record is whole only when its quotes are closed.
      const unclosed = end === -1 && this.#quoted;
      this.#forget();
      const stop = end === -1 ? this.#buffer.length : end;
      this.#from = Math.min(stop + 1, this.#buffer.length);
      const to = stop > start && this.#buffer[stop - 1] === RETURN ? stop - 1 : stop;
      if (to === start && !this.keepBlank) continue;
      if (this.#buffer[start] === this.#dialect.comment) continue;
      return { start, from: start, to, unclosed };
    }
  }

  /** The first quote in the buffer from `#from` on, as far as that is known; looked for once, not for every record. */
  #nextQuote = -1;
  /** Bytes of the record at `#from` that were looked at: it may come in many pieces. */
  #passed = 0;
  /** The record has a quote: it is followed byte by byte. */
  #hasQuote = false;
  /** Whether the place behind the bytes that were looked at lies within quotes, or at the start of a field. */
  #quoted = false;
  #fieldStart = true;

  /** The record at `#from` is done with. */
  #forget(): void {
    this.#passed = 0;
    this.#hasQuote = false;
    this.#quoted = false;
    this.#fieldStart = true;
  }

  /** Where the record that starts at `#from` ends: the place of its line feed, -1 when that is not in the buffer. Goes on where it ended. */
  #recordEnd(): number {
    if (!this.#hasQuote) {
      const end = this.#lineEnd();
      if (end !== undefined) return end;
      this.#forget();
      this.#hasQuote = true;
    }
    return this.#quotedEnd();
  }

  /** The end of a record without quotes, as nearly all are; `undefined` when it has some. */
  #lineEnd(): number | undefined {
    const { quote, comment } = this.#dialect;
    const bytes = this.#buffer;
    const start = this.#from;
    const at = start + this.#passed;
    const lineEnd = bytes.indexOf(NEWLINE, at);
    if (bytes[start] !== comment) {
      if (this.#nextQuote < start) {
        const found = quote === -1 ? -1 : bytes.indexOf(quote, at);
        this.#nextQuote = found === -1 ? Infinity : found;
      }
      if (this.#nextQuote <= (lineEnd === -1 ? bytes.length : lineEnd)) return undefined;
    }
    if (lineEnd === -1) this.#passed = bytes.length - start;
    return lineEnd;
  }

  #quotedEnd(): number {
    const { delimiter, quote, escape } = this.#dialect;
    const bytes = this.#buffer;
    let quoted = this.#quoted;
    let fieldStart = this.#fieldStart;
    let at = this.#from + this.#passed;
    for (; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (quoted) {
        if (byte === escape && escape !== quote) at += 1;
        else if (byte === quote) {
          // Whether it closes the field is told by the next byte.
          if (escape === quote && at + 1 === bytes.length && !this.#ended) break;
          if (escape === quote && bytes[at + 1] === quote) at += 1;
          else quoted = false;
        }
        continue;
      }
      if (byte === NEWLINE) return at;
      // A quote has a meaning at the start of a field only.
      if (byte === quote && fieldStart) quoted = true;
      fieldStart = byte === delimiter;
    }
    this.#passed = at - this.#from;
    this.#quoted = quoted;
    this.#fieldStart = fieldStart;
    return -1;
  }

  async #refill(): Promise<void> {
    // A byte order mark is seen as a whole, or bytes would be looked at that are no text.
    do await this.#reads.read(() => this.#readOn()); while (
      this.#base === 0 && this.#buffer.length < BOM_BYTES && !this.#ended
    );
  }

  async #readOn(): Promise<void> {
    const chunk = await this.#stream.next();
    if (chunk === undefined) {
      this.#ended = true;
      return;
    }
    const kept = this.#buffer.length - this.#from;
    if (kept > MAX_RECORD_BYTES) {
      throw new BrokenFileError(
        this.#path,
        `the record at byte ${this.#base + this.#from} is longer than ${MAX_RECORD_BYTES} bytes`,
        {
          code: "file_row_too_long",
          hint: "a quote may never be closed; check csv_read_options.quote and .escape",
        },
      );
    }
    const needed = kept + chunk.length;
    if (needed > this.#space.length) {
      const larger = new Uint8Array(Math.max(needed, this.#space.length * 2));
      larger.set(this.#buffer.subarray(this.#from));
      this.#space = larger;
    } else if (this.#from > 0) this.#space.copyWithin(0, this.#from, this.#buffer.length);
    this.#space.set(chunk, kept);
    this.#base += this.#from;
    this.#buffer = this.#space.subarray(0, needed);
    this.#from = 0;
    this.#nextQuote = -1;
    const [first, second, third] = this.#buffer;
    const bom = first === 0xef && second === 0xbb && third === 0xbf;
    if (this.#base === 0 && bom) this.#from = BOM_BYTES;
  }

  async #onlyBlanksFollow(): Promise<boolean> {
    for (;;) {
      const rest = this.#buffer.subarray(this.#from);
      if (rest.some((byte) => byte !== NEWLINE && byte !== RETURN)) return false;
      if (this.keepBlank && rest.length > 0) return false;
      if (this.#ended) return true;
      // A broken place behind these records is for the next call to tell.
      if (this.#reads.fault !== undefined) return false;
      await this.#refill().catch((error: unknown) => {
        if (error !== this.#reads.fault) throw error;
      });
    }
  }
}

/** The fields of one record, for the header. */
export function splitFields(record: Uint8Array, dialect: CsvDialect): string[] {
  const text = new TextDecoder().decode(record).replace(/[\r\n]+$/, "");
  const character = (byte: number) => byte === -1 ? undefined : String.fromCharCode(byte);
  const delimiter = character(dialect.delimiter);
  const quote = character(dialect.quote);
  const escape = character(dialect.escape);
  const fields: string[] = [];
  let field = "";
  let quoted = false;
  let wasQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const next = text[at] ?? "";
    if (quoted && next === escape && text[at + 1] === quote) {
      field += quote;
      at += 1;
    } else if (quoted && next === quote) quoted = false;
    else if (!quoted && !wasQuoted && next === quote && field === "") quoted = wasQuoted = true;
    else if (!quoted && next === delimiter) {
      fields.push(field);
      field = "";
      wasQuoted = false;
    } else field += next;
  }
  return [...fields, field];
}
