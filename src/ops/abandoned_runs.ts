import type { RetryPolicy } from "../core/batch_spec.ts";
import type { Clock } from "../core/clock.ts";
import { FlowError } from "../core/error.ts";
import type { RunFilter, RunLog, RunRecord } from "../core/run_log.ts";
import { stateAfterFailure } from "./attempt_count.ts";
import { SILENT_MS } from "./heartbeat.ts";

/** Runs of one pipeline that count as running at a time and are looked at. */
const MAX_RUNNING = 100;
/** The same, of all pipelines. */
const MAX_ALL_RUNNING = 1000;

/**
 * Closes, as failed, the runs of a pipeline whose process has evidently ended without saying so: it has given no sign of life for {@link SILENT_MS}. The newest of
 * them counts as a failed attempt of its scheduled time.
 */
export async function closeAbandonedRuns(
  pipeline: { readonly name: string; readonly retry: RetryPolicy },
  { runLog, clock }: { readonly runLog: RunLog; readonly clock: Clock },
): Promise<void> {
  const { name } = pipeline;
  const silentSince = new Date(clock.now() - SILENT_MS).toISOString();
  for (const closed of await closeSilent(name, silentSince, runLog, clock)) {
    const newest = (await runLog.lastRuns([name])).get(name);
    if (newest?.runId !== closed.runId || closed.scheduledFor === undefined) continue;
    const state = stateAfterFailure(pipeline.retry, closed, {
      canHeal: true,
      stopped: false,
      nowMs: Date.parse(lastSignOf(closed)),
    });
    await runLog.setAttemptState(name, state);
  }
}

/**
 * Closes, as failed, the runs of a pipeline that have given no sign of life since `done` began. A run that succeeds has held the locks of all its targets: one
 * that began before it and still counts as running has lost them, so that its process has ended, however short ago. Should it live after all, because
 * it had not asked for its first lock yet, its own end replaces the record.
 */
export async function closeOvertakenRuns(
  done: RunRecord,
  { runLog, clock }: { readonly runLog: RunLog; readonly clock: Clock },
): Promise<void> {
  await closeSilent(done.pipeline, done.startedAt, runLog, clock);
}

/** The runs that were closed, as they are now. */
async function closeSilent(
  pipeline: string,
  silentSince: string,
  runLog: RunLog,
  clock: Clock,
): Promise<readonly RunRecord[]> {
  const closed: RunRecord[] = [];
  for (const record of await runLog.list({ pipeline, status: "running", limit: MAX_RUNNING })) {
    if (lastSignOf(record) >= silentSince) continue;
    const interrupted = asInterrupted(record);
    if (!await runLog.abandon(interrupted, silentSince)) continue;
    const at = new Date(clock.now()).toISOString();
    const text = `failed: ${interrupted.error?.message ?? ""}`;
    await runLog.append(record.runId, [{ at, level: "error", text }]);
    closed.push(interrupted);
  }
  return closed;
}

/** True for a run that counts as running and whose process has given a sign of life lately. */
export function isAlive(record: RunRecord, nowMs: number): boolean {
  return record.status === "running" && Date.parse(lastSignOf(record)) >= nowMs - SILENT_MS;
}

/** The run as people are told of it: one that still counts as running though its process has been silent for {@link SILENT_MS} has failed. */
export function asItStands(record: RunRecord, nowMs: number): RunRecord {
  return record.status !== "running" || isAlive(record, nowMs) ? record : asInterrupted(record);
}

/** Like {@link RunLog.list}, with the runs {@link asItStands}, also where a status is asked for. Changes nothing in the log. */
export async function listAsTheyStand(
  runLog: RunLog,
  filter: RunFilter,
  nowMs: number,
): Promise<readonly RunRecord[]> {
  const { status, limit } = filter;
  if (status !== "running" && status !== "failed") {
    return (await runLog.list(filter)).map((record) => asItStands(record, nowMs));
  }
  const running = await runLog.list({ ...filter, status: "running", limit: MAX_ALL_RUNNING });
  const ended = status === "failed" ? await runLog.list(filter) : [];
  return [...ended, ...running.map((record) => asItStands(record, nowMs))]
    .filter((record) => record.status === status)
    .toSorted((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt))
    .slice(0, limit);
}

function lastSignOf({ heartbeatAt, startedAt }: RunRecord): string {
  return heartbeatAt ?? startedAt;
}

function asInterrupted(record: RunRecord): RunRecord {
  const lastSign = lastSignOf(record);
  const error = new FlowError(
    `the process ended before the run did; it gave its last sign of life at ${lastSign}`,
    {
      code: "run_interrupted",
      domain: "external",
      retryable: true,
      hint: "look for what ended the process: a kill, a lack of memory, a restart of the machine",
    },
  );
  return { ...record, status: "failed", finishedAt: lastSign, error: error.toData() };
}
