import type { FlowErrorData } from "./error.ts";
import type { DeadLetterStage } from "./dead_letter.ts";
import type { TargetOutcome } from "./run_log.ts";

/**
 * Everything worth telling while a pipeline runs. Progress line, metrics, logs and (later readers) alerts decide what to do with it.
 * Plain data: it crosses isolates by structured clone. Fields named `…Micros` are microseconds since the epoch.
 */
export type Observation =
  | {
    readonly kind: "run_started";
    readonly pipeline: string;
    readonly sources: readonly string[];
    readonly targets: readonly string[];
    readonly delivery: string;
  }
  | { readonly kind: "ready"; readonly pipeline: string }
  | {
    readonly kind: "batch_committed";
    readonly pipeline: string;
    readonly epoch: number;
    readonly rowsConsumed: number;
    readonly rowsWritten: number;
    readonly bytes: number;
    /** From the hand-over by the source to the commit. */
    readonly latencyMs: number;
    /** Milliseconds spent per stage, for `--profile`. */
    readonly stageMs: Readonly<Record<string, number>>;
  }
  | { readonly kind: "idle"; readonly pipeline: string }
  | {
    readonly kind: "lag";
    readonly pipeline: string;
    readonly sourceId: string;
    readonly rows: number;
  }
  | {
    readonly kind: "watermark";
    readonly pipeline: string;
    readonly sourceId: string;
    readonly micros: number;
  }
  | {
    readonly kind: "rows_rejected";
    readonly pipeline: string;
    readonly stage: DeadLetterStage;
    readonly rows: number;
    readonly action: "dead_letter" | "drop";
    readonly example: string;
  }
  | { readonly kind: "plan_changed"; readonly pipeline: string; readonly reason: string }
  | { readonly kind: "offsets_fenced"; readonly pipeline: string; readonly targetId: string }
  /** Rows that a declared pipeline has moved so far. */
  | { readonly kind: "rows_loaded"; readonly pipeline: string; readonly rows: number }
  | { readonly kind: "notice"; readonly pipeline: string; readonly message: string }
  | {
    readonly kind: "retrying";
    readonly pipeline: string;
    readonly error: FlowErrorData;
    readonly waitMs: number;
    readonly restart: number;
  }
  /** An attempt of a declared pipeline starts. */
  | {
    readonly kind: "pipeline_firing";
    readonly pipeline: string;
    readonly attempt: number;
    readonly maxAttempts: number;
    /** The time that the schedule asked for, when it did. */
    readonly scheduledFor?: string;
  }
  | {
    readonly kind: "pipeline_succeeded";
    readonly pipeline: string;
    readonly attempt: number;
    readonly elapsedMs: number;
    readonly targets: readonly TargetOutcome[];
  }
  | { readonly kind: "pipeline_skipped"; readonly pipeline: string; readonly reason: string }
  | { readonly kind: "error"; readonly pipeline: string; readonly error: FlowErrorData };

/** Takes an observation. Never throws, never waits. */
export type Observe = (observation: Observation) => void;
