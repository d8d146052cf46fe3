import type { TableRef } from "../../core/connector.ts";
import type {
  DatabaseSession,
  DatabaseTable,
  LoadTarget,
  RelationPiece,
} from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import type { Column } from "../../core/schema.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import { type Ask, describeColumns, readTable } from "./catalog.ts";
import { within } from "../_sql/cancellation.ts";
import type { MysqlConnection, Outcome } from "./connection.ts";
import { mysqlDialect } from "./dialect.ts";
import { loadRows } from "./loader.ts";
import { toMysqlError } from "./mysql_error.ts";
import { readPieces } from "./reader.ts";

const CLOSE_WITHIN_MS = 2_000;
/** A server that undoes many rows takes its time, and keeps the session's locks meanwhile. */
const ROLLBACK_WITHIN_MS = 60_000;
/** Whoever stops a run does not wait for that. */
const STOPPED_ROLLBACK_WITHIN_MS = 2_000;

/** A connection to MariaDB or MySQL, for declared pipelines. */
export class MysqlSession implements DatabaseSession {
  readonly dialect = mysqlDialect;
  readonly #connection: MysqlConnection;
  readonly #signal: AbortSignal;
  #inTransaction = false;
  #reading = false;
  #locks = false;

  constructor(connection: MysqlConnection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  async begin(): Promise<void> {
    await this.#query("begin a transaction", "START TRANSACTION WITH CONSISTENT SNAPSHOT");
    this.#inTransaction = true;
  }

  async commit(): Promise<void> {
    this.#inTransaction = false;
    await this.#query("commit", "COMMIT");
  }

  /**
   * Also after an abort: then the signal does not stop it. A connection that is gone has rolled back by itself, and one that does not answer in time is
   * dropped: the server then rolls back.
   */
  async rollback(): Promise<void> {
    if (!this.#inTransaction) return;
    this.#inTransaction = false;
    if (this.#connection.lost) return;
    const done = this.#connection.query("ROLLBACK").then(() => true, () => false);
    const limitMs = this.#signal.aborted ? STOPPED_ROLLBACK_WITHIN_MS : ROLLBACK_WITHIN_MS;
    if (!await within(limitMs, done) || !await done) this.#connection.drop();
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return (await this.#query("run a statement", sql, params)).affected;
  }

  async rows<Row = Record<string, SqlValue>>(
    sql: string,
    params: readonly SqlValue[] = [],
  ): Promise<Row[]> {
    const { columns, rows } = await this.#query("run a query", sql, params);
    return rows.map((row) =>
      Object.fromEntries(columns.map((column, at) => [column.name, row[at] ?? null])) as Row
    );
  }

  /** The parameters' values do not matter to it. */
  describe(query: string, params: readonly SqlValue[] = []): Promise<Column[]> {
    return this.#do("prepare a query", async () => {
      const definitions = await this.#connection.prepare(withoutEnd(query), this.#signal);
      return await describeColumns(this.#ask, definitions, params.length > 0);
    });
  }

  table(ref: TableRef): Promise<DatabaseTable | undefined> {
    return this.#do(
      "read a table's definition",
      () => readTable(this.#ask, this.#connection.isMariadb, ref),
    );
  }

  async *read(
    query: string,
    params: readonly SqlValue[],
    engine: Engine,
    _engineSession: Session,
  ): AsyncGenerator<RelationPiece> {
    const columns = await this.describe(query, params);
    this.#requireFree();
    this.#reading = true;
    try {
      yield* readPieces({
        connection: this.#connection,
        query: withoutEnd(query),
        params,
        columns,
        engine,
        signal: this.#signal,
      });
    } catch (error) {
      this.#signal.throwIfAborted();
      throw toMysqlError(error, "run a query", this.#connection.address);
    } finally {
      this.#reading = false;
    }
  }

  async load(into: LoadTarget, engineQuery: string, engineSession: Session): Promise<number> {
    const own = !this.#inTransaction;
    if (own) await this.begin();
    try {
      const rows = await this.#do(
        `load into ${into.table}`,
        () => loadRows(this.#connection, into, engineQuery, engineSession, this.#signal),
      );
      if (own) await this.commit();
      return rows;
    } catch (error) {
      if (own) await this.rollback();
      throw error;
    }
  }

  /** Locks are the server's: their names hold the database's, hashed to what a name may have. */
  async lock(name: string): Promise<boolean> {
    const { database = "" } = this.#connection.address;
    const bytes = new TextEncoder().encode(`${database}\n${name}`);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    const { rows } = await this.#query("take a lock", "SELECT GET_LOCK(?, 0)", [
      `flow:${hash.slice(0, 48)}`,
    ]);
    const taken = rows[0]?.[0] === 1n;
    this.#locks ||= taken;
    return taken;
  }

  async close(): Promise<void> {
    if (this.#locks && !this.#connection.lost && !this.#reading) {
      // The server takes its time to notice the end of a connection.
      const releasing = this.#connection.query("SELECT RELEASE_ALL_LOCKS()").catch(() => {});
      await within(CLOSE_WITHIN_MS, releasing);
    }
    await this.#connection.close();
  }

  readonly #ask: Ask = async (sql, params) =>
    (await this.#connection.query(sql, params, this.#signal)).rows;

  #query(doing: string, sql: string, params: readonly SqlValue[] = []): Promise<Outcome> {
    return this.#do(doing, () => this.#connection.query(sql, params, this.#signal));
  }

  async #do<T>(doing: string, work: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    this.#requireFree();
    try {
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      throw toMysqlError(error, doing, this.#connection.address);
    }
  }

  /** It would wait behind the query, and the query for its reader. */
  #requireFree(): void {
    if (!this.#reading) return;
    throw new FlowError("cannot run a statement: the session is still reading a query's result", {
      code: "database_session_busy",
      domain: "internal",
    });
  }
}

function withoutEnd(query: string): string {
  return query.replace(/[;\s]+$/, "");
}
