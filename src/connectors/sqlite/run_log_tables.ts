import { RUN_LOG_VERSION, runLogSchemaMissing, runLogTooNew } from "../_sql/run_log_rows.ts";
import type { SqliteClient } from "./client.ts";

/** Older systems have the first three tables with fewer columns, and keep last states only. */
const TABLES =
  `CREATE TABLE IF NOT EXISTS run_log (pipeline_name TEXT PRIMARY KEY, last_run_at TEXT, success INTEGER);
  CREATE TABLE IF NOT EXISTS attempt_state (pipeline_name TEXT PRIMARY KEY, attempt_count INTEGER NOT NULL DEFAULT 0,
    last_attempt_at TEXT, gave_up INTEGER NOT NULL DEFAULT 0, next_eligible_at TEXT);
  CREATE TABLE IF NOT EXISTS run_records (run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, status TEXT NOT NULL,
    started_at TEXT NOT NULL, finished_at TEXT, attempt INTEGER, failed_step TEXT, failed_watermark TEXT,
    error_summary TEXT, kind TEXT, extras_json TEXT, scheduled_for TEXT, heartbeat_at TEXT, reason TEXT);
  CREATE TABLE IF NOT EXISTS run_log_lines (seq INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL,
    at TEXT NOT NULL, level TEXT NOT NULL, text TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS run_log_version (version INTEGER NOT NULL);`;

const INDEXES =
  `CREATE INDEX IF NOT EXISTS flow_runs_by_pipeline ON run_records (pipeline, started_at);
  CREATE INDEX IF NOT EXISTS flow_runs_by_time ON run_records (started_at);
  CREATE INDEX IF NOT EXISTS flow_runs_by_status ON run_records (status, pipeline, started_at);
  CREATE INDEX IF NOT EXISTS flow_runs_by_slot ON run_records (pipeline, scheduled_for);
  CREATE INDEX IF NOT EXISTS flow_lines_by_run ON run_log_lines (run_id, seq);`;

/** Columns that tables of older systems may lack, with their types. */
const ADDED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  attempt_state: { next_eligible_at: "TEXT" },
  run_records: {
    attempt: "INTEGER",
    failed_step: "TEXT",
    failed_watermark: "TEXT",
    error_summary: "TEXT",
    kind: "TEXT",
    extras_json: "TEXT",
    scheduled_for: "TEXT",
    heartbeat_at: "TEXT",
    reason: "TEXT",
  },
};

/**
 * Makes the tables of the run log, or adds to those of an older system what they lack. Their rows stay.
 *
 * @throws FlowError `run_log_too_new`, `run_log_schema_missing` (user), and what the client throws.
 */
export async function prepareRunLogTables(
  client: SqliteClient,
  createTables: boolean,
): Promise<void> {
  const version = await versionOf(client);
  if (version > RUN_LOG_VERSION) throw runLogTooNew(version);
  if (version === RUN_LOG_VERSION) return;
  if (!createTables) throw runLogSchemaMissing("the table run_log_version is missing");
  await client.run("BEGIN IMMEDIATE");
  try {
    // Another process may have done it while this one waited.
    if (await versionOf(client) === 0) {
      await client.run(TABLES);
      await addColumns(client);
      await client.run(INDEXES);
      await client.run(`INSERT INTO run_log_version VALUES (${RUN_LOG_VERSION})`);
    }
    await client.run("COMMIT");
  } catch (error) {
    await client.run("ROLLBACK").catch(() => {});
    throw error;
  }
}

async function versionOf(client: SqliteClient): Promise<number> {
  const there = await query(
    client,
    "SELECT 1 AS n FROM sqlite_schema WHERE type = 'table' AND name = 'run_log_version'",
  );
  if (there.length === 0) return 0;
  const [row] = await query(client, "SELECT max(version) AS version FROM run_log_version");
  return Number(row?.["version"] ?? 0);
}

async function addColumns(client: SqliteClient): Promise<void> {
  for (const [table, columns] of Object.entries(ADDED)) {
    const rows = await query(client, `SELECT name FROM pragma_table_info('${table}')`);
    const there = new Set(rows.map((row) => String(row["name"]).toLowerCase()));
    for (const [column, type] of Object.entries(columns)) {
      if (there.has(column)) continue;
      await client.run(`ALTER TABLE ${table} ADD COLUMN ${column} ${type}`);
    }
  }
}

function query(client: SqliteClient, sql: string) {
  return client.call({ op: "query", sql, params: [] });
}
