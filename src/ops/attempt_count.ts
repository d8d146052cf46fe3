import type { RetryPolicy } from "../core/batch_spec.ts";
import type { AttemptState, RunRecord } from "../core/run_log.ts";

/** No wait between attempts is longer. */
const MAX_BACKOFF_SECONDS = 3600;

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
