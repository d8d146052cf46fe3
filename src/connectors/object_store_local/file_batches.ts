import type { SourceBatch } from "../../core/batch.ts";
import type { OffsetRange } from "../../core/offset.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { SourceContext } from "../../core/source.ts";
import { BrokenFileError } from "./broken_file.ts";
import { isUnchanged } from "./file_list.ts";
import type { Filled, LastLine } from "./json_file.ts";
import { JoinedParts } from "./joined_parts.ts";
import { type OpenFile, openFile } from "./open_file.ts";
import { jsonBatchRows, type SourceOptions } from "./options.ts";
import { PayloadBuilder } from "./payload_builder.ts";
import { refusedFile } from "./refused_file.ts";
import type { TablePart } from "./table_file.ts";
import type { TrackedFile } from "./tracked_file.ts";
import type { TrackedFiles } from "./tracked_files.ts";

/** Who is told about the files. */
interface Tell {
  notice(message: string): void;
  /** A file turned out to be another one than that which was read. */
  replaced(): void;
}

/** What was read of a file for a batch. */
interface ReadRange {
  readonly file: TrackedFile;
  readonly generation: number;
  readonly from: string | null;
  readonly to: string;
}

/** Makes batches of what the files of a source have to read, the first in the order of their paths first. */
export class FileBatches {
  readonly #sourceId: string;
  readonly #options: SourceOptions;
  readonly #context: SourceContext;
  readonly #session: Session;
  readonly #files: TrackedFiles;
  readonly #tell: Tell;
  #open: OpenFile | undefined;
  #openGeneration = 0;
  #closed = false;

  constructor(
    source: { readonly sourceId: string; readonly options: SourceOptions },
    context: SourceContext,
    session: Session,
    files: TrackedFiles,
    tell: Tell,
  ) {
    this.#sourceId = source.sourceId;
    this.#options = source.options;
    this.#context = context;
    this.#session = session;
    this.#files = files;
    this.#tell = tell;
  }

  /** The file that is open: it can be read on though it is gone. */
  get openFile(): TrackedFile | undefined {
    return this.#open?.file;
  }

  /** The next batch, `undefined` when nothing is to be had now. */
  async next(signal: AbortSignal): Promise<SourceBatch | undefined> {
    for (;;) {
      if (signal.aborted || this.#closed) return undefined;
      const file = this.#files.first();
      if (file === undefined) {
        await this.#closeFile();
        return undefined;
      }
      const batch = isJson(file) ? await this.#jsonBatch(signal) : await this.#tableBatch(signal);
      if (batch !== undefined) return batch;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#closeFile();
    await this.#session.close();
  }

  /** The batch that refuses a broken file, `undefined` while the file is waited for. Throws every other error. */
  async #refuse(
    file: TrackedFile,
    generation: number,
    error: unknown,
  ): Promise<SourceBatch | undefined> {
    if (!(error instanceof BrokenFileError)) throw error;
    await this.#closeFile();
    if (file.generation !== generation) return undefined;
    if (!file.isFinal || !(file.grows || await isUnchanged(file.found))) {
      if (file.doubt()) {
        this.#tell.notice(
          `${this.#sourceId}: '${file.path}' cannot be read yet (${error.reason}); it is tried again, ` +
            `and refused when it stays as it is`,
        );
      }
      return undefined;
    }
    const { engine } = this.#context;
    const { path, position, stored: from } = file;
    const tables = await refusedFile(engine, this.#session, path, position.rows, error.reason);
    if (file.generation !== generation) {
      await this.#drop(tables.table, tables.unreadable.table);
      return undefined;
    }
    file.refuse();
    return {
      sourceId: this.#sourceId,
      ...tables,
      encoding: "columns",
      rows: 0,
      bytes: 0,
      ranges: this.#ranges([{ file, from, to: file.stored ?? "" }]),
    };
  }

  /** One batch of as many JSON files as it has room for. */
  async #jsonBatch(signal: AbortSignal): Promise<SourceBatch | undefined> {
    const { maxBatchBytes, maxBatchRows, engine, untilEnd } = this.#context;
    const rows = Math.min(maxBatchRows, jsonBatchRows(this.#options));
    const builder = new PayloadBuilder(rows, maxBatchBytes);
    const read: ReadRange[] = [];
    while (builder.roomRows > 0 && !signal.aborted) {
      const file = this.#files.first();
      if (file === undefined || !isJson(file)) break;
      const { generation, stored: from } = file;
      const before = builder.count;
      let filled: Filled;
      try {
        const opened = await this.#openFile(file);
        if (opened === undefined) continue;
        if (opened.kind !== "json") break;
        const partition = builder.partition(file.path);
        const lastLine = lastLineOf(file, untilEnd);
        filled = await opened.reader.fill(builder, partition, lastLine, signal);
      } catch (error) {
        // What was read of the files before is handed over first; the broken one comes up again.
        if (error instanceof BrokenFileError && builder.count > 0) break;
        return await this.#refuse(file, generation, error);
      }
      const { position, atEnd } = filled;
      // Somebody sought another position meanwhile: what was collected of this file is out of date.
      if (file.generation !== generation) {
        this.#rewind(read);
        return undefined;
      }
      if (builder.count > before) {
        file.advance(position, atEnd);
        read.push({ file, generation, from, to: file.stored ?? "" });
      } else if (atEnd) file.exhausted();
      // A growing file is opened afresh when there is more of it: the bytes of an unfinished line are read again.
      if (atEnd) await this.#closeFile();
      else if (builder.count === before) break;
    }
    if (builder.count === 0) return undefined;
    const table = engine.newName("files");
    await engine.ingestPayloads(this.#session, table, builder.rows(), "text");
    if (read.some(({ file, generation }) => file.generation !== generation)) {
      await this.#drop(table);
      this.#rewind(read);
      return undefined;
    }
    return {
      sourceId: this.#sourceId,
      table,
      encoding: "json",
      rows: builder.count,
      bytes: builder.bytes,
      ranges: this.#ranges(read),
    };
  }

  /** What was read of files that nobody sought is read again. */
  #rewind(read: readonly ReadRange[]): void {
    for (const { file, generation, from } of read) {
      if (file.generation === generation) file.rewind(from);
    }
    this.#files.changed();
  }

  /** One batch of CSV or Parquet files: a part of one, or all of several small ones with the same columns. */
  async #tableBatch(signal: AbortSignal): Promise<SourceBatch | undefined> {
    const { maxBatchBytes, maxBatchRows, maxBatchWaitMs, clock } = this.#context;
    const parts = new JoinedParts(this.#session);
    const read: ReadRange[] = [];
    const handOverAt = clock.monotonic() + maxBatchWaitMs;
    while (read.length === 0 || clock.monotonic() < handOverAt) {
      const [rows, bytes] = [maxBatchRows - parts.records, maxBatchBytes - parts.bytes];
      const file = this.#files.first();
      if (rows <= 0 || bytes <= 0 || file === undefined || isJson(file) || signal.aborted) break;
      const { generation, stored: from } = file;
      let part: TablePart | undefined;
      try {
        const opened = await this.#openFile(file);
        if (opened === undefined) continue;
        if (opened.kind !== "table") break;
        part = await opened.reader.next(rows, bytes);
      } catch (error) {
        // What was read of the files before is handed over first; the broken one comes up again.
        if (error instanceof BrokenFileError && read.length > 0) break;
        return await this.#refuse(file, generation, error);
      }
      if (part === undefined) {
        if (file.generation === generation) file.exhausted();
        await this.#closeFile();
        continue;
      }
      // Somebody sought another position meanwhile, or the part is for the next batch: it is read again.
      const fits = parts.fits(part) && (read.length === 0 || part.bytes <= bytes);
      if (file.generation !== generation || !fits) {
        await this.#drop(...tablesOf(part));
        await this.#closeFile();
        break;
      }
      await parts.add(part);
      file.advance(part.position, part.atEnd);
      read.push({ file, generation, from, to: file.stored ?? "" });
      if (!part.atEnd) break;
      await this.#closeFile();
    }
    const joined = parts.tables();
    if (joined === undefined) return undefined;
    if (read.some(({ file, generation }) => file.generation !== generation)) {
      await this.#drop(...tablesOf(joined));
      this.#rewind(read);
      return undefined;
    }
    return {
      sourceId: this.#sourceId,
      encoding: "columns",
      ...joined,
      ranges: this.#ranges(read),
    };
  }

  #ranges(read: readonly Omit<ReadRange, "generation">[]): OffsetRange[] {
    const sourceId = this.#sourceId;
    return read.map(({ file, from, to }) => ({ sourceId, partition: file.path, from, to }));
  }

  async #drop(...tables: string[]): Promise<void> {
    for (const table of tables) await this.#session.run(`DROP TABLE ${quoteIdentifier(table)}`);
  }

  /**
   * The file open at its position: the one that is open already where that is the same. `undefined` when it is another file than the one that
   * the position is in.
   */
  async #openFile(file: TrackedFile): Promise<OpenFile | undefined> {
    if (this.#open?.file === file && this.#openGeneration === file.generation) return this.#open;
    await this.#closeFile();
    this.#openGeneration = file.generation;
    file.opened();
    const opened = await openFile(file, this.#context.engine, this.#session, this.#options);
    this.#open = opened;
    if (opened.kind === "table" || opened.reader.isInSealed(file.position)) return opened;
    file.replaced();
    this.#tell.replaced();
    await this.#closeFile();
    return undefined;
  }

  async #closeFile(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.reader.close();
  }
}

function tablesOf(part: Pick<TablePart, "table" | "unreadable">): string[] {
  return part.unreadable === undefined ? [part.table] : [part.table, part.unreadable.table];
}

function isJson(file: TrackedFile): boolean {
  return file.format === "json" || file.format === "json_lines";
}

/** A writer may pause in the midst of a line: what is no JSON yet is waited for, unless this look at the file is the last one. */
function lastLineOf(file: TrackedFile, untilEnd: boolean): LastLine {
  if (!file.atRest) return "unfinished";
  return untilEnd || !file.grows ? "row" : "row_if_whole";
}
