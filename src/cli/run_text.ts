/** Recorded runs for people and as JSON with the keys that scripts written for the earlier system look for. */
import type { DueSummary, RunSummary } from "../core/batch_request.ts";
import { FlowError, type FlowErrorData } from "../core/error.ts";
import type { RunRecord, TargetOutcome } from "../core/run_log.ts";
import { countText, durationText, rowsText } from "./number_text.ts";
import type { Style } from "./terminal.ts";

/** A plain object for JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** One run: `run_id`, `pipeline`, `status`, times, `targets`; with one target, what it got stands at the top too. */
export function runJson(record: RunRecord): JsonObject {
  const { scheduledFor, finishedAt, error, reason, targets } = record;
  const [only, another] = targets;
  return {
    run_id: record.runId,
    pipeline: record.pipeline,
    status: record.status,
    ...(only === undefined || another !== undefined ? {} : targetJson(only)),
    targets: targets.map(targetJson),
    attempt: record.attempt,
    ...(scheduledFor === undefined ? {} : { scheduled_for: scheduledFor }),
    started_at: record.startedAt,
    ...(finishedAt === undefined ? {} : { finished_at: finishedAt }),
    ...(error === undefined ? {} : { error }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** What one target got, with snake_case keys. */
export function targetJson(target: TargetOutcome): JsonObject {
  return {
    target: target.target,
    mode: target.mode,
    path: target.path,
    rows_inserted: target.rowsInserted,
    ...optional("rows_updated", target.rowsUpdated),
    ...optional("rows_unchanged", target.rowsUnchanged),
    ...optional("rows_deleted", target.rowsDeleted),
    ...optional("rows_closed", target.rowsClosed),
    ...optional("watermark", target.watermark),
  };
}

function optional(key: string, value: string | number | undefined): JsonObject {
  return value === undefined ? {} : { [key]: value };
}

/** What a `flow run-due` did, in the earlier system's shape. */
export function dueJson(summary: DueSummary): JsonObject {
  return {
    ran: summary.ran.map(({ record }) => ({ ...runJson(record), _pipeline: record.pipeline })),
    failed: summary.failed.map(({ record, gaveUp }) => ({
      pipeline: record.pipeline,
      error: record.error?.message ?? "",
      error_type: record.error?.code ?? "unexpected",
      ...(record.error?.hint === undefined ? {} : { hint: record.error.hint }),
      attempt_count: record.attempt,
      gave_up: gaveUp,
      run_id: record.runId,
    })),
    skipped: summary.skipped,
  };
}

/** A finished run for people: a line for the run, and one for each target. */
export function summaryLines({ record }: RunSummary, style: Style): string {
  const elapsed = durationOf(record);
  const word = record.status === "success" ? "done" : record.status;
  const head = `${style.bold(`${record.pipeline}: ${word}`)}${
    elapsed === undefined ? "" : ` in ${elapsed}`
  } (run ${record.runId}${record.attempt > 1 ? `, attempt ${record.attempt}` : ""})\n`;
  const targets = record.targets.map((target) => `  ${target.target}: ${countsText(target)}\n`);
  return head + targets.join("");
}

/** `12 rows inserted, 3 updated, 40 unchanged (merge, same_db)`. */
export function countsText(target: TargetOutcome): string {
  const parts = [`${rowsText(target.rowsInserted)} inserted`];
  const add = (count: number | undefined, word: string) => {
    if (count !== undefined) parts.push(`${countText(count)} ${word}`);
  };
  add(target.rowsUpdated, "updated");
  add(target.rowsUnchanged, "unchanged");
  add(target.rowsDeleted, "deleted");
  add(target.rowsClosed, "closed");
  const mark = target.watermark === undefined ? "" : `, watermark ${target.watermark}`;
  return `${parts.join(", ")} (${target.mode}, ${target.path}${mark})`;
}

/** How long a run took; `undefined` while it goes on. */
export function durationOf({ startedAt, finishedAt }: RunRecord): string | undefined {
  if (finishedAt === undefined) return undefined;
  const elapsedMs = Date.parse(finishedAt) - Date.parse(startedAt);
  return Number.isNaN(elapsedMs) ? undefined : durationText(Math.max(0, elapsedMs));
}

/** `2026-01-31T12:00:00Z`: times of the run log without their milliseconds. */
export function secondsText(iso: string): string {
  return iso.replace(/\.\d+(?=Z$)/, "");
}

/** The error that a failed run ended with. */
export function errorOf(record: RunRecord): FlowError {
  const data: FlowErrorData = record.error ?? {
    code: "unexpected",
    domain: "internal",
    retryable: false,
    message: `the run ${record.runId} failed without an error`,
  };
  return FlowError.fromData(data);
}

/** True for a run that a signal ended. */
export function isStopped({ error }: RunRecord): boolean {
  return error?.code === "run_stopped";
}

/** The first line of a message, for places where there is room for one. */
export function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
