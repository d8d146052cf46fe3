import type { RunLogLine, RunRecord, TargetOutcome } from "../core/run_log.ts";

/** The lines that the history keeps of a run. Errors' texts are redacted already. */
export function startedLine(record: RunRecord, maxAttempts: number): RunLogLine {
  const attempt = maxAttempts > 1 ? `, attempt ${record.attempt} of ${maxAttempts}` : "";
  const slot = record.scheduledFor === undefined ? "" : `, for ${record.scheduledFor}`;
  return { at: record.startedAt, level: "info", text: `started${attempt}${slot}` };
}

/** The lines of a run that ended well. */
export function successLines(
  record: RunRecord,
  notices: readonly string[],
  elapsedMs: number,
): RunLogLine[] {
  const at = record.finishedAt ?? record.startedAt;
  return [
    ...noticeLines(at, notices),
    ...record.targets.map((target): RunLogLine => ({
      at,
      level: "info",
      text: targetText(target),
    })),
    { at, level: "info", text: `succeeded in ${(elapsedMs / 1000).toFixed(1)} s` },
  ];
}

/** The lines of a run that failed: what was done before, the error with its causes, and what to do. */
export function failureLines(record: RunRecord, notices: readonly string[]): RunLogLine[] {
  const at = record.finishedAt ?? record.startedAt;
  const error = (text: string): RunLogLine => ({ at, level: "error", text });
  const { message = "", code = "", cause, hint } = record.error ?? {};
  return [
    ...noticeLines(at, notices),
    ...record.targets.map((target): RunLogLine => ({
      at,
      level: "info",
      text: targetText(target),
    })),
    error(`failed (${code}): ${message}`),
    ...(cause === undefined || message.includes(cause) ? [] : [error(`cause: ${cause}`)]),
    ...(hint === undefined ? [] : [error(`hint: ${hint}`)]),
  ];
}

/** The line about the attempt that follows. */
export function retryLine(record: RunRecord, maxAttempts: number, waitMs: number): RunLogLine {
  return {
    at: record.finishedAt ?? record.startedAt,
    level: "warning",
    text: `attempt ${record.attempt + 1} of ${maxAttempts} follows in ${
      Math.ceil(waitMs / 1000)
    } s`,
  };
}

function noticeLines(at: string, notices: readonly string[]): RunLogLine[] {
  return notices.map((text) => ({ at, level: "warning", text }));
}

/** `shop.orders: merge (same_db), 3 inserted, 1 updated`. */
function targetText(outcome: TargetOutcome): string {
  const counts: readonly (readonly [string, number | undefined])[] = [
    ["inserted", outcome.rowsInserted],
    ["updated", outcome.rowsUpdated],
    ["unchanged", outcome.rowsUnchanged],
    ["deleted", outcome.rowsDeleted],
    ["closed", outcome.rowsClosed],
  ];
  const told = counts.flatMap(([name, rows]) => rows === undefined ? [] : [`${rows} ${name}`]);
  const watermark = outcome.watermark === undefined ? "" : `, watermark ${outcome.watermark}`;
  return `${outcome.target}: ${outcome.mode} (${outcome.path}), ${told.join(", ")}${watermark}`;
}
