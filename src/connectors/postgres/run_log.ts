import { FlowError } from "../../core/error.ts";
import type { RunLog, RunLogContext, RunLogLocation } from "../../core/run_log.ts";
import { within } from "../_sql/cancellation.ts";
import type { RunRow } from "../_sql/run_log_rows.ts";
import {
  ON_CONFLICT,
  type RunLogDialect,
  type RunLogParameter,
  type RunLogStore,
} from "../_sql/run_log_store.ts";
import { TableRunLog } from "../_sql/table_run_log.ts";
import { type PostgresAddress, postgresAddress } from "./address.ts";
import { PostgresConnection, type Result } from "./connection.ts";
import { toPostgresError } from "./postgres_error.ts";
import { prepareRunLogTables } from "./run_log_tables.ts";

/** A run log that hangs must not hold up the runs. */
const STATEMENT_MS = 10_000;
/** When the server itself has not ended the statement: the network is gone. */
const ANSWER_WITHIN_MS = 15_000;

const CASTS = {
  text: "::text",
  integer: "::integer",
  time: "::timestamptz",
  flag: "::integer::boolean",
} as const;

const DIALECT: RunLogDialect = {
  ...ON_CONFLICT,
  table: (name) => `ematix_flow.${name}`,
  parameter: (index, kind) => `$${index}${CASTS[kind]}`,
  // ISO-8601 in UTC with milliseconds, whatever the session's zone.
  time: (column) =>
    `to_char(r.${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ${column}`,
  sequence: "seq",
  texts: (array) => `json_array_elements_text(${array}::json) AS list (value)`,
  lines: (array) =>
    "SELECT n, (line->>'at')::timestamptz AS at, line->>'level' AS level, line->>'text' AS text " +
    `FROM json_array_elements(${array}::json) WITH ORDINALITY AS list (line, n)`,
};

/**
 * The run log in the schema `ematix_flow` of a Postgres database.
 *
 * @throws FlowError `postgres_options_invalid` (user) for a URL that cannot be read.
 */
export function postgresRunLog(location: RunLogLocation, context: RunLogContext): RunLog {
  return new TableRunLog(new PostgresRunLogStore(location, context));
}

/** One connection, made anew when it was lost. */
class PostgresRunLogStore implements RunLogStore {
  readonly dialect = DIALECT;
  readonly shown: string;
  readonly #address: PostgresAddress;
  readonly #makesTables: boolean;
  #connection: Promise<PostgresConnection> | undefined;

  constructor(location: RunLogLocation, context: RunLogContext) {
    this.#address = postgresAddress({
      url: location.url,
      connect_timeout_ms: STATEMENT_MS,
      statement_timeout_ms: STATEMENT_MS,
    });
    this.shown = location.shown;
    this.#makesTables = location.createTables && !context.readOnly;
  }

  async open(signal: AbortSignal): Promise<void> {
    try {
      const connection = await PostgresConnection.connect(this.#address, signal);
      try {
        await prepareRunLogTables(connection, this.#makesTables, signal);
      } catch (error) {
        await connection.close();
        throw error;
      }
      this.#connection = Promise.resolve(connection);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async rows(sql: string, params: readonly RunLogParameter[]): Promise<readonly RunRow[]> {
    return (await this.#query(sql, params)).rows;
  }

  async change(sql: string, params: readonly RunLogParameter[]): Promise<number> {
    return (await this.#query(sql, params)).rowCount;
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await (await connection?.catch(() => undefined))?.close();
  }

  async #query(sql: string, params: readonly RunLogParameter[]): Promise<Result<RunRow>> {
    try {
      const connection = await this.#connected();
      const running = connection.query<RunRow>(sql, params);
      if (!await within(ANSWER_WITHIN_MS, running.catch(() => {}))) {
        running.catch(() => {});
        connection.drop();
        throw new FlowError(`the server has not answered within ${ANSWER_WITHIN_MS / 1000} s`, {
          code: "postgres_unreachable",
          domain: "external",
          retryable: true,
        });
      }
      return await running;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async #connected(): Promise<PostgresConnection> {
    if (this.#connection === undefined) throw new Error("it is not open");
    const connection = await this.#connection.catch(() => undefined);
    if (connection !== undefined && !connection.lost) return connection;
    this.#connection = PostgresConnection.connect(this.#address);
    return await this.#connection;
  }

  #failure(error: unknown): unknown {
    return toPostgresError(error, "keep runs", this.#address);
  }
}
