import type { TableRef } from "../../core/connector.ts";
import type {
  DatabaseSession,
  DatabaseTable,
  LoadTarget,
  RelationPiece,
} from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import { copyInPieces } from "../../sql/chunk_copy.ts";
import { duckdbDialect } from "../../sql/dialect.ts";
import type { DuckdbFile } from "../../sql/duckdb_file.ts";
import type { DuckdbSession } from "../../sql/session.ts";
import { databaseFailure } from "./database_failure.ts";
import { removeDatabase } from "./epoch.ts";
import { readTable, storableType, tableName } from "./table.ts";

/** What a {@link DuckdbDatabaseSession} stands on; it closes both. */
export interface DuckdbConnection {
  readonly file: DuckdbFile;
  readonly session: DuckdbSession;
  readonly path: string;
  readonly signal: AbortSignal;
}

/** Locks that sessions of this process hold, as `file name`. No other process has the file open while one of them may write. */
const locks = new Map<string, DuckdbDatabaseSession>();
let stages = 0;

/** A connection to a DuckDB file, for declared pipelines. */
export class DuckdbDatabaseSession implements DatabaseSession {
  readonly dialect = duckdbDialect;
  readonly #connection: DuckdbConnection;
  readonly #interrupt: () => void;
  #inTransaction = false;
  #reading = false;
  #closed = false;

  constructor(connection: DuckdbConnection) {
    this.#connection = connection;
    this.#interrupt = () => connection.session.interrupt();
    connection.signal.addEventListener("abort", this.#interrupt);
  }

  async begin(): Promise<void> {
    await this.#do((session) => session.run("BEGIN TRANSACTION"));
    this.#inTransaction = true;
  }

  async commit(): Promise<void> {
    await this.#do(async (session) => {
      // A transaction that could not be committed is rolled back by DuckDB itself.
      this.#inTransaction = false;
      await session.run("COMMIT");
    });
  }

  async rollback(): Promise<void> {
    if (!this.#inTransaction) return;
    this.#inTransaction = false;
    await this.#connection.session.run("ROLLBACK");
  }

  run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#do(async (session) => {
      await this.#connection.file.memory.forStatements(session);
      return await session.change(sql, params);
    });
  }

  async rows<Row = Record<string, SqlValue>>(
    sql: string,
    params: readonly SqlValue[] = [],
  ): Promise<Row[]> {
    return await this.#do((session) => session.exactRows(sql, params)) as Row[];
  }

  async describe(query: string, params: readonly SqlValue[] = []): Promise<Column[]> {
    const rows = await this.#do(async (session) => {
      try {
        return await session.rows<Described>(`DESCRIBE ${query}`, params);
      } catch (error) {
        throw await failureOfQuery(session, query, error);
      }
    });
    return rows.map((row) => ({ name: row.column_name, type: storableType(row.column_type) }));
  }

  table(ref: TableRef): Promise<DatabaseTable | undefined> {
    return this.#do((session) => readTable(session, tableName(ref)));
  }

  async *read(
    query: string,
    params: readonly SqlValue[],
    engine: Engine,
    engineSession: Session,
  ): AsyncGenerator<RelationPiece> {
    const { file, session, signal, path } = this.#connection;
    const columns = await this.describe(query, params);
    const statement = query.replace(/[;\s]+$/, "");
    await this.#do(() => file.memory.forQuery(session, statement, params));
    this.#reading = true;
    try {
      yield* copyInPieces({
        from: session,
        query: statement,
        params,
        columns,
        engine,
        engineSession,
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw databaseFailure(error, path, "query");
    } finally {
      this.#reading = false;
    }
  }

  /** By way of a file of DuckDB's own format in the scratch directory, which carries every type exactly. */
  async load(into: LoadTarget, engineQuery: string, engineSession: Session): Promise<number> {
    const { file, path, signal } = this.#connection;
    signal.throwIfAborted();
    stages += 1;
    const name = `flow_load_${stages}`;
    const staged = `${file.scratchDir}/${name}.duckdb`;
    const stop = () => engineSession.interrupt();
    signal.addEventListener("abort", stop, { once: true });
    try {
      await stageQuery(engineSession, name, staged, engineQuery, into);
      return await this.#insertStaged(into, name, staged);
    } catch (error) {
      signal.throwIfAborted();
      throw databaseFailure(error, path, "write");
    } finally {
      signal.removeEventListener("abort", stop);
      await removeDatabase(staged);
    }
  }

  lock(name: string): Promise<boolean> {
    const key = `${this.#connection.file.identity} ${name}`;
    const holder = locks.get(key);
    if (holder === undefined) locks.set(key, this);
    return Promise.resolve(holder === undefined || holder === this);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.signal.removeEventListener("abort", this.#interrupt);
    for (const [key, holder] of locks) if (holder === this) locks.delete(key);
    await this.#connection.session.close();
    await this.#connection.file.close();
  }

  async #insertStaged(into: LoadTarget, name: string, staged: string): Promise<number> {
    // Attaching is no part of the transaction, so that it is done on a connection of its own.
    const side = await this.#connection.file.connect();
    try {
      await side.run(`ATTACH ${quoteLiteral(staged)} AS ${name} (READ_ONLY)`);
      try {
        const columns = into.columns.map((column) => quoteIdentifier(column.name)).join(", ");
        return await this.#do(async (session) => {
          await this.#connection.file.memory.forLoading(session);
          return await session.change(
            `INSERT INTO ${into.table} (${columns}) SELECT * FROM ${name}.main.rows`,
          );
        });
      } finally {
        await side.run(`DETACH ${name}`);
      }
    } finally {
      await side.close();
    }
  }

  async #do<T>(work: (session: DuckdbSession) => Promise<T>): Promise<T> {
    const { session, signal, path } = this.#connection;
    signal.throwIfAborted();
    this.#requireFree();
    try {
      return await work(session);
    } catch (error) {
      signal.throwIfAborted();
      throw databaseFailure(error, path, "write");
    }
  }

  /** A statement beside a query that is still being read would end the query without a word. */
  #requireFree(): void {
    if (!this.#reading) return;
    throw new FlowError("cannot run a statement: the session is still reading a query's result", {
      code: "database_session_busy",
      domain: "internal",
    });
  }
}

interface Described {
  readonly column_name: string;
  readonly column_type: string;
}

/** What is wrong with a query that cannot be described: the engine would point into the DESCRIBE, which nobody wrote. */
async function failureOfQuery(
  session: DuckdbSession,
  query: string,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof FlowError) || error.code !== "sql_invalid") return error;
  try {
    await session.prepare(query);
  } catch (own) {
    return own;
  }
  // The statement is valid by itself, and no query.
  return error.message.startsWith("Parser Error") ? givesNoRows(error) : error;
}

function givesNoRows(cause: FlowError): FlowError {
  return new FlowError("the statement is no query whose rows can be read", {
    code: "query_invalid",
    domain: "user",
    hint: "write a SELECT",
    cause,
  });
}

/** Writes the query's result, as the types of the target's columns, into a database file as the table `rows`. */
async function stageQuery(
  session: Session,
  name: string,
  path: string,
  query: string,
  into: LoadTarget,
): Promise<void> {
  const given = await session.describe(query);
  const names = into.columns.map((_, at) => `c${at}`);
  const items = into.columns.map((column, at) => {
    const type = given[at]?.type;
    return type === undefined
      ? `NULL AS c${at}`
      : `${duckdbDialect.cast({ sql: `c${at}`, type }, column.type)} AS c${at}`;
  });
  await session.run(`ATTACH ${quoteLiteral(path)} AS ${name} (STORAGE_VERSION 'latest')`);
  try {
    await session.run(
      `CREATE TABLE ${name}.rows AS SELECT ${items.join(", ")} ` +
        `FROM (\n${query}\n) AS loaded(${names.join(", ")})`,
    );
  } finally {
    await session.run(`DETACH ${name}`);
  }
}
