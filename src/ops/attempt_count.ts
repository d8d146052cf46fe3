import type { RetryPolicy } from "../core/batch_spec.ts";
import type { Clock } from "../core/clock.ts";
import { FlowError } from "../core/error.ts";
import type { AttemptState, RunLog, RunRecord } from "../core/run_log.ts";
import { SILENT_MS } from "./heartbeat.ts";

/** No wait between attempts is longer. */
const MAX_BACKOFF_SECONDS = 3600;
/** Runs of one pipeline that count as running at a time and are looked at. */
const MAX_RUNNING = 100;

/** Milliseconds between the failure of attempt `attempt` (from 1) and the next one: at most an hour. */
export function retryWaitMs(retry: RetryPolicy, attempt: number): number {
  const seconds = retry.backoffSeconds * retry.backoffFactor ** (attempt - 1);
  return Math.round(Math.min(seconds, MAX_BACKOFF_SECONDS) * 1000);
}

/** What is known of a failure. */
export interface Failure {
  /** Doing the same again may work. */
  readonly canHeal: boolean;
  /** Somebody stopped it: nothing has to be waited for. */
  readonly stopped: boolean;
  readonly nowMs: number;
}

/**
 * The attempt state after a failed attempt. `nextEligibleAt` is there when another attempt follows; a pipeline gives up when all of several attempts have
 * failed, not when there is only one, nor over an error that only a person can mend: then its next scheduled time is tried as usual.
 */
export function stateAfterFailure(
  retry: RetryPolicy,
  record: RunRecord,
  { canHeal, stopped, nowMs }: Failure,
): AttemptState {
  const state = {
    attemptCount: record.attempt,
    lastAttemptAt: record.finishedAt ?? record.startedAt,
    gaveUp: false,
  };
  if (!canHeal) return state;
  if (record.attempt < retry.maxAttempts) {
    const waitMs = stopped ? 0 : retryWaitMs(retry, record.attempt);
    return { ...state, nextEligibleAt: new Date(nowMs + waitMs).toISOString() };
  }
  return { ...state, gaveUp: retry.maxAttempts > 1 && !stopped };
}

/**
 * Closes, as failed, the runs of a pipeline whose process has evidently ended without saying so: it has given no sign of life for {@link SILENT_MS}. The newest of
 * them counts as a failed attempt of its scheduled time.
 */
export async function closeAbandonedRuns(
  pipeline: { readonly name: string; readonly retry: RetryPolicy },
  { runLog, clock }: { readonly runLog: RunLog; readonly clock: Clock },
): Promise<void> {
  const { name } = pipeline;
  const running = await runLog.list({ pipeline: name, status: "running", limit: MAX_RUNNING });
  const silentSince = new Date(clock.now() - SILENT_MS).toISOString();
  for (const record of running) {
    const lastSign = record.heartbeatAt ?? record.startedAt;
    if (lastSign >= silentSince) continue;
    const error = interrupted(lastSign);
    const closed: RunRecord = {
      ...record,
      status: "failed",
      finishedAt: lastSign,
      error: error.toData(),
    };
    if (!await runLog.abandon(closed, silentSince)) continue;
    const at = new Date(clock.now()).toISOString();
    await runLog.append(record.runId, [{ at, level: "error", text: `failed: ${error.message}` }]);
    const newest = (await runLog.lastRuns([name])).get(name);
    if (newest?.runId !== record.runId || record.scheduledFor === undefined) continue;
    const state = stateAfterFailure(pipeline.retry, closed, {
      canHeal: true,
      stopped: false,
      nowMs: Date.parse(lastSign),
    });
    await runLog.setAttemptState(name, state);
  }
}

/** True for a run that counts as running and whose process has given a sign of life lately. */
export function isAlive(record: RunRecord, nowMs: number): boolean {
  return record.status === "running" &&
    Date.parse(record.heartbeatAt ?? record.startedAt) >= nowMs - SILENT_MS;
}

function interrupted(lastSign: string): FlowError {
  return new FlowError(
    `the process ended before the run did; it gave its last sign of life at ${lastSign}`,
    {
      code: "run_interrupted",
      domain: "external",
      retryable: true,
      hint: "look for what ended the process: a kill, a lack of memory, a restart of the machine",
    },
  );
}
