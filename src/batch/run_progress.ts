import type { TargetOutcome } from "../core/run_log.ts";

/** What one target got, and what is worth telling about it. */
export interface TargetRun {
  readonly outcome: TargetOutcome;
  readonly notices: readonly string[];
}

/** A load whose COMMIT was sent, and of which nobody could tell what became of it. */
export interface LoadInDoubt {
  /** Of its row in `run_history`. */
  readonly runId: string;
  /** What it did, if it was committed. */
  readonly run: TargetRun;
}

/**
 * What the attempts of one run have come to so far, by the names of the loads. Given to the next attempt, it makes that go on where the last one
 * failed: no target is loaded twice.
 */
export class RunProgress {
  /** Targets that have their rows. */
  readonly completed = new Map<string, TargetRun>();
  /** Targets that may have theirs: the next attempt looks before it loads. */
  readonly inDoubt = new Map<string, LoadInDoubt>();
}
