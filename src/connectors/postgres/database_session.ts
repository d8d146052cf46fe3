import type { TableRef } from "../../core/connector.ts";
import type { Clock } from "../../core/clock.ts";
import type {
  DatabaseSession,
  DatabaseTable,
  LoadTarget,
  NativeRows,
  RelationPiece,
} from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import type { Column } from "../../core/schema.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import { bindQuery, type BoundQuery, prepareQuery } from "./bound_query.ts";
import { readTable, shownName } from "./catalog.ts";
import { commitOutcome, transactionId } from "./commit_outcome.ts";
import { within } from "../_sql/cancellation.ts";
import type { PostgresConnection } from "./connection.ts";
import { copyAsCsv, csvPieces } from "./csv_pieces.ts";
import { type FailedWork, toDatabaseError } from "./database_error.ts";
import { postgresDialect } from "./dialect.ts";
import { columnList, loadFromEngine } from "./engine_load.ts";
import { copyInSql, copyOutSql, nativeCopy } from "./native_copy.ts";
import { describedColumns } from "./own_types.ts";
import { isConnectionLoss, isServerError } from "./postgres_error.ts";
import { resultRows } from "./result_rows.ts";

const ROLLBACK_WITHIN_MS = 5_000;
/**
 * Loads sort, group and join a million rows by hash: the server's default of 4 MB would send all of that to the disk. A server that has more keeps it.
 */
const MORE_WORK_MEMORY = "SELECT set_config('work_mem', '64MB', true) " +
  "WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')";

/** A statement in a transaction that has failed. */
const IN_FAILED_TRANSACTION = "25P02";

/** One connection to Postgres. See {@link DatabaseSession}. */
export class PostgresSession implements DatabaseSession {
  readonly dialect = postgresDialect;
  readonly #connection: PostgresConnection;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #inTransaction = false;

  /** @param signal aborting it cancels what runs */
  constructor(connection: PostgresConnection, clock: Clock, signal: AbortSignal) {
    this.#connection = connection;
    this.#clock = clock;
    this.#signal = signal;
  }

  begin(): Promise<void> {
    return this.#told({ doing: "begin a transaction", writes: false }, async () => {
      await this.#query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      await this.#query(MORE_WORK_MEMORY);
      this.#inTransaction = true;
    });
  }

  /** A COMMIT whose connection breaks is asked after over a new one: it throws only when the rows are not there, or that cannot be found out. */
  commit(): Promise<void> {
    return this.#told({ doing: "commit", writes: true }, async () => {
      const id = await transactionId(this.#connection, this.#signal).catch((error: unknown) => {
        // COMMIT itself then says that it rolls back.
        if (isServerError(error) && error.code === IN_FAILED_TRANSACTION) return undefined;
        throw error;
      });
      this.#inTransaction = false;
      try {
        const { command } = await this.#query("COMMIT");
        if (command !== "COMMIT") throw this.#notCommitted();
      } catch (error) {
        if (id === undefined || !isConnectionLoss(error)) throw error;
        const { address } = this.#connection;
        const outcome = await commitOutcome(id, address, this.#clock, error, this.#signal);
        if (outcome === "aborted") throw this.#notCommitted(error);
      }
    });
  }

  async rollback(): Promise<void> {
    if (!this.#inTransaction) return;
    this.#inTransaction = false;
    if (this.#connection.lost) return;
    // Not stopped by the signal: this is what is done after it was aborted.
    const done = this.#connection.query("ROLLBACK").then(() => true, () => false);
    // The server rolls back what a dropped session had open.
    if (!await within(ROLLBACK_WITHIN_MS, done) || !await done) this.#connection.drop();
  }

  run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#told({ doing: "run a statement", statement: sql, writes: true }, async () => {
      const { command, rowCount, fields } = await this.#query(sql, params);
      // A SELECT counts its rows, too, and changes none; CREATE TABLE AS calls itself SELECT and gives none back.
      return command === "SELECT" && fields.length > 0 ? 0 : rowCount;
    });
  }

  rows<Row = Record<string, SqlValue>>(
    sql: string,
    params: readonly SqlValue[] = [],
  ): Promise<Row[]> {
    return this.#told(
      // A WITH may write, and give back what it wrote.
      { doing: "run a query", statement: sql, writes: /^\s*WITH\b[^]*\bINSERT\b/i.test(sql) },
      async () => resultRows(await this.#query(sql, params)) as Row[],
    );
  }

  describe(query: string, params: readonly SqlValue[] = []): Promise<Column[]> {
    return this.#told(
      { doing: "prepare the query", statement: query, writes: false },
      async () => {
        const { columns } = await prepareQuery(
          this.#connection,
          query,
          params.length,
          this.#inTransaction,
          this.#signal,
        );
        if (columns.length === 0) throw givesNoColumns();
        return await describedColumns(this.#connection, columns, this.#signal);
      },
    );
  }

  table(ref: TableRef): Promise<DatabaseTable | undefined> {
    return this.#told(
      { doing: `read the definition of ${shownName(ref)}`, writes: false },
      () => readTable(this.#connection, ref),
    );
  }

  async *read(
    query: string,
    params: readonly SqlValue[],
    engine: Engine,
    _engineSession: Session,
  ): AsyncIterable<RelationPiece> {
    const bound = await this.#bound(query, params);
    const parts = this.#connection.copyOut(copyAsCsv(bound), "rows", this.#signal);
    yield* this.#toldEach(csvPieces(parts, bound.columns, engine));
  }

  load(into: LoadTarget, engineQuery: string, engineSession: Session): Promise<number> {
    return this.#told(
      { doing: `load into ${into.table}`, writes: true },
      () => loadFromEngine(this.#connection, into, engineQuery, engineSession, this.#signal),
    );
  }

  readonly native = {
    readOut: async (
      query: string,
      params: readonly SqlValue[],
      into: LoadTarget,
    ): Promise<NativeRows> => {
      const copy = nativeCopy(await this.#bound(query, params), into);
      return { format: copy.format, pieces: this.#nativePieces(copyOutSql(copy)) };
    },
    loadIn: (into: LoadTarget, { format, pieces }: NativeRows): Promise<number> =>
      this.#told({ doing: `load into ${into.table}`, writes: true }, () => {
        const sql = copyInSql(into.table, columnList(into), format);
        return this.#connection.copyIn(sql, pieces, this.#signal, true);
      }),
  };

  async *#nativePieces(sql: string): AsyncGenerator<Uint8Array> {
    const parts = this.#connection.copyOut(sql, "frames", this.#signal);
    for await (const { bytes } of this.#toldEach(parts)) yield bytes;
  }

  lock(name: string): Promise<boolean> {
    return this.#told({ doing: `take the lock '${name}'`, writes: false }, async () => {
      const { rows: [row] } = await this.#query<{ taken: string }>(
        "SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS taken",
        [`flow:${name}`],
      );
      return row?.taken === "t";
    });
  }

  async close(): Promise<void> {
    this.#inTransaction = false;
    await this.#connection.close();
  }

  #query<Row>(sql: string, params: readonly SqlValue[] = []) {
    return this.#connection.query<Row>(sql, params, this.#signal);
  }

  #bound(query: string, params: readonly SqlValue[]): Promise<BoundQuery> {
    return this.#told({ doing: "read the query", statement: query, writes: false }, async () => {
      const bound = await bindQuery(
        this.#connection,
        query,
        params,
        this.#inTransaction,
        this.#signal,
      );
      if (bound.columns.length === 0) throw givesNoColumns();
      return bound;
    });
  }

  async #told<T>(work: FailedWork, action: () => Promise<T>): Promise<T> {
    try {
      this.#signal.throwIfAborted();
      return await action();
    } catch (error) {
      throw this.#failed(error, work);
    }
  }

  async *#toldEach<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* items;
    } catch (error) {
      throw this.#failed(error, { doing: "read the query", writes: false });
    }
  }

  #failed(error: unknown, work: FailedWork): unknown {
    if (this.#signal.aborted) return this.#signal.reason;
    if (isConnectionLoss(error)) this.#connection.drop();
    return toDatabaseError(error, work, this.#connection.address);
  }

  #notCommitted(cause?: unknown): FlowError {
    return new FlowError(
      `the transaction in postgres at ${this.#connection.address.shown} was rolled back instead of committed`,
      {
        code: "postgres_not_committed",
        domain: "external",
        retryable: true,
        ...(cause === undefined ? {} : { cause }),
      },
    );
  }
}

function givesNoColumns(): FlowError {
  return new FlowError("the query gives no columns", {
    code: "query_invalid",
    domain: "user",
    hint: "write a SELECT, or another statement that gives rows",
  });
}
