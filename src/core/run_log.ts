import type { FlowErrorData } from "./error.ts";
import type { Secret } from "./secret.ts";

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
  /** When its process last said that it lives ({@link RunLog.heartbeat}); absent until it has. */
  readonly heartbeatAt?: string;
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
  /** Only runs for this time of the schedule. */
  readonly scheduledFor?: string;
  readonly limit: number;
}

/** One line that a run wrote. */
export interface RunLogLine {
  readonly at: string;
  readonly level: "info" | "warning" | "error";
  readonly text: string;
}

/** Where a run log is, as one connector understands it. */
export interface RunLogLocation {
  /** The connector that keeps it: `sqlite`, `postgres`. */
  readonly kind: string;
  /** Of a database file. */
  readonly path?: string;
  /** Of a database server. */
  readonly url?: Secret;
  /** False when somebody else makes the tables: then nothing is created or altered. */
  readonly createTables: boolean;
  /** Redacted, for messages. */
  readonly shown: string;
}

/** How a run log is opened. */
export interface RunLogContext {
  /** True for commands that only look: a file that is missing is an error instead of being made. */
  readonly readOnly: boolean;
}

/**
 * The durable history of runs. Call order: `open`, anything, `close` (twice is fine). Several processes may use one log at a time.
 * Errors are FlowErrors of code `run_log_unavailable` with the domain of what caused them (external and retryable, but for a wrong
 * password, a missing permission and the like); whoever runs pipelines warns and goes on without.
 */
export interface RunLog {
  /** Redacted, for messages. */
  readonly shown: string;
  /** Connects; makes or takes over the tables. The signal ends only the opening. */
  open(signal: AbortSignal): Promise<void>;
  /** Records a run that starts (or was skipped). A run id that is there already is an error: `run_id_taken` (internal). */
  start(record: RunRecord): Promise<void>;
  /**
   * Like `start`, for a run with `scheduledFor`, unless that time of the schedule has a run that succeeded or is running, or has had this attempt or
   * a later one: then nothing is recorded and the answer is false. Of several processes that claim one time at once, one gets it.
   */
  claim(record: RunRecord): Promise<boolean>;
  /** Replaces the record of the same id: its end. An unknown id is recorded. */
  finish(record: RunRecord): Promise<void>;
  /** Notes that the process of a running run lives; nothing happens for a run that has ended or is unknown. */
  heartbeat(runId: string, at: string): Promise<void>;
  /** Like `finish`, if the run still counts as running and has shown no life (heartbeat or start) since `silentSince`; false otherwise. */
  abandon(record: RunRecord, silentSince: string): Promise<boolean>;
  /** Adds lines to a run, after those that are there. */
  append(runId: string, lines: readonly RunLogLine[]): Promise<void>;
  list(filter: RunFilter): Promise<readonly RunRecord[]>;
  show(runId: string): Promise<RunRecord | undefined>;
  /** All lines in order, or the last `tail` of them; none for an unknown run. */
  lines(runId: string, tail?: number): Promise<readonly RunLogLine[]>;
  /** The newest run of each pipeline that is not `skipped`. */
  lastRuns(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>>;
  /** The newest success of each pipeline. */
  lastSuccesses(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>>;
  attemptState(pipeline: string): Promise<AttemptState | undefined>;
  /** `undefined` clears it. */
  setAttemptState(pipeline: string, state: AttemptState | undefined): Promise<void>;
  /**
   * Removes runs that started before that time (ISO-8601), the oldest first and `maxRuns` at most, with their lines; tells how many. What decisions
   * stand on stays: runs that have not ended, and of each pipeline the newest success and the newest run that was not skipped.
   */
  prune(before: string, maxRuns: number): Promise<number>;
  close(): Promise<void>;
}
