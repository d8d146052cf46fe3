import type { AttemptState, RunFilter, RunLog, RunLogLine, RunRecord } from "../../core/run_log.ts";
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
} from "./run_log_rows.ts";
import {
  type RunLogDialect,
  type RunLogParameterKind,
  RunLogParameters,
  type RunLogStore,
} from "./run_log_store.ts";

const COLUMNS = RUN_COLUMNS.join(", ");

/**
 * A run log in the tables of a database. Every method is one statement that commits by itself, or several that another process may come between: methods
 * may be called while others are under way.
 */
export class TableRunLog implements RunLog {
  readonly shown: string;
  readonly #store: RunLogStore;
  readonly #dialect: RunLogDialect;
  /** `run_records AS r`. */
  readonly #runs: string;
  /** What is read of a record. */
  readonly #columns: string;
  /** Of records of one moment the later one is the newer. */
  readonly #newestFirst: string;

  constructor(store: RunLogStore) {
    const { dialect } = store;
    this.shown = store.shown;
    this.#store = store;
    this.#dialect = dialect;
    this.#runs = `${dialect.table("run_records")} AS r`;
    this.#columns = RUN_COLUMNS.map((column) =>
      RUN_TIME_COLUMNS.has(column) ? dialect.time(column) : `r.${column}`
    ).join(", ");
    this.#newestFirst = `ORDER BY r.started_at DESC, r.${dialect.sequence} DESC`;
  }

  async open(signal: AbortSignal): Promise<void> {
    try {
      signal.throwIfAborted();
      await this.#store.open(signal);
    } catch (error) {
      signal.throwIfAborted();
      throw runLogUnavailable("open", this.shown, error);
    }
  }

  async start(record: RunRecord): Promise<void> {
    const written = await this.#change((add) =>
      this.#dialect.insertNew(`${this.#intoRuns()} VALUES (${recordPlaces(record, add)})`)
    );
    if (written === 0) throw runIdTaken(record.runId);
  }

  async claim(record: RunRecord): Promise<boolean> {
    // Where this can be asked by two at once, the unique index on (pipeline, scheduled_for, attempt) decides.
    const written = await this.#change((add) =>
      this.#dialect.insertNew(
        `${this.#intoRuns()} SELECT ${recordPlaces(record, add)} WHERE NOT EXISTS (` +
          `SELECT 1 FROM ${this.#runs} WHERE r.pipeline = ${add("text", record.pipeline)} AND ` +
          `r.scheduled_for = ${add("time", record.scheduledFor ?? null)} AND ` +
          `(r.status IN ('running', 'success') OR (r.status = 'failed' AND r.attempt >= ${
            add("integer", record.attempt)
          })))`,
      )
    );
    if (written > 0) return true;
    const sameId = await this.show(record.runId);
    // Of the same id and time, it is another process at the same attempt.
    if (sameId !== undefined && sameId.scheduledFor !== record.scheduledFor) {
      throw runIdTaken(record.runId);
    }
    return false;
  }

  async finish(record: RunRecord): Promise<void> {
    await this.#change((add) =>
      this.#dialect.insertOrUpdate(
        `${this.#intoRuns()} VALUES (${recordPlaces(record, add)})`,
        "run_id",
        RUN_COLUMNS,
      )
    );
    await this.#keepLastState(record);
  }

  async heartbeat(runId: string, at: string): Promise<void> {
    await this.#change((add) =>
      `UPDATE ${this.#dialect.table("run_records")} SET heartbeat_at = ${add("time", at)} ` +
      `WHERE run_id = ${add("text", runId)} AND status = 'running'`
    );
  }

  async abandon(record: RunRecord, silentSince: string): Promise<boolean> {
    const written = await this.#change((add) =>
      `UPDATE ${this.#dialect.table("run_records")} SET ${
        recordParts(record, add).map(({ column, place }) => `${column} = ${place}`).join(", ")
      } WHERE run_id = ${add("text", record.runId)} AND status = 'running' ` +
      `AND coalesce(heartbeat_at, started_at) < ${add("time", silentSince)}`
    );
    if (written === 0) return false;
    await this.#keepLastState(record);
    return true;
  }

  async append(runId: string, lines: readonly RunLogLine[]): Promise<void> {
    if (lines.length === 0) return;
    // Databases take neither NUL nor half a surrogate pair in a text.
    const plain = lines.map(({ at, level, text }) => ({
      at,
      level,
      text: text.replaceAll("\0", "\ufffd").toWellFormed(),
    }));
    await this.#change((add) =>
      `INSERT INTO ${this.#dialect.table("run_log_lines")} (run_id, at, level, text) ` +
      `SELECT ${add("text", runId)}, at, level, text ` +
      `FROM (${this.#dialect.lines(add("text", JSON.stringify(plain)))}) AS l ORDER BY n`
    );
  }

  async list(filter: RunFilter): Promise<readonly RunRecord[]> {
    const { pipeline, status, since, scheduledFor, limit } = filter;
    const conditions = [
      ["r.pipeline =", "text", pipeline],
      ["r.status =", "text", status],
      ["r.started_at >=", "time", timeOf(since)],
      ["r.scheduled_for =", "time", timeOf(scheduledFor)],
    ] as const;
    const rows = await this.#rows((add) => {
      const given = conditions.flatMap(([sql, kind, value]) =>
        value === undefined ? [] : [`${sql} ${add(kind, value)}`]
      );
      const where = given.length === 0 ? "" : `WHERE ${given.join(" AND ")} `;
      return `SELECT ${this.#columns} FROM ${this.#runs} ${where}${this.#newestFirst} ` +
        `LIMIT ${add("integer", limit)}`;
    });
    return rows.map(runOfRow);
  }

  async show(runId: string): Promise<RunRecord | undefined> {
    const [row] = await this.#rows((add) =>
      `SELECT ${this.#columns} FROM ${this.#runs} WHERE r.run_id = ${add("text", runId)}`
    );
    return row === undefined ? undefined : runOfRow(row);
  }

  async lines(runId: string, tail?: number): Promise<readonly RunLogLine[]> {
    const rows = await this.#rows((add) => {
      const last = `SELECT seq, at, level, text FROM ${this.#dialect.table("run_log_lines")} ` +
        `WHERE run_id = ${add("text", runId)}` +
        (tail === undefined ? "" : ` ORDER BY seq DESC LIMIT ${add("integer", tail)}`);
      return `SELECT ${
        this.#dialect.time("at")
      }, r.level, r.text FROM (${last}) AS r ORDER BY r.seq`;
    });
    return rows.map((row) => ({
      at: timeOf(row["at"]) ?? "",
      level: row["level"] as RunLogLine["level"],
      text: textOf(row["text"]) ?? "",
    }));
  }

  lastRuns(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return this.#newest(pipelines, "n.status <> 'skipped'");
  }

  lastSuccesses(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return this.#newest(pipelines, "n.status = 'success'");
  }

  async attemptState(pipeline: string): Promise<AttemptState | undefined> {
    const { table, time } = this.#dialect;
    const [row] = await this.#rows((add) =>
      `SELECT r.attempt_count, r.gave_up, ${time("last_attempt_at")}, ${
        time("next_eligible_at")
      } ` +
      `FROM ${table("attempt_state")} AS r WHERE r.pipeline_name = ${add("text", pipeline)}`
    );
    return row === undefined ? undefined : attemptStateOfRow(row);
  }

  async setAttemptState(pipeline: string, state: AttemptState | undefined): Promise<void> {
    const table = this.#dialect.table("attempt_state");
    if (state === undefined) {
      await this.#change((add) =>
        `DELETE FROM ${table} WHERE pipeline_name = ${add("text", pipeline)}`
      );
      return;
    }
    const columns = ["attempt_count", "last_attempt_at", "gave_up", "next_eligible_at"];
    await this.#change((add) => {
      const places = [
        add("text", pipeline),
        add("integer", state.attemptCount),
        add("time", state.lastAttemptAt),
        add("flag", state.gaveUp ? 1 : 0),
        add("time", state.nextEligibleAt ?? null),
      ];
      return this.#dialect.insertOrUpdate(
        `INTO ${table} (pipeline_name, ${columns.join(", ")}) VALUES (${places.join(", ")})`,
        "pipeline_name",
        columns,
      );
    });
  }

  async prune(before: string, maxRuns: number): Promise<number> {
    const newer = (statuses: string) =>
      `EXISTS (SELECT 1 FROM ${
        this.#dialect.table("run_records")
      } AS n WHERE n.pipeline = r.pipeline ` +
      `AND n.status IN (${statuses}) AND n.started_at > r.started_at)`;
    const rows = await this.#rows((add) =>
      `SELECT r.run_id FROM ${this.#runs} WHERE r.started_at < ${add("time", before)} ` +
      `AND r.status <> 'running' AND (r.status = 'skipped' ` +
      `OR (r.status = 'success' AND ${newer("'success'")}) ` +
      `OR (r.status <> 'success' AND ${newer("'running', 'success', 'failed'")})) ` +
      `ORDER BY r.started_at LIMIT ${add("integer", maxRuns)}`
    );
    if (rows.length === 0) return 0;
    const ids = JSON.stringify(rows.map((row) => row["run_id"]));
    const remove = (table: "run_log_lines" | "run_records") =>
      this.#change((add) =>
        `DELETE FROM ${this.#dialect.table(table)} WHERE run_id IN (` +
        `SELECT value FROM ${this.#dialect.texts(add("text", ids))})`
      );
    // The lines first: those of a run that is gone would never be found again.
    await remove("run_log_lines");
    return await remove("run_records");
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #newest(
    pipelines: readonly string[],
    condition: string,
  ): Promise<ReadonlyMap<string, RunRecord>> {
    const { texts, table, sequence } = this.#dialect;
    const rows = await this.#rows((add) =>
      `SELECT ${this.#columns} FROM ${texts(add("text", JSON.stringify(pipelines)))} ` +
      `JOIN ${this.#runs} ON r.run_id = (SELECT n.run_id FROM ${table("run_records")} AS n ` +
      `WHERE n.pipeline = list.value AND ${condition} ` +
      `ORDER BY n.started_at DESC, n.${sequence} DESC LIMIT 1)`
    );
    return new Map(rows.map(runOfRow).map((record) => [record.pipeline, record]));
  }

  /** For those who read the table of older systems; its times have whole seconds. */
  async #keepLastState(record: RunRecord): Promise<void> {
    if (record.status !== "success" && record.status !== "failed") return;
    const at = (record.finishedAt ?? record.startedAt).replace(/\.\d+Z$/, "Z");
    await this.#change((add) => {
      const places = [
        add("text", record.pipeline),
        add("time", at),
        add("flag", record.status === "success" ? 1 : 0),
      ];
      return this.#dialect.insertOrUpdate(
        `INTO ${this.#dialect.table("run_log")} (pipeline_name, last_run_at, success) ` +
          `VALUES (${places.join(", ")})`,
        "pipeline_name",
        ["last_run_at", "success"],
      );
    });
  }

  #intoRuns(): string {
    return `INTO ${this.#dialect.table("run_records")} (${COLUMNS})`;
  }

  async #rows(statement: (add: Add) => string): Promise<readonly RunRow[]> {
    const params = new RunLogParameters(this.#dialect);
    const sql = statement((kind, value) => params.add(kind, value));
    try {
      return await this.#store.rows(sql, params.values);
    } catch (error) {
      throw runLogUnavailable("read", this.shown, error);
    }
  }

  async #change(statement: (add: Add) => string): Promise<number> {
    const params = new RunLogParameters(this.#dialect);
    const sql = statement((kind, value) => params.add(kind, value));
    try {
      return await this.#store.change(sql, params.values);
    } catch (error) {
      throw runLogUnavailable("write to", this.shown, error);
    }
  }
}

/** Adds a parameter; returns what stands for it in the statement. */
type Add = RunLogParameters["add"];

function recordParts(record: RunRecord, add: Add): { column: string; place: string }[] {
  const values = runValues(record);
  return RUN_COLUMNS.map((column, at) => ({
    column,
    place: add(kindOf(column), values[at] ?? null),
  }));
}

function recordPlaces(record: RunRecord, add: Add): string {
  return recordParts(record, add).map(({ place }) => place).join(", ");
}

function kindOf(column: string): RunLogParameterKind {
  if (RUN_TIME_COLUMNS.has(column)) return "time";
  return column === "attempt" ? "integer" : "text";
}
