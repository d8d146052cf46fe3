import type { FlowErrorData } from "./error.ts";

/** How a recorded run stands. `skipped` runs never started. */
export type RunStatus = "running" | "success" | "failed" | "skipped";

/** What one target of a run got. */
export interface TargetOutcome {
  /** `schema.table`. */
  readonly target: string;
  readonly mode: string;
  /** `same_db` (one statement in the database) or `cross_db` (batches through the engine or the native bulk format). */
  readonly path: "same_db" | "cross_db";
  readonly rowsInserted: number;
  readonly rowsUpdated?: number;
  readonly rowsUnchanged?: number;
  readonly rowsDeleted?: number;
  /** scd2: versions closed. */
  readonly rowsClosed?: number;
  /** The watermark after the run, as text. */
  readonly watermark?: string;
}

/** One run (one attempt) of a pipeline, as the history keeps it. Times are ISO-8601 in UTC with milliseconds. */
export interface RunRecord {
  /** `<pipeline>-<YYYYmmddTHHMMSS>-<attempt>`, made unique with a further `-n` where needed. */
  readonly runId: string;
  readonly pipeline: string;
  readonly status: RunStatus;
  readonly attempt: number;
  /** The time that the schedule asked for, for runs that `run-due` fired. */
  readonly scheduledFor?: string;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly targets: readonly TargetOutcome[];
  readonly error?: FlowErrorData;
  /** Why a run was skipped: `upstream not fresh: a,b`. */
  readonly reason?: string;
}

/** Where the retries of a pipeline stand, across processes. */
export interface AttemptState {
  readonly attemptCount: number;
  readonly lastAttemptAt: string;
  readonly nextEligibleAt?: string;
  readonly gaveUp: boolean;
}

/** Which runs {@link RunLog.list} gives, newest first. */
export interface RunFilter {
  readonly pipeline?: string;
  readonly status?: RunStatus;
  /** ISO-8601: started at or after. */
  readonly since?: string;
  readonly limit: number;
}

/** One line that a run wrote. */
export interface RunLogLine {
  readonly at: string;
  readonly level: "info" | "warning" | "error";
  readonly text: string;
}

/**
 * The durable history of runs. Call order: `open`, anything, `close` (twice is fine). Several processes may use one log at a time.
 * Errors are FlowErrors of code `run_log_unavailable` (external, retryable); whoever runs pipelines warns and goes on without.
 */
export interface RunLog {
  /** Redacted, for messages. */
  readonly shown: string;
  open(signal: AbortSignal): Promise<void>;
  /** Records a run that starts (or was skipped). A run id that is there already is an error. */
  start(record: RunRecord): Promise<void>;
  /** Replaces the record of the same id: its end. */
  finish(record: RunRecord): Promise<void>;
  /** Adds lines to a run. */
  append(runId: string, lines: readonly RunLogLine[]): Promise<void>;
  list(filter: RunFilter): Promise<readonly RunRecord[]>;
  show(runId: string): Promise<RunRecord | undefined>;
  lines(runId: string, tail?: number): Promise<readonly RunLogLine[]>;
  /** The newest run of each pipeline that is not `skipped`. */
  lastRuns(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>>;
  /** The newest success of each pipeline. */
  lastSuccesses(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>>;
  attemptState(pipeline: string): Promise<AttemptState | undefined>;
  /** `undefined` clears it. */
  setAttemptState(pipeline: string, state: AttemptState | undefined): Promise<void>;
  close(): Promise<void>;
}
