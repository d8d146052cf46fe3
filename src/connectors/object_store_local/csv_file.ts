import { quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import { BrokenFileError, engineFault } from "./broken_file.ts";
import { type CsvDialect, type CsvPiece, CsvRecordReader, splitFields } from "./csv_records.ts";
import { fitsType, inferTypes } from "./csv_types.ts";
import type { Compression } from "./file_format.ts";
import type { CsvReadOptions } from "./options.ts";
import type { FilePosition } from "./position.ts";
import {
  EVENT_TIME_COLUMN,
  metadataColumns,
  type TableFileReader,
  type TablePart,
  usableNames,
} from "./table_file.ts";

/** A CSV file to be read. */
export interface CsvFile {
  readonly realPath: string;
  /** Name of the partition. */
  readonly path: string;
  readonly compression: Compression;
  readonly options: CsvReadOptions;
}

/** A record that is left out, with the reason. */
interface BadRecord {
  readonly index: number;
  readonly error: string;
}

/**
 * Reads a CSV file piece by piece: flow finds the records, the engine takes the fields apart and turns them into typed columns. Records that
 * have too many or too few fields or are not UTF-8 come out as unreadable rows. `_offset` counts records from 0, the header not among them.
 */
export class CsvFileReader implements TableFileReader {
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #file: CsvFile;
  readonly #dialect: CsvDialect;
  readonly #records: CsvRecordReader;
  readonly #names: readonly string[];
  #types: (string | undefined)[];
  #row: number;

  private constructor(
    engine: Engine,
    session: Session,
    file: CsvFile,
    dialect: CsvDialect,
    records: CsvRecordReader,
    names: readonly string[],
    row: number,
  ) {
    this.#engine = engine;
    this.#session = session;
    this.#file = file;
    this.#dialect = dialect;
    this.#records = records;
    this.#names = names;
    this.#types = names.map(() => undefined);
    this.#row = row;
  }

  /** @throws BrokenFileError when the header is not UTF-8, or the archive is broken */
  static async open(
    engine: Engine,
    session: Session,
    file: CsvFile,
    position: FilePosition,
  ): Promise<CsvFileReader> {
    const dialect = dialectOf(file);
    const open = (from: number) =>
      CsvRecordReader.open(file.realPath, file.compression, dialect, from);
    let records = await open(0);
    try {
      const first = await records.next(1, 1);
      const header = file.options.has_header ?? true;
      const wrong = wrongEncoding(first.bytes, header);
      if (wrong !== undefined) throw new BrokenFileError(file.realPath, wrong, ENCODING_HINT);
      const fields = splitFields(first.bytes, dialect);
      const names = usableNames(fields.map((name, at) => header ? name : `column_${at + 1}`));
      const start = header ? first.nextByte : 0;
      const from = position.rows === 0 ? start : position.bytes ?? start;
      if (from !== first.nextByte) {
        await records.close();
        records = await open(from);
      }
      records.keepBlank = names.length === 1;
      let row = position.bytes === undefined ? 0 : position.rows;
      // The position tells the row only: records are counted up to there.
      while (row < position.rows) {
        const passed = await records.next(Math.min(position.rows - row, 65_536), 16 << 20);
        if (passed.starts.length === 0) break;
        row += passed.starts.length;
      }
      return new CsvFileReader(engine, session, file, dialect, records, names, row);
    } catch (error) {
      await records.close();
      throw error;
    }
  }

  async next(maxRows: number, maxBytes: number): Promise<TablePart | undefined> {
    const piece = await this.#records.next(maxRows, maxBytes);
    const count = piece.starts.length;
    if (count === 0) return undefined;
    const texts = this.#engine.newName("csv_text");
    try {
      const bad = await this.#readTexts(piece, texts);
      const fixed = this.#file.options.schema_infer_max_records;
      if (fixed === undefined || this.#types.every((type) => type === undefined)) {
        this.#types = await inferTypes(this.#session, texts, this.#names, this.#types, fixed);
        if (fixed !== undefined) this.#types = this.#types.map((type) => type ?? "VARCHAR");
      }
      if (fixed !== undefined) bad.push(...await this.#misfits(texts));
      const table = await this.#createTable(texts);
      const unreadable = await this.#createUnreadable(piece, bad);
      this.#row += count;
      return {
        table,
        shape: JSON.stringify([this.#names, this.#types.map((type) => type ?? "VARCHAR")]),
        rows: count - bad.length,
        bytes: piece.bytes.length,
        ...(unreadable === undefined ? {} : { unreadable }),
        position: { rows: this.#row, bytes: piece.nextByte, done: false },
        atEnd: piece.atEnd,
      };
    } finally {
      await this.#session.run(`DROP TABLE IF EXISTS ${quoteIdentifier(texts)}`);
    }
  }

  close(): Promise<void> {
    return this.#records.close();
  }

  /** Makes the table of the piece's fields as texts, with `idx`, the number of the record within the piece. */
  async #readTexts(piece: CsvPiece, texts: string): Promise<BadRecord[]> {
    const table = quoteIdentifier(texts);
    const bad: BadRecord[] = [];
    let bytes = piece.bytes;
    const last = piece.starts.length - 1;
    if (piece.unclosed) {
      bad.push({ index: last, error: "a quote is not closed before the end of the file" });
      bytes = bytes.subarray(0, piece.starts[last]);
    }
    const path = `${this.#engine.scratchDir}/${texts}.csv`;
    const [errors, scans] = [`${texts}_errors`, `${texts}_scans`];
    try {
      await Deno.writeFile(path, bytes);
      const columns = this.#names.map((_name, at) => `'c${at}': 'VARCHAR'`).join(", ");
      const { null_regex } = this.#file.options;
      const select = this.#names.map((name, at) => {
        const field = null_regex === undefined
          ? `c${at}`
          : `CASE WHEN NOT regexp_matches(c${at}, ${quoteLiteral(null_regex)}) THEN c${at} END`;
        return `${field} AS ${quoteIdentifier(name)}`;
      });
      await this.#session.run(
        `CREATE TABLE ${table} AS SELECT ${select.join(", ")}, row_number() OVER () - 1 AS ` +
          `${IDX} FROM read_csv(${quoteLiteral(path)}, auto_detect = false, header = false, ` +
          `parallel = false, columns = {${columns}}, ${this.#dialectSql()}, ` +
          `nullstr = '', allow_quoted_nulls = false, max_line_size = ${bytes.length + 2}, ` +
          `null_padding = ${
            this.#file.options.truncated_rows_ok ?? false
          }, store_rejects = true, ` +
          `rejects_table = ${quoteLiteral(errors)}, rejects_scan = ${quoteLiteral(scans)})`,
      );
      const refused = await this.#refusedRecords(errors, piece);
      if (refused.length > 0) await this.#renumber(table, refused);
      return [...refused, ...bad];
    } catch (error) {
      throw engineFault(error, { ...this.#file, copy: path }) ?? error;
    } finally {
      await this.#session.run(
        `DROP TABLE IF EXISTS ${quoteIdentifier(errors)}; ` +
          `DROP TABLE IF EXISTS ${quoteIdentifier(scans)}`,
      );
      await Deno.remove(path).catch(() => {});
    }
  }

  async #refusedRecords(errors: string, piece: CsvPiece): Promise<BadRecord[]> {
    const rows = await this.#session.rows<{ place: bigint; error: string }>(
      `SELECT line_byte_position - 1 AS place, any_value(coalesce(error_message, error_type::VARCHAR)) ` +
        `AS error FROM ${quoteIdentifier(errors)} GROUP BY ALL ORDER BY place`,
    );
    const refused = new Map<number, string>();
    for (const { place, error } of rows) {
      refused.set(recordAt(piece.starts, Number(place)), error);
    }
    return [...refused].map(([index, error]) => ({ index, error }));
  }

  /** The engine counted the records it took; here the refused ones are counted too. */
  async #renumber(table: string, refused: readonly BadRecord[]): Promise<void> {
    const shifts = new Map(refused.map(({ index }, before) => [index - before, before + 1]));
    const counted = quoteIdentifier(this.#engine.newName("csv_text"));
    await this.#session.run(
      `CREATE TABLE ${counted} AS SELECT t.* REPLACE (t.${IDX} + coalesce(s.shift, 0) AS ${IDX}) ` +
        `FROM ${table} t ASOF LEFT JOIN (SELECT unnest(from_json($1, '["BIGINT"]')) AS start, ` +
        `unnest(from_json($2, '["BIGINT"]')) AS shift) s ON t.${IDX} >= s.start`,
      [JSON.stringify([...shifts.keys()]), JSON.stringify([...shifts.values()])],
    );
    await this.#session.run(`DROP TABLE ${table}; ALTER TABLE ${counted} RENAME TO ${table}`);
  }

  /** Records with values that are not of their column's type; they are taken out of the table. */
  async #misfits(texts: string): Promise<BadRecord[]> {
    const table = quoteIdentifier(texts);
    const checks = this.#names.flatMap((name, at) => {
      const type = this.#types[at] ?? "VARCHAR";
      if (type === "VARCHAR") return [];
      const field = quoteIdentifier(name);
      const error = `${quoteLiteral(`column ${name}: '`)} || ${field} || ${
        quoteLiteral(`' is not ${type}`)
      }`;
      return [`WHEN NOT coalesce(${fitsType(field, type)}, true) THEN ${error}`];
    });
    if (checks.length === 0) return [];
    const rows = await this.#session.rows<{ place: bigint; error: string }>(
      `SELECT * FROM (SELECT ${IDX} AS place, CASE ${
        checks.join(" ")
      } END AS error FROM ${table}) ` +
        `WHERE error IS NOT NULL ORDER BY place`,
    );
    if (rows.length === 0) return [];
    await this.#session.run(
      `DELETE FROM ${table} WHERE ${IDX} IN (SELECT unnest(from_json($1, '["BIGINT"]')))`,
      [JSON.stringify(rows.map(({ place }) => Number(place)))],
    );
    return rows.map(({ place, error }) => ({ index: Number(place), error }));
  }

  async #createTable(texts: string): Promise<string> {
    const table = this.#engine.newName("csv");
    let eventTime = "NULL::TIMESTAMPTZ";
    const columns = this.#names.flatMap((name, at) => {
      const field = quoteIdentifier(name);
      if (name === EVENT_TIME_COLUMN) {
        eventTime = `TRY_CAST(${field} AS TIMESTAMPTZ)`;
        return [];
      }
      return [`CAST(${field} AS ${this.#types[at] ?? "VARCHAR"}) AS ${field}`];
    });
    const metadata = metadataColumns(this.#file.path, `${this.#row} + ${IDX}`, eventTime, IDX);
    await this.#session.run(
      `CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${[...columns, metadata].join(", ")} ` +
        `FROM ${quoteIdentifier(texts)} ORDER BY ${IDX}`,
    );
    return table;
  }

  async #createUnreadable(piece: CsvPiece, bad: readonly BadRecord[]) {
    if (bad.length === 0) return undefined;
    const sorted = bad.toSorted((a, b) => a.index - b.index);
    const raw = this.#engine.newName("csv_lines");
    const table = this.#engine.newName("unreadable");
    const starts = Int32Array.from(sorted, ({ index }) => piece.starts[index] ?? 0);
    const ends = Int32Array.from(
      sorted,
      ({ index }) => (piece.starts[index + 1] ?? piece.bytes.length) - 1,
    );
    await this.#engine.ingestPayloads(
      this.#session,
      raw,
      {
        count: sorted.length,
        payload: piece.bytes,
        starts,
        ends,
        partitions: new Int32Array(sorted.length),
        partitionNames: [this.#file.path],
        offsets: BigInt64Array.from(sorted, ({ index }) => BigInt(this.#row + index)),
      },
      "text",
    );
    await this.#session.run(
      `CREATE TABLE ${quoteIdentifier(table)} AS SELECT r.*, e._error FROM ${
        quoteIdentifier(raw)
      } r ` +
        `POSITIONAL JOIN (SELECT unnest(from_json($1, '["VARCHAR"]')) AS _error) e`,
      [JSON.stringify(sorted.map(({ error }) => error))],
    );
    await this.#session.run(`DROP TABLE ${quoteIdentifier(raw)}`);
    return { table, count: sorted.length };
  }

  #dialectSql(): string {
    const { delimiter, quote, escape } = this.#dialect;
    const text = (byte: number) => quoteLiteral(byte === -1 ? "" : String.fromCharCode(byte));
    return `delim = ${text(delimiter)}, quote = ${text(quote)}, escape = ${text(escape)}`;
  }
}

/** The record's number within the piece. No CSV file has a column of this name. */
const IDX = "__flow_idx";

function dialectOf({ path, options }: CsvFile): CsvDialect {
  const byte = (text: string | undefined) => text === undefined ? -1 : text.charCodeAt(0);
  const quote = byte(options.quote ?? '"');
  return {
    delimiter: byte(options.delimiter ?? (/\.tsv(\.|$)/i.test(path) ? "\t" : ",")),
    quote,
    escape: options.escape === undefined ? quote : byte(options.escape),
    comment: byte(options.comment),
  };
}

const ENCODING_HINT = { hint: "save the file as UTF-8" };

/**
 * What is wrong with a file's first record, where that is the fault of the whole file: without its header no record can be understood, and
 * the records of UTF-16 are no records of bytes.
 */
function wrongEncoding(first: Uint8Array, header: boolean): string | undefined {
  const [a, b] = first;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return "it is UTF-16, not UTF-8";
  if (!header) return undefined;
  if (first.includes(0)) return "its header holds NUL bytes: it is no text, or UTF-16";
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(first);
    return undefined;
  } catch {
    return "its header is not UTF-8";
  }
}

/** The number of the record that holds byte `at`. */
function recordAt(starts: readonly number[], at: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}
