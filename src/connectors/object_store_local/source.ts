import type { SourceBatch } from "../../core/batch.ts";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { Source, SourceContext, SourceTraits } from "../../core/source.ts";
import { BrokenFileError } from "./broken_file.ts";
import { filePlace, formatFromPath } from "./file_format.ts";
import { FileList, type FoundFile, isUnchanged } from "./file_list.ts";
import type { Filled, LastLine } from "./json_file.ts";
import { jsonBatchRows, type SourceOptions } from "./options.ts";
import { type OpenFile, openFile } from "./open_file.ts";
import { PayloadBuilder } from "./payload_builder.ts";
import { refusedFile } from "./refused_file.ts";
import { TrackedFile } from "./tracked_file.ts";

/** Longest wait between two signs of life while there is nothing to read. */
const IDLE_MS = 1000;

/**
 * Reads the files below a directory that match a query, in the order of their paths, and goes on with files that appear or grow.
 * A file is a partition, named by its path relative to the directory. JSON rows come as payloads, CSV and Parquet rows typed.
 * `_event_ts` is NULL: when a file was changed says nothing about its rows (CSV and Parquet files may bring the column themselves).
 *
 * Files other than plain newline JSON are read once they are at rest (unchanged between two looks, or older than the poll interval) and
 * not looked at again; newline JSON may grow, and its last line counts when it is ended or the file is at rest.
 *
 * A file that cannot be read as its format costs itself only: what was read of it counts, the rest is one refused row. As long as somebody
 * may still be writing it, it is waited for.
 */
export class FileSource implements Source {
  readonly sourceId: string;
  readonly traits: SourceTraits = { seekable: true, ends: true, storesPositions: false };
  readonly #options: SourceOptions;
  readonly #list: FileList;
  readonly #files = new Map<string, TrackedFile>();
  readonly #skipped = new Set<string>();
  #context: SourceContext | undefined;
  #session: Session | undefined;
  #open: OpenFile | undefined;
  #lookedAt = -Infinity;
  #closed = false;

  constructor(sourceId: string, query: string, options: SourceOptions) {
    this.sourceId = sourceId;
    this.#options = options;
    this.#list = new FileList(options.path, query, (path, reason) => this.#skip(path, reason));
  }

  /** Paths may be spelled in different ways; what links lead to is not looked at. */
  reads(place: string): boolean {
    const base = filePlace(`${this.#options.path.replace(/\/+$/, "")}/`);
    return place.startsWith(base) && this.#list.isMeant(place.slice(base.length));
  }

  async open(context: SourceContext, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#context = context;
    this.#session = await context.engine.connect();
    await this.#look();
    if (this.#files.size === 0 && this.#skipped.size === 0) {
      const yet = context.untilEnd ? "" : " yet";
      this.#notice(`${this.sourceId}: there is no such file below '${this.#options.path}'${yet}`);
    }
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceBatch | undefined> {
    const { clock, untilEnd } = this.#opened();
    let idleSince = clock.monotonic();
    while (!signal.aborted && !this.#closed) {
      const batch = await this.#next(signal);
      if (batch !== undefined) {
        yield batch;
        idleSince = clock.monotonic();
        if (!untilEnd && this.#isLookDue()) await this.#look();
        continue;
      }
      if (signal.aborted || this.#closed) return;
      if (untilEnd && ![...this.#files.values()].some((file) => file.isPending || file.hasWork)) {
        return;
      }
      try {
        await clock.sleep(Math.min(this.#options.poll_interval_ms, IDLE_MS), signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      if (this.#isLookDue()) await this.#look();
      if (clock.monotonic() - idleSince >= IDLE_MS || this.#options.poll_interval_ms >= IDLE_MS) {
        idleSince = clock.monotonic();
        if (![...this.#files.values()].some((file) => file.hasWork)) yield undefined;
      }
    }
  }

  /** Positions are kept by the targets. */
  acknowledge(): Promise<void> {
    return Promise.resolve();
  }

  seek(offsets: readonly StoredOffset[]): Promise<void> {
    for (const { partition, position } of offsets) this.#files.get(partition)?.moveTo(position);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#closeFile();
    await this.#session?.close();
    this.#session = undefined;
  }

  #opened(): SourceContext {
    if (this.#context === undefined) {
      throw new FlowError(`cannot read '${this.sourceId}': the source is not open`, {
        code: "source_not_open",
        domain: "internal",
      });
    }
    return this.#context;
  }

  #isLookDue(): boolean {
    const { clock } = this.#opened();
    return clock.monotonic() - this.#lookedAt >= this.#options.poll_interval_ms;
  }

  /** Looks for files; asks for the positions of those that are new. With `untilEnd` only the files of the first look count. */
  async #look(): Promise<void> {
    const { clock, untilEnd, storedPositions } = this.#opened();
    const first = this.#lookedAt === -Infinity;
    const found = await this.#list.look();
    this.#lookedAt = clock.monotonic();
    const added: TrackedFile[] = [];
    for (const file of found) {
      let tracked = this.#files.get(file.path);
      if (tracked === undefined) {
        if (untilEnd && !first) continue;
        tracked = this.#track(file);
        if (tracked === undefined) continue;
        added.push(tracked);
      }
      tracked.seen(file, clock.now(), clock.monotonic(), this.#options.poll_interval_ms);
    }
    if (added.length > 0) {
      const stored = await storedPositions(
        added.map(({ path }) => ({ sourceId: this.sourceId, partition: path })),
      );
      const byPath = new Map(stored.map((offset) => [offset.partition, offset.position]));
      for (const file of added) {
        const position = byPath.get(file.path);
        if (position !== undefined) file.moveTo(position);
        this.#files.set(file.path, file);
      }
    }
    // A file that is gone cannot be read on; it is forgotten, unless it is open (then its content is still there).
    const present = new Set(found.map(({ path }) => path));
    for (const path of [...this.#files.keys()]) {
      if (!present.has(path) && this.#open?.file.path !== path) this.#files.delete(path);
    }
  }

  #track(found: FoundFile): TrackedFile | undefined {
    const format = this.#options.format ?? formatFromPath(found.path);
    if (format === null || format === "orc") {
      const what = format === null ? "its name tells no format" : "ORC is not supported";
      this.#skip(found.path, `${what} (set format, or narrow the query)`);
      return undefined;
    }
    return new TrackedFile(found, format);
  }

  #skip(path: string, reason: string): void {
    if (this.#context === undefined || this.#skipped.has(path)) return;
    this.#skipped.add(path);
    this.#notice(`${this.sourceId}: '${path}' is not read: ${reason}`);
  }

  #notice(message: string): void {
    const { observe, pipeline } = this.#opened();
    observe({ kind: "notice", pipeline, message });
  }

  /** The next batch, `undefined` when nothing is to be had now. */
  async #next(signal: AbortSignal): Promise<SourceBatch | undefined> {
    for (;;) {
      if (signal.aborted || this.#closed) return undefined;
      const file = this.#nextFile();
      if (file === undefined) {
        await this.#closeFile();
        return undefined;
      }
      const batch = await this.#readFrom(file, signal);
      if (batch !== undefined) return batch;
    }
  }

  /** The first file in name order that has something to read. */
  #nextFile(): TrackedFile | undefined {
    let first: TrackedFile | undefined;
    for (const file of this.#files.values()) {
      if (file.hasWork && (first === undefined || file.path < first.path)) first = file;
    }
    return first;
  }

  async #readFrom(file: TrackedFile, signal: AbortSignal): Promise<SourceBatch | undefined> {
    if (file.format === "json" || file.format === "json_lines") {
      return await this.#jsonBatch(signal);
    }
    const { generation } = file;
    try {
      return await this.#tableBatch(file);
    } catch (error) {
      return await this.#refuse(file, generation, error);
    }
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
        this.#notice(
          `${this.sourceId}: '${file.path}' cannot be read yet (${error.reason}); it is tried again, ` +
            `and refused when it stays as it is`,
        );
      }
      return undefined;
    }
    const { engine } = this.#opened();
    const session = this.#connected();
    const { path, position, stored: from } = file;
    const tables = await refusedFile(engine, session, path, position.rows, error.reason);
    if (file.generation !== generation) {
      await this.#drop(tables.table, tables.unreadable.table);
      return undefined;
    }
    file.refuse();
    const { sourceId } = this;
    return {
      sourceId,
      ...tables,
      encoding: "columns",
      rows: 0,
      bytes: 0,
      ranges: [{ sourceId, partition: path, from, to: file.stored ?? "" }],
    };
  }

  /** One batch of as many JSON files as it has room for. */
  async #jsonBatch(signal: AbortSignal): Promise<SourceBatch | undefined> {
    const { maxBatchBytes, maxBatchRows, engine, untilEnd } = this.#opened();
    const rows = Math.min(maxBatchRows, jsonBatchRows(this.#options));
    const builder = new PayloadBuilder(rows, maxBatchBytes);
    const read: { file: TrackedFile; generation: number; from: string | null; to: string }[] = [];
    while (builder.roomRows > 0 && !signal.aborted) {
      const file = this.#nextFile();
      if (file === undefined || (file.format !== "json" && file.format !== "json_lines")) break;
      const { generation, stored: from } = file;
      const before = builder.count;
      let filled: Filled;
      try {
        const opened = await this.#openFile(file);
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
    await engine.ingestPayloads(this.#connected(), table, builder.rows(), "text");
    if (read.some(({ file, generation }) => file.generation !== generation)) {
      await this.#drop(table);
      this.#rewind(read);
      return undefined;
    }
    return {
      sourceId: this.sourceId,
      table,
      encoding: "json",
      rows: builder.count,
      bytes: builder.bytes,
      ranges: read.map(({ file, from, to }) => ({
        sourceId: this.sourceId,
        partition: file.path,
        from,
        to,
      })),
    };
  }

  /** What was read of files that nobody sought is read again. */
  #rewind(
    read: readonly { file: TrackedFile; generation: number; from: string | null }[],
  ): void {
    for (const { file, generation, from } of read) {
      if (file.generation === generation) file.rewind(from);
    }
  }

  async #tableBatch(file: TrackedFile): Promise<SourceBatch | undefined> {
    const { maxBatchBytes, maxBatchRows } = this.#opened();
    const { kind, reader } = await this.#openFile(file);
    if (kind === "json") return undefined;
    const { generation, stored: from } = file;
    const part = await reader.next(maxBatchRows, maxBatchBytes);
    if (part === undefined) {
      if (file.generation === generation) file.exhausted();
      await this.#closeFile();
      return undefined;
    }
    if (file.generation !== generation) {
      await this.#drop(part.table, ...part.unreadable === undefined ? [] : [part.unreadable.table]);
      return undefined;
    }
    file.advance(part.position, part.atEnd);
    if (part.atEnd) await this.#closeFile();
    return {
      sourceId: this.sourceId,
      table: part.table,
      encoding: "columns",
      rows: part.rows,
      bytes: part.bytes,
      ranges: [{
        sourceId: this.sourceId,
        partition: file.path,
        from,
        to: file.stored ?? "",
      }],
      ...(part.unreadable === undefined ? {} : { unreadable: part.unreadable }),
    };
  }

  async #drop(...tables: string[]): Promise<void> {
    for (const table of tables) {
      await this.#connected().run(`DROP TABLE ${quoteIdentifier(table)}`);
    }
  }

  #connected(): Session {
    if (this.#session === undefined) {
      throw new FlowError(`cannot read '${this.sourceId}': the source is closed`, {
        code: "source_not_open",
        domain: "internal",
      });
    }
    return this.#session;
  }

  /** The file open at its position: the one that is open already where that is the same. */
  async #openFile(file: TrackedFile): Promise<OpenFile> {
    if (this.#open?.file === file && this.#openGeneration === file.generation) return this.#open;
    await this.#closeFile();
    this.#openGeneration = file.generation;
    const { engine } = this.#opened();
    return this.#open = await openFile(file, engine, this.#connected(), this.#options);
  }

  #openGeneration = 0;

  async #closeFile(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.reader.close();
  }
}

/** A writer may pause in the midst of a line: what is no JSON yet is waited for, unless this look at the file is the last one. */
function lastLineOf(file: TrackedFile, untilEnd: boolean): LastLine {
  if (!file.atRest) return "unfinished";
  return untilEnd || !file.grows ? "row" : "row_if_whole";
}
