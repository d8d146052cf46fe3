import type { Clock } from "../core/clock.ts";
import { FlowError, toFlowError } from "../core/error.ts";

/** When a failed run is started again. */
export interface RestartPolicy {
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  /** Restarts in a row before giving up; `undefined` for no end. */
  readonly maxRestarts?: number;
}

/** A run that lasted this long was healthy: the next failure begins with the shortest wait again. */
export const HEALTHY_MS = 60_000;

/** What {@link supervise} needs beside the policy. */
export interface SupervisorContext {
  readonly clock: Clock;
  /** 0 … 1, for the jitter. */
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onRestart: (error: FlowError, waitMs: number, restart: number) => void;
}

/**
 * How long to wait before restart number `restart` (from 1): exponential from `minBackoffMs` to `maxBackoffMs`, of which a random half
 * is taken away, so that many pipelines do not come back at the same moment.
 */
export function backoffMs(policy: RestartPolicy, restart: number, random: number): number {
  const full = Math.min(policy.maxBackoffMs, policy.minBackoffMs * 2 ** (restart - 1));
  return Math.round(full * (0.5 + random / 2));
}

/**
 * True when a restart may help. Errors of users and external systems say so themselves (`retryable`); one of flow itself, a crash or what nobody foresaw, may
 * not come again in a fresh engine, and who asks for restarts wants a pipeline that stays up.
 */
export function restartHelps(error: FlowError): boolean {
  return error.retryable || error.domain === "internal";
}

/**
 * Runs `run` and, when it fails in a way that a restart may mend, again after a wait. Gives up after `maxRestarts` failures in a row.
 *
 * @throws the last run's error, when it gives up or a restart cannot help.
 */
export async function supervise<T>(
  run: () => Promise<T>,
  policy: RestartPolicy,
  context: SupervisorContext,
): Promise<T> {
  let restarts = 0;
  for (;;) {
    const startedAt = context.clock.monotonic();
    try {
      return await run();
    } catch (thrown) {
      const error = toFlowError(thrown);
      if (context.signal.aborted || !restartHelps(error)) throw error;
      if (context.clock.monotonic() - startedAt >= HEALTHY_MS) restarts = 0;
      restarts += 1;
      if (policy.maxRestarts !== undefined && restarts > policy.maxRestarts) {
        throw new FlowError(`gave up after ${policy.maxRestarts} restarts: ${error.message}`, {
          code: error.code,
          domain: error.domain,
          ...(error.hint === undefined ? {} : { hint: error.hint }),
          details: error.details,
          cause: error,
        });
      }
      const waitMs = backoffMs(policy, restarts, context.random());
      context.onRestart(error, waitMs, restarts);
      try {
        await context.clock.sleep(waitMs, context.signal);
      } catch {
        throw error;
      }
    }
  }
}
