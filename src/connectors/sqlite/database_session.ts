import { createHash } from "node:crypto";
import type { TableRef } from "../../core/connector.ts";
import type {
  DatabaseSession,
  DatabaseTable,
  LoadTarget,
  RelationPiece,
} from "../../core/database.ts";
import type { Column } from "../../core/schema.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import { doubleText } from "../../sql/number_text.ts";
import type { SqliteClient } from "./client.ts";
import { queryColumns } from "./database_columns.ts";
import { databaseFailure } from "./database_failure.ts";
import { loadRows } from "./database_load.ts";
import { readInPieces } from "./database_read.ts";
import { fileTableName, sqliteDialect } from "./dialect.ts";
import type { SqliteValue } from "./protocol.ts";
import { readTable } from "./table.ts";

/** What a {@link SqliteDatabaseSession} stands on; it closes the client. */
export interface SqliteConnection {
  readonly client: SqliteClient;
  readonly path: string;
  readonly readOnly: boolean;
  readonly scratchDir: string;
  readonly signal: AbortSignal;
}

/** A connection to an SQLite file, for declared pipelines. */
export class SqliteDatabaseSession implements DatabaseSession {
  readonly dialect = sqliteDialect;
  readonly #connection: SqliteConnection;
  readonly #abort: () => void;
  #inTransaction = false;

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
    this.#abort = () => connection.client.abort("it was aborted");
    connection.signal.addEventListener("abort", this.#abort);
  }

  /** Takes the right to write at once: a transaction that asks for it later fails when somebody else has written meanwhile. */
  async begin(): Promise<void> {
    await this.run(this.#connection.readOnly ? "BEGIN" : "BEGIN IMMEDIATE");
    this.#inTransaction = true;
  }

  async commit(): Promise<void> {
    await this.run("COMMIT");
    this.#inTransaction = false;
  }

  async rollback(): Promise<void> {
    if (!this.#inTransaction) return;
    this.#inTransaction = false;
    try {
      await this.#connection.client.run("ROLLBACK");
    } catch {
      // Some failures of the disk end a transaction, as does the end of a connection: then there is none to roll back.
    }
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    const { changes } = await this.#do((client) =>
      client.call({ op: "change", sql, params: params.map(toSqlite) })
    );
    return changes;
  }

  async rows<Row = Record<string, SqlValue>>(
    sql: string,
    params: readonly SqlValue[] = [],
  ): Promise<Row[]> {
    const rows = await this.#do((client) =>
      client.call({ op: "query", sql, params: params.map(toSqlite) })
    );
    return rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name,
          typeof value === "number" ? doubleText(value) : value,
        ]),
      ) as Row
    );
  }

  describe(query: string, params: readonly SqlValue[] = []): Promise<Column[]> {
    return this.#do((client) => queryColumns(client, query, params.map(toSqlite)));
  }

  table(ref: TableRef): Promise<DatabaseTable | undefined> {
    return this.#do((client) => readTable(client, fileTableName(ref)));
  }

  async *read(
    query: string,
    params: readonly SqlValue[],
    engine: Engine,
    engineSession: Session,
  ): AsyncGenerator<RelationPiece> {
    const { client, signal } = this.#connection;
    const columns = await this.describe(query, params);
    try {
      yield* readInPieces({
        client,
        query,
        params: params.map(toSqlite),
        columns,
        engine,
        engineSession,
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw databaseFailure(error);
    }
  }

  load(into: LoadTarget, engineQuery: string, engineSession: Session): Promise<number> {
    const { signal } = this.#connection;
    return this.#do((client) => loadRows(client, into, engineQuery, engineSession, signal));
  }

  /** By a file beside the database, so that it holds between processes; see `lock_file.ts`. */
  async lock(name: string): Promise<boolean> {
    const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
    const path = `${this.#connection.path}-flow-lock-${hash}`;
    return (await this.#do((client) => client.call({ op: "lock", path }))).held;
  }

  async close(): Promise<void> {
    this.#connection.signal.removeEventListener("abort", this.#abort);
    await this.#connection.client.close();
  }

  async #do<T>(work: (client: SqliteClient) => Promise<T>): Promise<T> {
    const { client, signal } = this.#connection;
    signal.throwIfAborted();
    try {
      return await work(client);
    } catch (error) {
      signal.throwIfAborted();
      throw databaseFailure(error);
    }
  }
}

function toSqlite(value: SqlValue): SqliteValue {
  return typeof value === "boolean" ? BigInt(value) : value;
}
