import { dirname } from "node:path";
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
  runIdTaken,
  runLogUnavailable,
  runOfRow,
  type RunRow,
  runValues,
  textOf,
  timeOf,
} from "../_sql/run_log_rows.ts";
import { SqliteClient } from "./client.ts";
import type { SqliteValue } from "./protocol.ts";
import { prepareRunLogTables } from "./run_log_tables.ts";

const COLUMNS = RUN_COLUMNS.join(", ");
const PLACES = RUN_COLUMNS.map(() => "?").join(", ");
/** Of records of one moment the later one is the newer. */
const NEWEST_FIRST = "ORDER BY started_at DESC, rowid DESC";

/**
 * The run log in an SQLite file. Every method is one statement that commits by itself, or two whose order does not matter: methods may be called while
 * others are under way.
 */
export class SqliteRunLog implements RunLog {
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

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    try {
      const client = await this.#connect();
      try {
        await prepareRunLogTables(client, this.#createTables);
      } catch (error) {
        await client.close();
        throw error;
      }
      this.#client = client;
    } catch (error) {
      throw runLogUnavailable("open", this.shown, error);
    }
  }

  async start(record: RunRecord): Promise<void> {
    const written = await this.#query(
      "write to",
      `INSERT INTO run_records (${COLUMNS}) VALUES (${PLACES}) ON CONFLICT (run_id) DO NOTHING RETURNING run_id`,
      runValues(record),
    );
    if (written.length === 0) throw runIdTaken(record.runId);
  }

  async claim(record: RunRecord): Promise<boolean> {
    const written = await this.#query(
      "write to",
      `INSERT INTO run_records (${COLUMNS}) SELECT ${PLACES} WHERE NOT EXISTS (` +
        "SELECT 1 FROM run_records WHERE pipeline = ? AND scheduled_for = ? AND " +
        "(status IN ('running', 'success') OR (status = 'failed' AND attempt >= ?))) " +
        "ON CONFLICT (run_id) DO NOTHING RETURNING run_id",
      [...runValues(record), record.pipeline, record.scheduledFor ?? null, record.attempt],
    );
    if (written.length > 0) return true;
    if (await this.show(record.runId) !== undefined) throw runIdTaken(record.runId);
    return false;
  }

  async finish(record: RunRecord): Promise<void> {
    const set = RUN_COLUMNS.map((column) => `${column} = excluded.${column}`).join(", ");
    await this.#query(
      "write to",
      `INSERT INTO run_records (${COLUMNS}) VALUES (${PLACES}) ON CONFLICT (run_id) DO UPDATE SET ${set}`,
      runValues(record),
    );
    await this.#keepLastState(record);
  }

  async heartbeat(runId: string, at: string): Promise<void> {
    await this.#query(
      "write to",
      "UPDATE run_records SET heartbeat_at = ? WHERE run_id = ? AND status = 'running'",
      [at, runId],
    );
  }

  async abandon(record: RunRecord, silentSince: string): Promise<boolean> {
    const set = RUN_COLUMNS.map((column) => `${column} = ?`).join(", ");
    const written = await this.#query(
      "write to",
      `UPDATE run_records SET ${set} WHERE run_id = ? AND status = 'running' ` +
        "AND coalesce(heartbeat_at, started_at) < ? RETURNING run_id",
      [...runValues(record), record.runId, silentSince],
    );
    if (written.length === 0) return false;
    await this.#keepLastState(record);
    return true;
  }

  async append(runId: string, lines: readonly RunLogLine[]): Promise<void> {
    if (lines.length === 0) return;
    await this.#query(
      "write to",
      "INSERT INTO run_log_lines (run_id, at, level, text) " +
        "SELECT ?, value->>'at', value->>'level', value->>'text' FROM json_each(?) ORDER BY key",
      [runId, JSON.stringify(lines)],
    );
  }

  async list(filter: RunFilter): Promise<readonly RunRecord[]> {
    const { pipeline, status, since, scheduledFor, limit } = filter;
    const conditions: readonly (readonly [string, string | undefined])[] = [
      ["pipeline = ?", pipeline],
      ["status = ?", status],
      ["started_at >= ?", timeOf(since)],
      ["scheduled_for = ?", timeOf(scheduledFor)],
    ];
    const given = conditions.flatMap(([sql, value]) => value === undefined ? [] : [{ sql, value }]);
    const where = given.length === 0 ? "" : `WHERE ${given.map(({ sql }) => sql).join(" AND ")}`;
    const rows = await this.#query(
      "read",
      `SELECT ${COLUMNS} FROM run_records ${where} ${NEWEST_FIRST} LIMIT ?`,
      [...given.map(({ value }) => value), limit],
    );
    return rows.map(runOfRow);
  }

  async show(runId: string): Promise<RunRecord | undefined> {
    const sql = `SELECT ${COLUMNS} FROM run_records WHERE run_id = ?`;
    const [row] = await this.#query("read", sql, [runId]);
    return row === undefined ? undefined : runOfRow(row);
  }

  async lines(runId: string, tail?: number): Promise<readonly RunLogLine[]> {
    const rows = await this.#query(
      "read",
      "SELECT at, level, text FROM (SELECT seq, at, level, text FROM run_log_lines " +
        "WHERE run_id = ? ORDER BY seq DESC LIMIT ?) ORDER BY seq",
      [runId, tail ?? -1],
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
      "SELECT attempt_count, last_attempt_at, gave_up, next_eligible_at FROM attempt_state WHERE pipeline_name = ?",
      [pipeline],
    );
    return row === undefined ? undefined : attemptStateOfRow(row);
  }

  async setAttemptState(pipeline: string, state: AttemptState | undefined): Promise<void> {
    if (state === undefined) {
      await this.#query("write to", "DELETE FROM attempt_state WHERE pipeline_name = ?", [
        pipeline,
      ]);
      return;
    }
    await this.#query(
      "write to",
      "INSERT INTO attempt_state (pipeline_name, attempt_count, last_attempt_at, gave_up, next_eligible_at) " +
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (pipeline_name) DO UPDATE SET attempt_count = excluded.attempt_count, " +
        "last_attempt_at = excluded.last_attempt_at, gave_up = excluded.gave_up, next_eligible_at = excluded.next_eligible_at",
      [
        pipeline,
        state.attemptCount,
        state.lastAttemptAt,
        state.gaveUp ? 1 : 0,
        state.nextEligibleAt ?? null,
      ],
    );
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
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

  async #newest(
    pipelines: readonly string[],
    condition: string,
  ): Promise<ReadonlyMap<string, RunRecord>> {
    const columns = RUN_COLUMNS.map((column) => `r.${column}`).join(", ");
    const rows = await this.#query(
      "read",
      `SELECT ${columns} FROM json_each(?) AS p JOIN run_records AS r ON r.rowid = (` +
        `SELECT rowid FROM run_records WHERE pipeline = p.value AND ${condition} ${NEWEST_FIRST} LIMIT 1)`,
      [JSON.stringify(pipelines)],
    );
    return new Map(rows.map(runOfRow).map((record) => [record.pipeline, record]));
  }

  /** For those who read the table of older systems; its times have whole seconds. */
  async #keepLastState(record: RunRecord): Promise<void> {
    if (record.status !== "success" && record.status !== "failed") return;
    const at = (record.finishedAt ?? record.startedAt).replace(/\.\d+Z$/, "Z");
    await this.#query(
      "write to",
      "INSERT INTO run_log (pipeline_name, last_run_at, success) VALUES (?, ?, ?) " +
        "ON CONFLICT (pipeline_name) DO UPDATE SET last_run_at = excluded.last_run_at, success = excluded.success",
      [record.pipeline, at, record.status === "success" ? 1 : 0],
    );
  }

  async #query(
    doing: "read" | "write to",
    sql: string,
    params: readonly SqliteValue[],
  ): Promise<readonly RunRow[]> {
    try {
      if (this.#client === undefined) throw new Error("it is not open");
      return await this.#client.call({ op: "query", sql, params });
    } catch (error) {
      throw runLogUnavailable(doing, this.shown, error);
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
