import { realPath } from "../_sql/file_path.ts";
import type { Batch, RejectedRows } from "../../core/batch.ts";
import type { TableRef } from "../../core/connector.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import type { OffsetMove, StoredOffset } from "../../core/offset.ts";
import type { TargetColumn } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { Sink, SinkContext } from "../../core/sink.ts";
import { duckdbFileExists, openDuckdbFile } from "../../sql/duckdb_file.ts";
import { stoppable } from "../_sql/cancellation.ts";
import { epochTable, outOfOrder, TABLE_TRAITS, type TableLoad } from "../_sql/epoch_table.ts";
import { deadLetterTable, insertDeadLetters } from "./dead_letters.ts";
import { Epoch } from "./epoch.ts";
import { fileFailure } from "./file_failure.ts";
import { moveOffsets, readOffsets } from "./offsets.ts";
import { type DuckdbTableName, readTable, tableName } from "./table.ts";
import { TableWriter } from "./table_writer.ts";

/** What a {@link DuckdbSink} is made from. */
export interface DuckdbSinkOptions extends TableLoad {
  readonly path: string;
  /** What DuckDB may use for the file, in MiB. */
  readonly maxMemoryMib: number | undefined;
  readonly table: TableRef;
}

/**
 * A table in a DuckDB file. The file is open only from `begin` to `commit` or `abort`, since nobody else can open it meanwhile.
 */
export class DuckdbSink implements Sink {
  readonly targetId: string;
  readonly exclusiveFile: string;
  readonly traits = TABLE_TRAITS;
  readonly #options: DuckdbSinkOptions;
  readonly #table: DuckdbTableName;
  #opened: { readonly context: SinkContext; readonly signal: AbortSignal } | undefined;
  #epoch: Epoch | undefined;
  #writer: TableWriter | undefined;
  /** A commit or abort under way. */
  #ending: Promise<void> = Promise.resolve();
  /** True once an epoch of this run is committed. */
  #written = false;

  constructor(options: DuckdbSinkOptions) {
    this.#options = options;
    this.#table = tableName(options.table);
    this.exclusiveFile = realPath(options.path);
    this.targetId = `duckdb:${options.path}:${this.#table.shown}`;
  }

  async open(context: SinkContext, signal: AbortSignal): Promise<void> {
    this.#opened = { context, signal };
    const file = await this.#openFile(this.#options.create ? "create" : "write");
    await file.close();
  }

  async columns(): Promise<readonly TargetColumn[] | undefined> {
    return await this.#reading(async (session) => (await readTable(session, this.#table))?.columns);
  }

  async storedOffsets(): Promise<readonly StoredOffset[]> {
    const { context } = this.#context();
    if (!context.exactlyOnce) return [];
    return await this.#reading((session) =>
      context.offsetName.read(this.exclusiveFile, (name) => readOffsets(session, name))
    ) ?? [];
  }

  async begin(_epoch: number): Promise<void> {
    const { context } = this.#context();
    await this.#ending;
    const epoch = await Epoch.begin(this.#request(this.#options.create ? "create" : "write"))
      .catch((error) => {
        throw fileFailure(error, this.#options.path);
      });
    this.#epoch = epoch;
    this.#writer = new TableWriter({
      ...epochTable(
        context,
        this.#options,
        () => this.#written,
        () => readOffsets(epoch.session, context.offsetName.name),
      ),
      epoch,
      table: this.#table,
    });
  }

  async write(
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    const epoch = this.#running();
    const stop = () => {
      session.interrupt();
      epoch.session.interrupt();
    };
    return await stoppable(signal, stop, async () => {
      try {
        return await this.#writer?.write(batch, session);
      } catch (error) {
        throw fileFailure(error, this.#options.path);
      }
    });
  }

  async writeDeadLetters(table: string, letters: readonly DeadLetter[]): Promise<void> {
    const name = deadLetterTable(table);
    await this.#running().apply((session) => insertDeadLetters(session, name, letters)).catch(
      (error) => {
        throw fileFailure(error, this.#options.path);
      },
    );
  }

  commit(moves: readonly OffsetMove[]): Promise<void> {
    return this.#end(async (epoch) => {
      const { context } = this.#context();
      if (context.exactlyOnce) {
        await moveOffsets(epoch.session, this.targetId, context.offsetName.name, moves);
      }
      await epoch.commit();
      this.#written ||= this.#writer?.hasWritten ?? false;
    });
  }

  abort(): Promise<void> {
    return this.#epoch === undefined ? this.#ending : this.#end(() => Promise.resolve());
  }

  async close(): Promise<void> {
    await this.abort();
  }

  #end(finish: (epoch: Epoch) => Promise<void>): Promise<void> {
    const epoch = this.#running();
    this.#epoch = undefined;
    const ended = (async () => {
      try {
        await finish(epoch);
      } catch (error) {
        throw fileFailure(error, this.#options.path);
      } finally {
        this.#writer = undefined;
        await epoch.end();
      }
    })();
    this.#ending = ended.catch(() => {});
    return ended;
  }

  /** Reads from the file as it is committed now; `undefined` when there is no file. */
  async #reading<T>(read: (session: Session) => Promise<T>): Promise<T | undefined> {
    await this.#ending;
    if (!(await duckdbFileExists(this.#options.path))) return undefined;
    const file = await this.#openFile("read");
    try {
      return await read(await file.connect());
    } catch (error) {
      throw fileFailure(error, this.#options.path);
    } finally {
      await file.close();
    }
  }

  #openFile(access: "read" | "write" | "create") {
    return openDuckdbFile(this.#request(access));
  }

  #request(access: "read" | "write" | "create") {
    const { context, signal } = this.#context();
    return {
      path: this.#options.path,
      maxMemoryMib: this.#options.maxMemoryMib,
      access,
      scratchDir: context.engine.scratchDir,
      clock: context.clock,
      signal,
      notice: (message: string) => this.#notice(message),
    };
  }

  #notice(message: string): void {
    const { context } = this.#context();
    context.observe({ kind: "notice", pipeline: context.pipeline, message });
  }

  #context() {
    if (this.#opened === undefined) throw outOfOrder("duckdb", "it is not open");
    return this.#opened;
  }

  #running(): Epoch {
    if (this.#epoch === undefined) throw outOfOrder("duckdb", "no epoch has begun");
    return this.#epoch;
  }
}
