import { describeError, FlowError, type FlowErrorData, toFlowError } from "../../core/error.ts";
import type { AttemptState, RunRecord, RunStatus, TargetOutcome } from "../../core/run_log.ts";

/** The version of the run log's tables; 0 are those of older systems, which kept last states only. */
export const RUN_LOG_VERSION = 1;

/** The columns of `run_records` that flow writes. */
export const RUN_COLUMNS = [
  "run_id",
  "pipeline",
  "status",
  "attempt",
  "scheduled_for",
  "started_at",
  "finished_at",
  "heartbeat_at",
  "reason",
  "error_summary",
  "kind",
  "extras_json",
] as const;

/** Those of {@link RUN_COLUMNS} that hold times. */
export const RUN_TIME_COLUMNS: ReadonlySet<string> = new Set([
  "scheduled_for",
  "started_at",
  "finished_at",
  "heartbeat_at",
]);

/** A value as drivers give it. */
export type RunLogValue = string | number | bigint | boolean | null | Uint8Array;

/** A row of `run_records`. */
export type RunRow = Readonly<Record<string, RunLogValue>>;

/** The values of {@link RUN_COLUMNS}, in their order. */
export function runValues(record: RunRecord): (string | number | null)[] {
  const extras = {
    targets: record.targets,
    ...(record.error === undefined ? {} : { error: record.error }),
  };
  return [
    record.runId,
    record.pipeline,
    record.status,
    record.attempt,
    record.scheduledFor ?? null,
    record.startedAt,
    record.finishedAt ?? null,
    record.heartbeatAt ?? null,
    plain(record.reason),
    plain(record.error?.message),
    "pipeline",
    JSON.stringify(extras),
  ];
}

/** Postgres takes no NUL in a text. */
function plain(text: string | undefined): string | null {
  return text?.replaceAll("\0", "\ufffd") ?? null;
}

/** The record of a row, also of one that an older system wrote. */
export function runOfRow(row: RunRow): RunRecord {
  const status = statusOf(textOf(row["status"]));
  const extras = extrasOf(textOf(row["extras_json"]));
  const summary = textOf(row["error_summary"]);
  const error = extras.error ?? (summary === undefined ? undefined : failureOf(summary));
  const scheduledFor = timeOf(row["scheduled_for"]);
  const finishedAt = timeOf(row["finished_at"]);
  const heartbeatAt = timeOf(row["heartbeat_at"]);
  const reason = textOf(row["reason"]);
  return {
    runId: textOf(row["run_id"]) ?? "",
    pipeline: textOf(row["pipeline"]) ?? "",
    status,
    attempt: Number(row["attempt"] ?? 1),
    ...(scheduledFor === undefined ? {} : { scheduledFor }),
    startedAt: timeOf(row["started_at"]) ?? new Date(0).toISOString(),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    targets: extras.targets,
    ...(error === undefined ? {} : { error }),
    ...(reason === undefined ? {} : { reason }),
    ...(heartbeatAt === undefined ? {} : { heartbeatAt }),
  };
}

/** The attempt state of a row of `attempt_state`. */
export function attemptStateOfRow(row: RunRow): AttemptState {
  const nextEligibleAt = timeOf(row["next_eligible_at"]);
  return {
    attemptCount: Number(row["attempt_count"] ?? 0),
    lastAttemptAt: timeOf(row["last_attempt_at"]) ?? new Date(0).toISOString(),
    ...(nextEligibleAt === undefined ? {} : { nextEligibleAt }),
    gaveUp: ["1", "true", "t"].includes(String(row["gave_up"])),
  };
}

/** A driver's value as text; undefined for NULL. */
export function textOf(value: RunLogValue | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

/** Times of older systems have whole seconds, or an offset. */
export function timeOf(value: RunLogValue | undefined): string | undefined {
  const text = textOf(value);
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

function statusOf(text: string | undefined): RunStatus {
  return text === "running" || text === "success" || text === "skipped" ? text : "failed";
}

interface Extras {
  readonly targets: readonly TargetOutcome[];
  readonly error?: FlowErrorData;
}

function extrasOf(text: string | undefined): Extras {
  if (text === undefined) return { targets: [] };
  try {
    const extras: unknown = JSON.parse(text);
    if (typeof extras !== "object" || extras === null) return { targets: [] };
    const { targets, error } = extras as { targets?: unknown; error?: unknown };
    return {
      targets: Array.isArray(targets) ? targets as TargetOutcome[] : [],
      ...(typeof error === "object" && error !== null ? { error: error as FlowErrorData } : {}),
    };
  } catch {
    // Another program's text; the record is worth showing without it.
    return { targets: [] };
  }
}

function failureOf(message: string): FlowErrorData {
  return new FlowError(message, { code: "run_failed", domain: "external", retryable: true })
    .toData();
}

/** The error of `start` for an id that is there already. */
export function runIdTaken(runId: string): FlowError {
  return new FlowError(`cannot record run '${runId}': the run log has one of this id`, {
    code: "run_id_taken",
    domain: "internal",
  });
}

/**
 * What went wrong with a run log, as {@link import("../../core/run_log.ts").RunLog} promises it.
 *
 * @param doing what was attempted: `open`, `write to`
 */
export function runLogUnavailable(doing: string, shown: string, thrown: unknown): FlowError {
  const cause = toFlowError(thrown);
  if (cause.code === "run_id_taken" || cause.code === "run_log_unavailable") return cause;
  const isFlows = thrown instanceof FlowError;
  return new FlowError(`cannot ${doing} the run log ${shown}: ${describeError(thrown)}`, {
    code: "run_log_unavailable",
    domain: isFlows ? cause.domain : "external",
    retryable: isFlows ? cause.retryable : true,
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    details: cause.details,
    cause: thrown,
  });
}

/** The tables are those of a newer flow. */
export function runLogTooNew(version: number): FlowError {
  return new FlowError(
    `its tables have version ${version}, and this flow knows ${RUN_LOG_VERSION}`,
    {
      code: "run_log_too_new",
      domain: "user",
      hint: "use the newer flow that made it, or give another run log",
    },
  );
}

/** The tables are missing or old, and may not be made. */
export function runLogSchemaMissing(missing: string): FlowError {
  return new FlowError(`${missing}, and flow may not make it`, {
    code: "run_log_schema_missing",
    domain: "user",
    hint: "leave create_tables=false out of the URL once, or let your migration make the table",
  });
}
