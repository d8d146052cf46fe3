import type { SourceBatch } from "../../core/batch.ts";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import type { Source, SourceContext, SourceTraits } from "../../core/source.ts";
import { FileBatches } from "./file_batches.ts";
import { filePlace, formatFromPath } from "./file_format.ts";
import { FileList, type FoundFile } from "./file_list.ts";
import type { SourceOptions } from "./options.ts";
import { TrackedFile } from "./tracked_file.ts";
import { TrackedFiles } from "./tracked_files.ts";

/** Longest wait between two signs of life while there is nothing to read. */
const IDLE_MS = 1000;

/** So many files are named in a message, the others counted. */
const NAMED = 3;

/**
 * Reads the files below a directory that match a query, in the order of their paths, and goes on with files that appear or grow.
 * A file is a partition, named by its path relative to the directory. JSON rows come as payloads, CSV and Parquet rows typed.
 * `_event_ts` is NULL: when a file was changed says nothing about its rows (CSV and Parquet files may bring the column themselves).
 *
 * Files other than plain newline JSON are read once they are at rest (unchanged between two looks, or older than the poll interval) and
 * not looked at again; newline JSON may grow, and its last line counts when it is ended or the file is at rest.
 *
 * A file that cannot be read as its format costs itself only: what was read of it counts, the rest is one refused row. As long as somebody
 * may still be writing it, it is waited for. Once it is refused as a whole it is read again when it was changed. A file that stands under the
 * name of one that was read is told, and not read: its rows cannot be told from those.
 */
export class FileSource implements Source {
  readonly sourceId: string;
  readonly traits: SourceTraits = { seekable: true, ends: true, storesPositions: false };
  readonly #options: SourceOptions;
  readonly #list: FileList;
  readonly #files = new TrackedFiles();
  readonly #skipped = new Set<string>();
  #context: SourceContext | undefined;
  #batches: FileBatches | undefined;
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
    this.#batches = new FileBatches(
      { sourceId: this.sourceId, options: this.#options },
      context,
      await context.engine.connect(),
      this.#files,
      { notice: (message) => this.#notice(message), replaced: () => this.#tellReplaced() },
    );
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
      const batch = await this.#batches?.next(signal);
      if (batch !== undefined) {
        yield batch;
        idleSince = clock.monotonic();
        if (!untilEnd && this.#isLookDue()) await this.#look();
        continue;
      }
      if (signal.aborted || this.#closed) return;
      if (untilEnd && !this.#files.isBusy) return;
      try {
        await clock.sleep(Math.min(this.#options.poll_interval_ms, IDLE_MS), signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      if (this.#isLookDue()) await this.#look();
      if (clock.monotonic() - idleSince >= IDLE_MS || this.#options.poll_interval_ms >= IDLE_MS) {
        idleSince = clock.monotonic();
        if (!this.#files.haveWork) yield undefined;
      }
    }
  }

  /** Positions are kept by the targets. */
  acknowledge(): Promise<void> {
    return Promise.resolve();
  }

  seek(offsets: readonly StoredOffset[]): Promise<void> {
    this.#files.moveTo(offsets);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#batches?.close();
    this.#batches = undefined;
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
    const found = await this.#list.look(this.#files.beginLook());
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
      // It was its turn to be looked at.
      if (tracked.found !== file || added.at(-1) === tracked) {
        tracked.seen(file, clock.now(), clock.monotonic(), this.#options.poll_interval_ms);
      }
    }
    if (added.length > 0) {
      const stored = await storedPositions(
        added.map(({ path }) => ({ sourceId: this.sourceId, partition: path })),
      );
      const byPath = new Map(stored.map((offset) => [offset.partition, offset.position]));
      for (const file of added) {
        const position = byPath.get(file.path);
        if (position !== undefined) file.moveTo(position);
        this.#files.add(file);
      }
    }
    // A file that is gone cannot be read on; it is forgotten, unless it is open (then its content is still there).
    this.#files.keep(found, this.#batches?.openFile);
    this.#tellReplaced();
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

  /** Tells once of each file that it is not the one that was read, and of many together. */
  #tellReplaced(): void {
    const replaced = this.#files.takeReplaced();
    if (replaced.length === 0) return;
    const named = replaced.slice(0, NAMED).map(({ path }) => `'${path}'`).join(", ");
    const others = replaced.length > NAMED ? ` and ${replaced.length - NAMED} others` : "";
    this.#notice(
      `${this.sourceId}: ${named}${others} changed after being read; what stands there now is not read: ` +
        "put it there under a new name",
    );
  }
}
