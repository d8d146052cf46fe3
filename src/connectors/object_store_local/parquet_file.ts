import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import { engineFault } from "./broken_file.ts";
import { fileError } from "./byte_stream.ts";
import type { FilePosition } from "./position.ts";
import {
  EVENT_TIME_COLUMN,
  metadataColumns,
  type TableFileReader,
  type TablePart,
  usableNames,
} from "./table_file.ts";

/** Reads a Parquet file in ranges of rows, from a copy in the scratch directory: SQL reaches no other place. */
export class ParquetFileReader implements TableFileReader {
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #copy: string;
  readonly #path: string;
  readonly #realPath: string;
  readonly #columns: readonly Column[];
  readonly #totalRows: number;
  readonly #rowBytes: number;
  #row: number;

  private constructor(
    engine: Engine,
    session: Session,
    copy: string,
    path: string,
    realPath: string,
    columns: readonly Column[],
    totalRows: number,
    totalBytes: number,
    row: number,
  ) {
    this.#engine = engine;
    this.#session = session;
    this.#copy = copy;
    this.#path = path;
    this.#realPath = realPath;
    this.#columns = columns;
    this.#totalRows = totalRows;
    this.#rowBytes = totalBytes / Math.max(1, totalRows);
    this.#row = row;
  }

  /**
   * @param path name of the partition
   * @throws BrokenFileError when the file's description of itself cannot be read
   * @throws FlowError `file_unreadable`
   */
  static async open(
    engine: Engine,
    session: Session,
    realPath: string,
    path: string,
    position: FilePosition,
  ): Promise<ParquetFileReader> {
    const copy = `${engine.scratchDir}/${engine.newName("parquet")}.parquet`;
    try {
      try {
        await Deno.copyFile(realPath, copy);
      } catch (error) {
        throw fileError(realPath, error);
      }
      const file = quoteLiteral(copy);
      const columns = await session.describe(`SELECT * FROM read_parquet(${file})`);
      const [size] = await session.rows<{ rows: bigint; bytes: bigint | null }>(
        `SELECT (SELECT sum(num_rows) FROM parquet_file_metadata(${file}))::BIGINT AS rows, ` +
          `(SELECT sum(total_uncompressed_size) FROM parquet_metadata(${file}))::BIGINT AS bytes`,
      );
      return new ParquetFileReader(
        engine,
        session,
        copy,
        path,
        realPath,
        columns,
        Number(size?.rows ?? 0n),
        Number(size?.bytes ?? 0n),
        position.rows,
      );
    } catch (error) {
      await Deno.remove(copy).catch(() => {});
      throw engineFault(error, { copy, path, realPath }) ?? error;
    }
  }

  async next(maxRows: number, maxBytes: number): Promise<TablePart | undefined> {
    const from = this.#row;
    const fitting = Math.max(1, Math.floor(maxBytes / Math.max(1, this.#rowBytes)));
    const to = Math.min(this.#totalRows, from + Math.min(maxRows, fitting));
    if (from >= to) return undefined;
    const names = usableNames(this.#columns.map(({ name }) => name));
    const event = this.#columns.find(({ name, type }) =>
      name === EVENT_TIME_COLUMN && type.startsWith("TIMESTAMP")
    );
    const columns = this.#columns.flatMap((column, at) =>
      column === event
        ? []
        : [`${quoteIdentifier(column.name)} AS ${quoteIdentifier(names[at] ?? column.name)}`]
    );
    const metadata = metadataColumns(
      this.#path,
      "file_row_number",
      event === undefined ? "NULL::TIMESTAMPTZ" : `${EVENT_TIME_COLUMN}::TIMESTAMPTZ`,
      `file_row_number - ${from}`,
    );
    const table = this.#engine.newName("parquet_rows");
    try {
      await this.#session.run(
        `CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${[...columns, metadata].join(", ")} ` +
          `FROM read_parquet(${quoteLiteral(this.#copy)}, file_row_number = true) ` +
          `WHERE file_row_number >= ${from} AND file_row_number < ${to}`,
      );
    } catch (error) {
      const [copy, path, realPath] = [this.#copy, this.#path, this.#realPath];
      throw engineFault(error, { copy, path, realPath }) ?? error;
    }
    this.#row = to;
    return {
      table,
      shape: JSON.stringify(this.#columns),
      rows: to - from,
      bytes: Math.round((to - from) * this.#rowBytes),
      position: { rows: to, done: false },
      atEnd: to >= this.#totalRows,
    };
  }

  async close(): Promise<void> {
    await Deno.remove(this.#copy).catch(() => {});
  }
}
