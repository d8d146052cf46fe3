import { dirname } from "node:path";
import { FlowError } from "../../core/error.ts";
import type { RunLog, RunLogContext, RunLogLocation } from "../../core/run_log.ts";
import type { RunRow } from "../_sql/run_log_rows.ts";
import {
  ON_CONFLICT,
  type RunLogDialect,
  type RunLogParameter,
  type RunLogStore,
} from "../_sql/run_log_store.ts";
import { TableRunLog } from "../_sql/table_run_log.ts";
import { SqliteClient } from "./client.ts";
import { prepareRunLogTables } from "./run_log_tables.ts";

const DIALECT: RunLogDialect = {
  ...ON_CONFLICT,
  table: (name) => name,
  // Times are text, flags 0 and 1.
  parameter: (index) => `?${index}`,
  time: (column) => `r.${column}`,
  sequence: "rowid",
  texts: (array) => `json_each(${array}) AS list`,
  lines: (array) =>
    "SELECT key AS n, value->>'at' AS at, value->>'level' AS level, value->>'text' AS text " +
    `FROM json_each(${array})`,
};

/** The run log in an SQLite file. */
export function sqliteRunLog(location: RunLogLocation, context: RunLogContext): RunLog {
  return new TableRunLog(new SqliteRunLogStore(location, context));
}

class SqliteRunLogStore implements RunLogStore {
  readonly dialect = DIALECT;
  readonly shown: string;
  readonly #path: string;
  readonly #readOnly: boolean;
  readonly #createTables: boolean;
  #client: SqliteClient | undefined;

  constructor(location: RunLogLocation, context: RunLogContext) {
    this.#path = location.path ?? "";
    this.shown = location.shown;
    this.#readOnly = context.readOnly;
    this.#createTables = location.createTables;
  }

  async open(): Promise<void> {
    const client = await this.#connect();
    try {
      await prepareRunLogTables(client, this.#createTables);
    } catch (error) {
      await client.close();
      throw error;
    }
    this.#client = client;
  }

  async rows(sql: string, params: readonly RunLogParameter[]): Promise<readonly RunRow[]> {
    return await this.#opened().call({ op: "query", sql, params });
  }

  async change(sql: string, params: readonly RunLogParameter[]): Promise<number> {
    return (await this.#opened().call({ op: "change", sql, params })).changes;
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
  }

  #opened(): SqliteClient {
    if (this.#client === undefined) throw new Error("it is not open");
    return this.#client;
  }

  async #connect(): Promise<SqliteClient> {
    if (!this.#readOnly) {
      // Whatever fails here fails with a better text when the file is opened.
      await Deno.mkdir(dirname(this.#path), { recursive: true }).catch(() => {});
      return (await SqliteClient.open(this.#path)).client;
    }
    await requireRunLog(this.#path);
    try {
      return (await SqliteClient.open(this.#path)).client;
    } catch (error) {
      // Looking is possible without the right to write, once the tables are flow's own.
      if (!(error instanceof FlowError) || error.code !== "permission_denied") throw error;
      return (await SqliteClient.open(this.#path, { readOnly: true })).client;
    }
  }
}

async function requireRunLog(path: string): Promise<void> {
  try {
    await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return;
    throw new FlowError("there is no such file", {
      code: "run_log_missing",
      domain: "user",
      hint:
        "it is made by the first flow run or flow run-due; correct the path if it should be there",
    });
  }
}
