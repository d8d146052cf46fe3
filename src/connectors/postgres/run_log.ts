import { FlowError } from "../../core/error.ts";
import type {
  AttemptState,
  RunFilter,
  RunLog,
  RunLogContext,
  RunLogLine,
  RunLogLocation,
  RunRecord,
} from "../../core/run_log.ts";
import {
  attemptStateOfRow,
  RUN_COLUMNS,
  RUN_TIME_COLUMNS,
  runIdTaken,
  runLogUnavailable,
  runOfRow,
  type RunRow,
  runValues,
  textOf,
  timeOf,
} from "../_sql/run_log_rows.ts";
import { type PostgresAddress, postgresAddress } from "./address.ts";
import { within } from "../_sql/cancellation.ts";
import { type Parameter, PostgresConnection } from "./connection.ts";
import { toPostgresError } from "./postgres_error.ts";
import { prepareRunLogTables } from "./run_log_tables.ts";

/** A run log that hangs must not hold up the runs. */
const STATEMENT_MS = 10_000;
/** When the server itself has not ended the statement: the network is gone. */
const ANSWER_WITHIN_MS = 15_000;

const COLUMNS = RUN_COLUMNS.join(", ");
const READ = RUN_COLUMNS.map((column) => RUN_TIME_COLUMNS.has(column) ? utc(column) : column)
  .join(", ");
const PLACES = RUN_COLUMNS.map((column, at) => `$${at + 1}${castOf(column)}`).join(", ");
const NEXT = RUN_COLUMNS.length + 1;
/** Of records of one moment the later one is the newer. */
const NEWEST_FIRST = "ORDER BY started_at DESC, seq DESC";

/**
 * The run log in the schema `ematix_flow` of a Postgres database. One connection, made anew when it was lost. Every method is one statement, or two
 * whose order does not matter: methods may be called while others are under way.
 */
export class PostgresRunLog implements RunLog {
  readonly shown: string;
  readonly #address: PostgresAddress;
  readonly #createTables: boolean;
  readonly #readOnly: boolean;
  #connection: Promise<PostgresConnection> | undefined;

  /** @throws FlowError `postgres_options_invalid` (user) for a URL that cannot be read. */
  constructor(location: RunLogLocation, context: RunLogContext) {
    this.#address = postgresAddress({
      url: location.url,
      connect_timeout_ms: STATEMENT_MS,
      statement_timeout_ms: STATEMENT_MS,
    });
    this.shown = location.shown;
    this.#createTables = location.createTables;
    this.#readOnly = context.readOnly;
  }

  async open(signal: AbortSignal): Promise<void> {
    try {
      const connection = await PostgresConnection.connect(this.#address, signal);
      try {
        await prepareRunLogTables(connection, this.#createTables && !this.#readOnly, signal);
      } catch (error) {
        await connection.close();
        throw error;
      }
      this.#connection = Promise.resolve(connection);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#failure("open", error);
    }
  }

  async start(record: RunRecord): Promise<void> {
    const written = await this.#query(
      "write to",
      `INSERT INTO ematix_flow.run_records (${COLUMNS}) VALUES (${PLACES}) ON CONFLICT (run_id) DO NOTHING RETURNING run_id`,
      runValues(record),
    );
    if (written.length === 0) throw runIdTaken(record.runId);
  }

  async claim(record: RunRecord): Promise<boolean> {
    // The unique index on (pipeline, scheduled_for, attempt) decides between processes that insert in the same moment.
    const written = await this.#query(
      "write to",
      `INSERT INTO ematix_flow.run_records (${COLUMNS}) SELECT ${PLACES} WHERE NOT EXISTS (` +
        `SELECT 1 FROM ematix_flow.run_records WHERE pipeline = $${NEXT} AND ` +
        `scheduled_for = $${NEXT + 1}::timestamptz AND (status IN ('running', 'success') OR ` +
        `(status = 'failed' AND attempt >= $${NEXT + 2}))) ON CONFLICT DO NOTHING RETURNING run_id`,
      [...runValues(record), record.pipeline, record.scheduledFor ?? null, record.attempt],
    );
    if (written.length > 0) return true;
    const sameId = await this.show(record.runId);
    // Of the same id and time, it is another process at the same attempt.
    if (sameId !== undefined && sameId.scheduledFor !== record.scheduledFor) {
      throw runIdTaken(record.runId);
    }
    return false;
  }

  async finish(record: RunRecord): Promise<void> {
    const set = RUN_COLUMNS.map((column) => `${column} = excluded.${column}`).join(", ");
    await this.#query(
      "write to",
      `INSERT INTO ematix_flow.run_records (${COLUMNS}) VALUES (${PLACES}) ON CONFLICT (run_id) DO UPDATE SET ${set}`,
      runValues(record),
    );
    await this.#keepLastState(record);
  }

  async heartbeat(runId: string, at: string): Promise<void> {
    await this.#query(
      "write to",
      "UPDATE ematix_flow.run_records SET heartbeat_at = $1::timestamptz WHERE run_id = $2 AND status = 'running'",
      [at, runId],
    );
  }

  async abandon(record: RunRecord, silentSince: string): Promise<boolean> {
    const written = await this.#query(
      "write to",
      `UPDATE ematix_flow.run_records SET (${COLUMNS}) = ROW (${PLACES}) WHERE run_id = $1 AND status = 'running' ` +
        `AND coalesce(heartbeat_at, started_at) < $${NEXT}::timestamptz RETURNING run_id`,
      [...runValues(record), silentSince],
    );
    if (written.length === 0) return false;
    await this.#keepLastState(record);
    return true;
  }

  async append(runId: string, lines: readonly RunLogLine[]): Promise<void> {
    if (lines.length === 0) return;
    await this.#query(
      "write to",
      "INSERT INTO ematix_flow.run_log_lines (run_id, at, level, text) SELECT $1, at, level, text " +
        "FROM unnest($2::timestamptz[], $3::text[], $4::text[]) WITH ORDINALITY AS l (at, level, text, n) ORDER BY n",
      [
        runId,
        lines.map(({ at }) => at),
        lines.map(({ level }) => level),
        // The database takes no NUL in a text.
        lines.map(({ text }) => text.replaceAll("\0", "\ufffd")),
      ],
    );
  }

  async list(filter: RunFilter): Promise<readonly RunRecord[]> {
    const { pipeline, status, since, scheduledFor, limit } = filter;
    const conditions: readonly (readonly [string, string, string | undefined])[] = [
      ["pipeline =", "", pipeline],
      ["status =", "", status],
      ["started_at >=", "::timestamptz", since],
      ["scheduled_for =", "::timestamptz", scheduledFor],
    ];
    const params: Parameter[] = [limit];
    const given = conditions.flatMap(([sql, cast, value]) =>
      value === undefined ? [] : [`${sql} $${params.push(value)}${cast}`]
    );
    const where = given.length === 0 ? "" : `WHERE ${given.join(" AND ")}`;
    const rows = await this.#query(
      "read",
      `SELECT ${READ} FROM ematix_flow.run_records AS r ${where} ${NEWEST_FIRST} LIMIT $1`,
      params,
    );
    return rows.map(runOfRow);
  }

  async show(runId: string): Promise<RunRecord | undefined> {
    const sql = `SELECT ${READ} FROM ematix_flow.run_records AS r WHERE run_id = $1`;
    const [row] = await this.#query("read", sql, [runId]);
    return row === undefined ? undefined : runOfRow(row);
  }

  async lines(runId: string, tail?: number): Promise<readonly RunLogLine[]> {
    const rows = await this.#query(
      "read",
      `SELECT ${
        utc("at")
      }, level, text FROM (SELECT seq, at, level, text FROM ematix_flow.run_log_lines ` +
        "WHERE run_id = $1 ORDER BY seq DESC LIMIT $2) AS r ORDER BY seq",
      [runId, tail ?? null],
    );
    return rows.map((row) => ({
      at: timeOf(row["at"]) ?? "",
      level: row["level"] as RunLogLine["level"],
      text: textOf(row["text"]) ?? "",
    }));
  }

  lastRuns(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return this.#newest(pipelines, "status <> 'skipped'");
  }

  lastSuccesses(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return this.#newest(pipelines, "status = 'success'");
  }

  async attemptState(pipeline: string): Promise<AttemptState | undefined> {
    const [row] = await this.#query(
      "read",
      `SELECT attempt_count, gave_up, ${utc("last_attempt_at")}, ${utc("next_eligible_at")} ` +
        "FROM ematix_flow.attempt_state AS r WHERE pipeline_name = $1",
      [pipeline],
    );
    return row === undefined ? undefined : attemptStateOfRow(row);
  }

  async setAttemptState(pipeline: string, state: AttemptState | undefined): Promise<void> {
    if (state === undefined) {
      const sql = "DELETE FROM ematix_flow.attempt_state WHERE pipeline_name = $1";
      await this.#query("write to", sql, [pipeline]);
      return;
    }
    await this.#query(
      "write to",
      "INSERT INTO ematix_flow.attempt_state (pipeline_name, attempt_count, last_attempt_at, gave_up, next_eligible_at) " +
        "VALUES ($1, $2, $3::timestamptz, $4, $5::timestamptz) ON CONFLICT (pipeline_name) DO UPDATE SET " +
        "attempt_count = excluded.attempt_count, last_attempt_at = excluded.last_attempt_at, " +
        "gave_up = excluded.gave_up, next_eligible_at = excluded.next_eligible_at",
      [
        pipeline,
        state.attemptCount,
        state.lastAttemptAt,
        state.gaveUp,
        state.nextEligibleAt ?? null,
      ],
    );
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await (await connection?.catch(() => undefined))?.close();
  }

  async #newest(
    pipelines: readonly string[],
    condition: string,
  ): Promise<ReadonlyMap<string, RunRecord>> {
    const rows = await this.#query(
      "read",
      `SELECT ${READ} FROM unnest($1::text[]) AS p (name) CROSS JOIN LATERAL (SELECT * FROM ematix_flow.run_records ` +
        `WHERE pipeline = p.name AND ${condition} ${NEWEST_FIRST} LIMIT 1) AS r`,
      [pipelines],
    );
    return new Map(rows.map(runOfRow).map((record) => [record.pipeline, record]));
  }

  /** For those who read the table of older systems. */
  async #keepLastState(record: RunRecord): Promise<void> {
    if (record.status !== "success" && record.status !== "failed") return;
    await this.#query(
      "write to",
      "INSERT INTO ematix_flow.run_log (pipeline_name, last_run_at, success) VALUES ($1, $2::timestamptz, $3) " +
        "ON CONFLICT (pipeline_name) DO UPDATE SET last_run_at = excluded.last_run_at, success = excluded.success",
      [record.pipeline, record.finishedAt ?? record.startedAt, record.status === "success"],
    );
  }

  async #query(
    doing: "read" | "write to",
    sql: string,
    params: readonly Parameter[],
  ): Promise<readonly RunRow[]> {
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
      return (await running).rows;
    } catch (error) {
      throw this.#failure(doing, error);
    }
  }

  async #connected(): Promise<PostgresConnection> {
    if (this.#connection === undefined) throw new Error("it is not open");
    const connection = await this.#connection.catch(() => undefined);
    if (connection !== undefined && !connection.lost) return connection;
    this.#connection = PostgresConnection.connect(this.#address);
    return await this.#connection;
  }

  #failure(doing: "open" | "read" | "write to", error: unknown): FlowError {
    return runLogUnavailable(
      doing,
      this.shown,
      toPostgresError(error, "keep runs", this.#address),
    );
  }
}

/** The time as ISO-8601 in UTC with milliseconds, whatever the session's zone. */
function utc(column: string): string {
  return `to_char(r.${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ${column}`;
}

function castOf(column: string): string {
  if (RUN_TIME_COLUMNS.has(column)) return "::timestamptz";
  return column === "attempt" ? "::integer" : "::text";
}
