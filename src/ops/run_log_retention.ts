import type { Clock } from "../core/clock.ts";
import type { RunLog } from "../core/run_log.ts";

/** How many days runs stay in the run log: a whole number, or `forever`. */
const KEEP_VARIABLE = "EMATIX_FLOW_RUN_LOG_KEEP_DAYS";
/** A year can be looked at, and compared with the month before it. */
const KEEP_DAYS = 400;
const DAY_MS = 86_400_000;
/** Runs that one command removes at most: a log that was never cleared gets small over many runs, and none of them waits for it. */
const MAX_RUNS = 1000;

/** What is needed to clear a run log of old runs. */
export interface RetentionContext {
  /** Reads a variable of the environment; undefined when it is unset or must not be read. */
  readonly variable: (name: string) => string | undefined;
  /** Whether it may be read. */
  readonly isReadable: (name: string) => boolean;
  readonly clock: Clock;
  readonly warn: (message: string) => void;
}

/**
 * Removes from the run log what is older than `EMATIX_FLOW_RUN_LOG_KEEP_DAYS` says (400 days without it), a bounded number of runs at a time. A value that says
 * nothing removes nothing, and is told.
 *
 * @param runLog is open, and one whose methods do not fail
 */
export async function removeOldRuns(runLog: RunLog, context: RetentionContext): Promise<void> {
  const { variable, isReadable, clock, warn } = context;
  // It might say that they stay.
  if (!isReadable(KEEP_VARIABLE)) return;
  const text = variable(KEEP_VARIABLE)?.trim() ?? "";
  if (text.toLowerCase() === "forever") return;
  const days = text === "" ? KEEP_DAYS : Number(text);
  if (!/^\d{0,6}$/.test(text) || days < 1) {
    warn(
      `${KEEP_VARIABLE} is '${text}', which is no number of days from 1 on (or forever): ` +
        "no old run is removed from the run log",
    );
    return;
  }
  await runLog.prune(new Date(clock.now() - days * DAY_MS).toISOString(), MAX_RUNS);
}
