import type { Batch, RejectedRows } from "../../core/batch.ts";
import type { SinkRequest, TableRef } from "../../core/connector.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { FlowError } from "../../core/error.ts";
import type { OffsetMove, StoredOffset } from "../../core/offset.ts";
import type { Column, TargetColumn } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { Sink, SinkContext } from "../../core/sink.ts";
import { TABLE_TRAITS } from "../_sql/epoch_table.ts";
import { commitOutcome } from "../_sql/offset_fence.ts";
import { type ShapedTable, shapeTable, type TableShaper } from "../_sql/table_shape.ts";
import { type Doubt, doubtfulColumns, findWidenings, toldWidenings } from "../_sql/widening.ts";
import { type PostgresAddress, postgresAddress } from "./address.ts";
import {
  type PostgresColumn,
  type PostgresTable,
  qualifiedName,
  readTable,
  shownName,
} from "./catalog.ts";
import { within } from "../_sql/cancellation.ts";
import { PostgresConnection } from "./connection.ts";
import { deadLetterTable, ensureDeadLetterTable, insertDeadLetters } from "./dead_letter_table.ts";
import { ensureOffsetsTable, moveOffsets, readOffsets } from "./offsets.ts";
import { isConnectionLoss, isTableChange, toPostgresError } from "./postgres_error.ts";
import { writeRows } from "./row_writer.ts";
import { addColumns, createSchema, createTable, unmakable } from "./target_table.ts";
import { BEGIN, notCommitted, outcomeUnknown } from "./transaction.ts";
import { postgresWidener, widenColumns } from "./widening.ts";
import { planWrite, type WritePlan } from "./write_plan.ts";

/** How long a lost COMMIT is asked after before its outcome counts as unknown. */
const RESOLVE_WITHIN_MS = 30_000;
const RESOLVE_PAUSE_MS = 250;
/** Batches after the last one with bad rows in which the engine looks for them before the server does. */
const CHECKED_BATCHES = 20;

interface CachedPlan {
  readonly signature: string;
  /** Columns whose values decide whether their targets need a wider type. */
  readonly doubts: readonly Doubt<PostgresColumn>[];
  readonly shaped: ShapedTable<PostgresColumn, PostgresTable>;
  plan?: WritePlan;
  readonly mergeStage: string;
}

/** Rows into a Postgres table: COPY, or COPY and an upsert; offsets and dead letters in the rows' own transaction. */
export class PostgresSink implements Sink {
  readonly targetId: string;
  readonly exclusiveTable: string;
  readonly traits = TABLE_TRAITS;
  readonly #request: SinkRequest;
  readonly #table: TableRef;
  readonly #address: PostgresAddress;
  #context: SinkContext | undefined;
  #connection: PostgresConnection | undefined;
  #inTransaction = false;
  /** The target as it is known, and plans into it; forgotten whenever it may have changed. */
  #target: PostgresTable | undefined;
  #plans: CachedPlan[] = [];
  /** Rows of this pipeline are in the table, from this run or an earlier one: new columns may be added from then on. */
  #hasWritten = false;
  #wroteInEpoch = false;
  #checkedBatchesLeft = 0;
  readonly #letterTables = new Set<string>();
  /** Columns whose type the server would not change: that is asked once. */
  readonly #fixed = new Set<string>();

  constructor(request: SinkRequest) {
    if (request.table === undefined) {
      throw new FlowError("a postgres target needs [target.table] with the table's name", {
        code: "target_table_unnamed",
        domain: "user",
        hint: '[target.table] schema = "public", name = "events"',
      });
    }
    this.#request = request;
    this.#table = request.table;
    this.#address = postgresAddress(request.options);
    this.targetId = `postgres:${shownName(request.table)}`;
    const { schema = "public", name } = request.table;
    this.exclusiveTable = `${shownName({ schema, name })} at ${this.#address.shown}`;
  }

  async open(context: SinkContext, signal: AbortSignal): Promise<void> {
    this.#context = context;
    this.#connection = await PostgresConnection.connect(this.#address, signal);
    if (!context.exactlyOnce) return;
    await this.#told("make the offsets table", (connection) => ensureOffsetsTable(connection));
    await this.storedOffsets();
  }

  columns(): Promise<readonly TargetColumn[] | undefined> {
    return this.#told(`read the columns of ${shownName(this.#table)}`, async (connection) => {
      const table = await readTable(connection, this.#table);
      this.#forgetTarget();
      this.#target = table;
      return table?.columns;
    });
  }

  async storedOffsets(): Promise<readonly StoredOffset[]> {
    const context = this.#opened();
    if (!context.exactlyOnce) return [];
    // A session of its own: the epoch's may be in the midst of a COPY, and its commit is one of those to wait for.
    const connection = await PostgresConnection.connect(this.#address);
    try {
      const stored = await context.offsetName.read(
        this.#address.shown,
        (name) => readOffsets(connection, name),
      );
      if (stored.length > 0) this.#hasWritten = true;
      return stored;
    } catch (error) {
      throw toPostgresError(error, "read the stored offsets", this.#address);
    } finally {
      await connection.close();
    }
  }

  async begin(_epoch: number): Promise<void> {
    const reused = this.#connection;
    try {
      await this.#begin();
    } catch (error) {
      // An idle session may have been closed on the way without a sign; a new one tells whether the server is there.
      if (reused === undefined || !isConnectionLoss(error)) throw error;
      this.#dropConnection();
      await this.#begin();
    }
  }

  #begin(): Promise<void> {
    return this.#told("begin a transaction", async (connection) => {
      await connection.query(BEGIN);
      this.#inTransaction = true;
      this.#wroteInEpoch = false;
    });
  }

  write(
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    return this.#told(`write to ${shownName(this.#table)}`, async (connection) => {
      signal.throwIfAborted();
      const wasKnown = this.#target !== undefined;
      try {
        return await this.#writeInto(connection, batch, session, signal);
      } catch (error) {
        // Somebody has altered the table since it was looked at: it is looked at again, as long as the transaction holds no rows.
        if (!isTableChange(error) || !wasKnown || this.#wroteInEpoch) throw error;
        this.#forgetTarget();
        await connection.query(`ROLLBACK; ${BEGIN}`);
        return await this.#writeInto(connection, batch, session, signal);
      }
    });
  }

  async #writeInto(
    connection: PostgresConnection,
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    let planned = await this.#planFor(connection, batch.columns);
    if (batch.rows === 0) return undefined;
    if (await this.#widened(connection, planned.doubts, batch, session)) {
      planned = await this.#planFor(connection, batch.columns);
    }
    const names = { table: qualifiedName(this.#table), shown: shownName(this.#table) };
    // Only now: before it is widened, a column may be one that no value of the batch fits.
    planned.plan ??= planWrite(names, planned.shaped);
    const { plan, mergeStage } = planned;
    const rejected = await writeRows({
      connection,
      session,
      engine: this.#opened().engine,
      plan,
      batch,
      mergeStage,
      expectBadRows: this.#checkedBatchesLeft > 0,
      signal,
    });
    this.#wroteInEpoch = true;
    this.#checkedBatchesLeft = rejected === undefined
      ? Math.max(0, this.#checkedBatchesLeft - 1)
      : CHECKED_BATCHES;
    return rejected;
  }

  writeDeadLetters(table: string, letters: readonly DeadLetter[]): Promise<void> {
    return this.#told(`write dead letters to ${table}`, async (connection) => {
      const ref = deadLetterTable(table);
      if (!this.#letterTables.has(table)) {
        await ensureDeadLetterTable(connection, ref);
        this.#letterTables.add(table);
      }
      await insertDeadLetters(connection, ref, letters);
    });
  }

  async commit(moves: readonly OffsetMove[]): Promise<void> {
    const { exactlyOnce, offsetName: { name } } = this.#opened();
    await this.#told(`move the offsets of ${name}`, async (connection) => {
      if (exactlyOnce) await moveOffsets(connection, name, this.targetId, moves);
    });
    await this.#told(`commit to ${shownName(this.#table)}`, async (connection) => {
      try {
        const { command } = await connection.query("COMMIT");
        if (command !== "COMMIT") throw notCommitted(this.targetId);
      } catch (error) {
        if (!isConnectionLoss(error)) throw error;
        this.#dropConnection();
        await this.#resolveCommit(exactlyOnce ? moves : [], error);
      }
    });
    this.#inTransaction = false;
    if (this.#wroteInEpoch) this.#hasWritten = true;
  }

  async abort(): Promise<void> {
    this.#forgetTarget();
    this.#letterTables.clear();
    this.#wroteInEpoch = false;
    const connection = this.#connection;
    if (connection === undefined || !this.#inTransaction) return;
    this.#inTransaction = false;
    const rolledBack = connection.query("ROLLBACK").then(() => true, () => false);
    // The server rolls back what a dropped session had open; the next call connects anew.
    if (!await within(ROLLBACK_WITHIN_MS, rolledBack) || !await rolledBack) this.#dropConnection();
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#inTransaction = false;
    await connection?.close();
  }

  /** Runs work on the connection, making one where there is none; errors come out as FlowErrors. */
  async #told<T>(
    doing: string,
    work: (connection: PostgresConnection) => Promise<T>,
  ): Promise<T> {
    const connection = await this.#connected();
    try {
      return await work(connection);
    } catch (error) {
      if (isConnectionLoss(error)) connection.drop();
      throw toPostgresError(error, doing, this.#address);
    }
  }

  async #connected(): Promise<PostgresConnection> {
    if (this.#connection?.lost === false) return this.#connection;
    if (this.#inTransaction) {
      throw new FlowError(`the connection to postgres at ${this.#address.shown} was lost`, {
        code: "postgres_unreachable",
        domain: "external",
        retryable: true,
      });
    }
    this.#connection = await PostgresConnection.connect(this.#address);
    this.#forgetTarget();
    return this.#connection;
  }

  /** Makes the table, or its new columns, and the plan. */
  async #planFor(connection: PostgresConnection, columns: readonly Column[]): Promise<CachedPlan> {
    const signature = JSON.stringify(columns);
    const known = this.#plans.find((plan) => plan.signature === signature);
    if (known !== undefined) return known;
    const shaped = await shapeTable(this.#shaper(connection), columns, this.#target);
    this.#target = shaped.table;
    const doubts = this.#request.create
      ? await doubtfulColumns(shaped, postgresWidener(connection, this.#table))
      : [];
    const mergeStage = this.#opened().engine.newName("_flow_merge");
    const cached = { signature, shaped, mergeStage, doubts };
    this.#plans = [cached, ...this.#plans].slice(0, MAX_PLANS);
    return cached;
  }

  /** Gives columns that flow made the wider types that the batch needs; true when there were some. */
  async #widened(
    connection: PostgresConnection,
    doubts: readonly Doubt<PostgresColumn>[],
    batch: Batch,
    session: Session,
  ): Promise<boolean> {
    const known = this.#hasWritten || this.#wroteInEpoch || !this.#opened().exactlyOnce;
    if (!known) return false;
    const wide = doubts.filter(({ target }) => !this.#fixed.has(target.name));
    const widener = postgresWidener(connection, this.#table);
    const widenings = await findWidenings(session, batch, wide, widener);
    if (widenings.length === 0) return false;
    const shown = shownName(this.#table);
    const refused = await widenColumns(connection, this.#table, widenings);
    if (refused === undefined) {
      this.#forgetTarget();
      this.#notice(toldWidenings(shown, widenings));
      return true;
    }
    for (const { target } of widenings) this.#fixed.add(target.name);
    this.#notice(`cannot widen the types in the table ${shown}: ${refused}`);
    return false;
  }

  #shaper(connection: PostgresConnection): TableShaper<PostgresColumn, PostgresTable> {
    const { mode, keys, create } = this.#request;
    const shown = shownName(this.#table);
    return {
      shown,
      mode,
      keys,
      create,
      known: () => Promise.resolve(create && (this.#hasWritten || this.#wroteInEpoch)),
      read: () => readTable(connection, this.#table),
      unmakable,
      makeTable: async (columns, primaryKey) => {
        const { schema } = this.#table;
        if (schema !== undefined && await createSchema(connection, schema)) {
          // There are no rows in it yet: the table is missing.
          await connection.query(`ROLLBACK; ${BEGIN}`);
        }
        await createTable(connection, this.#table, columns, primaryKey);
        this.#notice(`created the table ${shown}`);
      },
      addColumns: async (columns) => {
        await addColumns(connection, this.#table, columns);
        // Older plans are for a table that has changed since.
        this.#plans = [];
        const names = columns.map((column) => `"${column.name}"`).join(", ");
        this.#notice(`added ${names} to the table ${shown}`);
      },
    };
  }

  #forgetTarget(): void {
    this.#target = undefined;
    this.#plans = [];
  }

  /**
   * The connection broke during COMMIT: nobody knows yet whether the rows are there. The offsets tell, once the old session is
   * done; without offsets the answer is an error, after which the rows come again.
   */
  async #resolveCommit(moves: readonly OffsetMove[], lost: unknown): Promise<void> {
    const { clock } = this.#opened();
    const deadline = clock.monotonic() + RESOLVE_WITHIN_MS;
    for (;;) {
      try {
        const outcome = moves.length === 0
          ? "unclear"
          : commitOutcome(moves, await this.storedOffsets());
        if (outcome === "committed") return;
        throw outcome === "not_committed"
          ? notCommitted(this.targetId, lost)
          : outcomeUnknown(this.targetId, lost);
      } catch (error) {
        const away = error instanceof FlowError && error.code === "postgres_unreachable";
        if (!away) throw error;
        if (clock.monotonic() > deadline) throw outcomeUnknown(this.targetId, lost);
        await clock.sleep(RESOLVE_PAUSE_MS);
      }
    }
  }

  #dropConnection(): void {
    this.#connection?.drop();
    this.#connection = undefined;
    this.#inTransaction = false;
  }

  #notice(message: string): void {
    const { observe, pipeline } = this.#opened();
    observe({ kind: "notice", pipeline, message });
  }

  #opened(): SinkContext {
    if (this.#context !== undefined) return this.#context;
    throw new FlowError(`the sink ${this.targetId} is used before open()`, {
      code: "sink_not_open",
      domain: "internal",
    });
  }
}

/** Batches of a pipeline differ in few ways (parts of a decoded batch); older plans are made again. */
const MAX_PLANS = 8;
const ROLLBACK_WITHIN_MS = 5_000;
