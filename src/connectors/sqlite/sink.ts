import { realPath } from "../_sql/file_path.ts";
import type { Batch, RejectedRows } from "../../core/batch.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { FlowError } from "../../core/error.ts";
import type { OffsetMove, StoredOffset } from "../../core/offset.ts";
import type { TargetColumn } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { Sink, SinkContext } from "../../core/sink.ts";
import { stoppable } from "../_sql/cancellation.ts";
import { epochTable, outOfOrder, TABLE_TRAITS, type TableLoad } from "../_sql/epoch_table.ts";
import { SqliteClient } from "./client.ts";
import { deadLetterTable, insertDeadLetters } from "./dead_letters.ts";
import { moveOffsets, readOffsets } from "./offsets.ts";
import { readTable } from "./table.ts";
import { TableWriter } from "./table_writer.ts";

/** What a {@link SqliteSink} is made from. */
export interface SqliteSinkOptions extends TableLoad {
  readonly path: string;
  /** A table of the schema `main`. */
  readonly table: string;
  /** How long a writer waits for another one; 10 s by default. */
  readonly busyMs?: number;
}

/** A table in an SQLite file, written by a Worker. Others can read the file all the time, and write between the epochs. */
export class SqliteSink implements Sink {
  readonly targetId: string;
  readonly exclusiveFile: string;
  readonly traits = TABLE_TRAITS;
  readonly #options: SqliteSinkOptions;
  #context: SinkContext | undefined;
  #client: SqliteClient | undefined;
  #writer: TableWriter | undefined;
  /** A commit or abort under way. */
  #ending: Promise<void> = Promise.resolve();
  /** True once an epoch of this run is committed. */
  #written = false;

  constructor(options: SqliteSinkOptions) {
    this.#options = options;
    this.exclusiveFile = realPath(options.path);
    this.targetId = `sqlite:${options.path}:${options.table}`;
  }

  async open(context: SinkContext, signal: AbortSignal): Promise<void> {
    this.#context = context;
    const { path, create, busyMs } = this.#options;
    if (!create) await requireFile(path);
    const { client } = await SqliteClient.open(path, busyMs === undefined ? {} : { busyMs });
    this.#client = client;
    signal.throwIfAborted();
  }

  columns(): Promise<readonly TargetColumn[] | undefined> {
    return this.#reading(async (client) => (await readTable(client, this.#options.table))?.columns);
  }

  storedOffsets(): Promise<readonly StoredOffset[]> {
    const { context } = this.#opened();
    if (!context.exactlyOnce) return Promise.resolve([]);
    return this.#reading((client) =>
      context.offsetName.read(this.exclusiveFile, (name) => readOffsets(client, name))
    );
  }

  async begin(_epoch: number): Promise<void> {
    await this.#ending;
    const { client, context } = this.#opened();
    // Taking the write lock now, and not with the first row, leaves nothing that could fail on another writer later.
    await client.call({ op: "query", sql: "BEGIN IMMEDIATE", params: [] });
    this.#writer = new TableWriter({
      ...epochTable(
        context,
        this.#options,
        () => this.#written,
        () => readOffsets(client, context.offsetName.name),
      ),
      client,
      table: this.#options.table,
    });
  }

  async write(
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    const writer = this.#running();
    return await stoppable(
      signal,
      () => session.interrupt(),
      () => writer.write(batch, session, signal),
    );
  }

  async writeDeadLetters(table: string, letters: readonly DeadLetter[]): Promise<void> {
    this.#running();
    await insertDeadLetters(this.#opened().client, deadLetterTable(table), letters);
  }

  commit(moves: readonly OffsetMove[]): Promise<void> {
    const { client, context } = this.#opened();
    const writer = this.#running();
    return this.#end(async () => {
      if (context.exactlyOnce) {
        await moveOffsets(client, this.targetId, context.offsetName.name, moves);
      }
      await client.run("COMMIT");
      this.#writer = undefined;
      this.#written ||= writer.hasWritten;
    });
  }

  abort(): Promise<void> {
    if (this.#writer === undefined || this.#client === undefined) return this.#ending;
    const client = this.#client;
    this.#writer = undefined;
    return this.#end(async () => {
      try {
        await client.run("ROLLBACK");
      } catch {
        // There is none to roll back after some failures of the disk; a connection that is broken lets the lock go when it is closed.
        await client.close();
        const { path, busyMs } = this.#options;
        this.#client =
          (await SqliteClient.open(path, busyMs === undefined ? {} : { busyMs })).client;
      }
    });
  }

  async close(): Promise<void> {
    try {
      await this.abort();
    } finally {
      const client = this.#client;
      this.#client = undefined;
      await client?.close();
    }
  }

  #end(finish: () => Promise<void>): Promise<void> {
    const ended = finish();
    this.#ending = ended.catch(() => {});
    return ended;
  }

  /** Reads what is committed now, on a connection of its own while an epoch is open. */
  async #reading<T>(read: (client: SqliteClient) => Promise<T>): Promise<T> {
    await this.#ending;
    if (this.#writer === undefined) return await read(this.#opened().client);
    const { client } = await SqliteClient.open(this.#options.path, { readOnly: true });
    try {
      return await read(client);
    } finally {
      await client.close();
    }
  }

  #opened(): { readonly client: SqliteClient; readonly context: SinkContext } {
    if (this.#client === undefined || this.#context === undefined) {
      throw outOfOrder("sqlite", "it is not open");
    }
    return { client: this.#client, context: this.#context };
  }

  #running(): TableWriter {
    if (this.#writer === undefined) throw outOfOrder("sqlite", "no epoch has begun");
    return this.#writer;
  }
}

/**
 * Throws `sqlite_file_missing` (user) when there is no file.
 */
export async function requireFile(path: string): Promise<void> {
  try {
    await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new FlowError(`there is no SQLite file at '${path}'`, {
        code: "sqlite_file_missing",
        domain: "user",
        hint: "correct the path; only a target is made by its first run",
        details: { path },
      });
    }
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    const flag = `--allow-read=${path}`;
    throw new FlowError(`not allowed to read the SQLite file '${path}'`, {
      code: "permission_denied",
      domain: "user",
      hint: `start flow with ${flag}`,
      details: { flag },
    });
  }
}
