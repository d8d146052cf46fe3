import type { Observation } from "../core/observation.ts";

/**
 * What a `flow consume` has done so far, added up from observations over all restarts: the summary of a run knows only its own.
 */
export class Totals {
  pipeline: string | undefined;
  rowsConsumed = 0;
  rowsWritten = 0;
  rowsDeadLettered = 0;
  rowsDropped = 0;
  batches = 0;
  /** Turns of the run loop, idle ones included. */
  iterations = 0;
  restarts = 0;
  /** Which attempt the next run is at what is not committed yet: restarts since the last commit, and one. */
  attempt = 1;
  /** Milliseconds per stage, in the order in which the stages first told of themselves. */
  readonly stageMs = new Map<string, number>();

  /** Takes one observation in. */
  observe(observation: Observation): void {
    switch (observation.kind) {
      case "run_started":
        this.pipeline = observation.pipeline;
        break;
      case "batch_committed":
        this.rowsConsumed += observation.rowsConsumed;
        this.rowsWritten += observation.rowsWritten;
        this.batches += 1;
        this.attempt = 1;
        this.iterations += 1;
        for (const [stage, ms] of Object.entries(observation.stageMs)) {
          this.stageMs.set(stage, (this.stageMs.get(stage) ?? 0) + ms);
        }
        break;
      case "idle":
        this.iterations += 1;
        break;
      case "rows_rejected":
        if (observation.action === "dead_letter") this.rowsDeadLettered += observation.rows;
        else this.rowsDropped += observation.rows;
        break;
      case "retrying":
        this.restarts += 1;
        this.attempt += 1;
        break;
    }
  }
}
