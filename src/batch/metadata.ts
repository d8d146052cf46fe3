import type { DatabaseSession, Dialect } from "../core/database.ts";
import type { TableRef } from "../core/connector.ts";
import { Binder } from "./binder.ts";
import { timestampOf } from "./time_value.ts";

const SCHEMA = "ematix_flow";

/** The tables that flow keeps in every target database. */
export interface MetadataTables {
  readonly runHistory: string;
  readonly watermarks: string;
}

interface MetadataColumn {
  readonly name: string;
  readonly type: string;
  readonly maxLength?: number;
  readonly notNull?: boolean;
  readonly key?: boolean;
}

const TIMES = "TIMESTAMP WITH TIME ZONE";

const RUN_HISTORY: readonly MetadataColumn[] = [
  { name: "run_id", type: "UUID", key: true },
  { name: "pipeline_name", type: "VARCHAR", notNull: true },
  { name: "target_schema", type: "VARCHAR", notNull: true },
  { name: "target_table", type: "VARCHAR", notNull: true },
  { name: "mode", type: "VARCHAR", notNull: true },
  { name: "path", type: "VARCHAR", notNull: true },
  { name: "started_at", type: TIMES, notNull: true },
  { name: "finished_at", type: TIMES },
  { name: "status", type: "VARCHAR", notNull: true },
  { name: "rows_inserted", type: "BIGINT" },
  { name: "error_message", type: "VARCHAR" },
  { name: "rows_updated", type: "BIGINT" },
  { name: "rows_unchanged", type: "BIGINT" },
  { name: "parent_run_id", type: "UUID" },
  { name: "step_name", type: "VARCHAR" },
  { name: "metrics_json", type: "VARCHAR" },
];

const WATERMARKS: readonly MetadataColumn[] = [
  { name: "pipeline_name", type: "VARCHAR", maxLength: 255, key: true },
  { name: "column_name", type: "VARCHAR", notNull: true },
  { name: "last_value", type: "VARCHAR", notNull: true },
  { name: "updated_at", type: TIMES, notNull: true },
];

/** Where a metadata table lies. */
export function metadataRef(dialect: Dialect, name: string): TableRef {
  return dialect.hasSchemas ? { schema: SCHEMA, name } : { name: `${SCHEMA}_${name}` };
}

/** The names of the metadata tables as SQL takes them. */
export function metadataTables(dialect: Dialect): MetadataTables {
  const named = (name: string) => dialect.tableName(metadataRef(dialect, name));
  return { runHistory: named("run_history"), watermarks: named("watermarks") };
}

/** Makes the metadata tables where they are missing. */
export async function ensureMetadata(session: DatabaseSession): Promise<void> {
  const { dialect } = session;
  for (
    const [name, columns] of [["run_history", RUN_HISTORY], ["watermarks", WATERMARKS]] as const
  ) {
    if (await session.table(metadataRef(dialect, name)) !== undefined) continue;
    const schema = dialect.hasSchemas ? dialect.createSchema(SCHEMA) : undefined;
    if (schema !== undefined) await session.run(schema);
    const definitions = columns.map((column) => {
      const { type, maxLength, notNull = false, key = false } = column;
      const native = dialect.columnType(type, {
        key,
        ...(maxLength === undefined ? {} : { maxLength }),
      });
      const suffix = key ? " NOT NULL PRIMARY KEY" : notNull ? " NOT NULL" : "";
      return `${dialect.quote(column.name)} ${native}${suffix}`;
    });
    const table = dialect.tableName(metadataRef(dialect, name));
    await session.run(`CREATE TABLE IF NOT EXISTS ${table} (${definitions.join(", ")})`);
  }
}

/** A row of `run_history` when its run starts. */
export interface HistoryStart {
  readonly runId: string;
  /** `name`, or `name::schema.table` for pipelines with several targets. */
  readonly pipelineName: string;
  readonly target: TableRef;
  readonly mode: string;
  readonly path: string;
  readonly startedMicros: bigint;
  readonly parentRunId?: string;
}

/** Records a run as running, and what an earlier one left that ended without a word. The caller holds the pipeline's lock. */
export async function startHistory(session: DatabaseSession, start: HistoryStart): Promise<void> {
  const { dialect } = session;
  const { runHistory } = metadataTables(dialect);
  const orphans = new Binder(dialect);
  await session.run(
    `UPDATE ${runHistory} SET ${dialect.quote("status")} = 'failed', ` +
      `${dialect.quote("error_message")} = ${
        orphans.value("the process ended before the run did", "VARCHAR")
      } WHERE ${dialect.quote("status")} = 'running' AND ${dialect.quote("pipeline_name")} = ${
        orphans.value(start.pipelineName, "VARCHAR")
      }`,
    orphans.params,
  );
  const bind = new Binder(dialect);
  const values = {
    run_id: bind.value(start.runId, "UUID"),
    pipeline_name: bind.value(start.pipelineName, "VARCHAR"),
    target_schema: bind.value(start.target.schema ?? "", "VARCHAR"),
    target_table: bind.value(start.target.name, "VARCHAR"),
    mode: bind.value(start.mode, "VARCHAR"),
    path: bind.value(start.path, "VARCHAR"),
    started_at: timestampOf(bind, dialect, start.startedMicros),
    status: bind.value("running", "VARCHAR"),
    ...(start.parentRunId === undefined
      ? {}
      : { parent_run_id: bind.value(start.parentRunId, "UUID") }),
  };
  const names = Object.keys(values).map((name) => dialect.quote(name)).join(", ");
  await session.run(
    `INSERT INTO ${runHistory} (${names}) VALUES (${Object.values(values).join(", ")})`,
    bind.params,
  );
}

/** How a run ended. */
export interface HistoryEnd {
  readonly status: "success" | "failed";
  readonly finishedMicros: bigint;
  readonly rowsInserted?: number;
  readonly rowsUpdated?: number;
  readonly rowsUnchanged?: number;
  readonly errorMessage?: string;
  /** Further counts. */
  readonly metrics?: Readonly<Record<string, number | string>>;
}

/** Completes the row of a run; for a success within the load's own transaction. */
export async function finishHistory(
  session: DatabaseSession,
  runId: string,
  end: HistoryEnd,
): Promise<void> {
  const { dialect } = session;
  const bind = new Binder(dialect);
  const count = (value: number | undefined) =>
    value === undefined ? undefined : bind.value(BigInt(value), "BIGINT");
  const sets = Object.entries({
    status: bind.value(end.status, "VARCHAR"),
    finished_at: timestampOf(bind, dialect, end.finishedMicros),
    rows_inserted: count(end.rowsInserted),
    rows_updated: count(end.rowsUpdated),
    rows_unchanged: count(end.rowsUnchanged),
    error_message: end.errorMessage === undefined
      ? undefined
      : bind.value(end.errorMessage, "VARCHAR"),
    metrics_json: end.metrics === undefined
      ? undefined
      : bind.value(JSON.stringify(end.metrics), "VARCHAR"),
  }).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${dialect.quote(name)} = ${value}`);
  await session.run(
    `UPDATE ${metadataTables(dialect).runHistory} SET ${sets.join(", ")} WHERE ${
      dialect.quote("run_id")
    } = ${bind.value(runId, "UUID")}`,
    bind.params,
  );
}

/** True when the history has the run as a success, which it has only with the rows. */
export async function isRecorded(session: DatabaseSession, runId: string): Promise<boolean> {
  const { dialect } = session;
  const bind = new Binder(dialect);
  const rows = await session.rows<{ status: string }>(
    `SELECT ${dialect.quote("status")} AS status FROM ${metadataTables(dialect).runHistory} WHERE ${
      dialect.quote("run_id")
    } = ${bind.value(runId, "UUID")}`,
    bind.params,
  );
  return rows[0]?.status === "success";
}
