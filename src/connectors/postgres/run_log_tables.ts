import { RUN_LOG_VERSION, runLogSchemaMissing, runLogTooNew } from "../_sql/run_log_rows.ts";
import type { PostgresConnection } from "./connection.ts";

/** `run_log` and `attempt_state` are those of older systems, which kept last states only. */
const TABLES = `CREATE SCHEMA IF NOT EXISTS ematix_flow;
  CREATE TABLE IF NOT EXISTS ematix_flow.run_log (pipeline_name text PRIMARY KEY, last_run_at timestamptz, success boolean);
  CREATE TABLE IF NOT EXISTS ematix_flow.attempt_state (pipeline_name text PRIMARY KEY,
    attempt_count integer NOT NULL DEFAULT 0, last_attempt_at timestamptz, gave_up boolean NOT NULL DEFAULT false);
  ALTER TABLE ematix_flow.attempt_state ADD COLUMN IF NOT EXISTS next_eligible_at timestamptz;
  CREATE TABLE IF NOT EXISTS ematix_flow.run_records (seq bigint GENERATED ALWAYS AS IDENTITY, run_id text PRIMARY KEY,
    pipeline text NOT NULL, status text NOT NULL, started_at timestamptz NOT NULL, finished_at timestamptz,
    attempt integer NOT NULL, failed_step text, failed_watermark text, error_summary text, kind text, extras_json text,
    scheduled_for timestamptz, heartbeat_at timestamptz, reason text);
  CREATE TABLE IF NOT EXISTS ematix_flow.run_log_lines (seq bigint GENERATED ALWAYS AS IDENTITY, run_id text NOT NULL,
    at timestamptz NOT NULL, level text NOT NULL, text text NOT NULL, PRIMARY KEY (run_id, seq));
  CREATE INDEX IF NOT EXISTS flow_runs_by_pipeline ON ematix_flow.run_records (pipeline, started_at);
  CREATE INDEX IF NOT EXISTS flow_runs_by_time ON ematix_flow.run_records (started_at);
  CREATE INDEX IF NOT EXISTS flow_runs_by_status ON ematix_flow.run_records (status, pipeline, started_at);
  CREATE UNIQUE INDEX IF NOT EXISTS flow_runs_by_slot ON ematix_flow.run_records (pipeline, scheduled_for, attempt)
    WHERE scheduled_for IS NOT NULL AND status <> 'skipped';
  CREATE TABLE IF NOT EXISTS ematix_flow.run_log_version (version integer NOT NULL);`;

/** Marks the lock under which one process makes the tables while others wait. */
const LOCK = "flow run log tables";

/**
 * Makes the tables of the run log where they are missing.
 *
 * @throws FlowError `run_log_too_new`, `run_log_schema_missing` (user), and what the driver throws.
 */
export async function prepareRunLogTables(
  connection: PostgresConnection,
  createTables: boolean,
  signal: AbortSignal,
): Promise<void> {
  const version = await versionOf(connection, signal);
  if (version > RUN_LOG_VERSION) throw runLogTooNew(version);
  if (version === RUN_LOG_VERSION) return;
  if (!createTables) {
    throw runLogSchemaMissing(
      `the table ematix_flow.run_log_version is missing or has no row ${RUN_LOG_VERSION}`,
    );
  }
  await connection.query("BEGIN", undefined, signal);
  try {
    await connection.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [LOCK], signal);
    if (await versionOf(connection, signal) === 0) {
      await connection.query(TABLES, undefined, signal);
      const sql = "INSERT INTO ematix_flow.run_log_version VALUES ($1)";
      await connection.query(sql, [RUN_LOG_VERSION], signal);
    }
    await connection.query("COMMIT", undefined, signal);
  } catch (error) {
    await connection.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

async function versionOf(connection: PostgresConnection, signal: AbortSignal): Promise<number> {
  const { rows: [there] } = await connection.query(
    "SELECT to_regclass('ematix_flow.run_log_version') AS name",
    undefined,
    signal,
  );
  if (there?.["name"] === null || there === undefined) return 0;
  const { rows: [row] } = await connection.query(
    "SELECT max(version) AS version FROM ematix_flow.run_log_version",
    undefined,
    signal,
  );
  return Number(row?.["version"] ?? 0);
}
