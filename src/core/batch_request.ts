import type { FlowErrorData } from "./error.ts";
import type { RunLogLine, RunRecord, RunStatus, TargetOutcome } from "./run_log.ts";
import type { DefinitionInput } from "./request.ts";

/** Which run log is used: as the flags say, else the environment, else the file in the home directory. */
export interface RunLogChoice {
  /** `--run-log`, `--run-log-url` or `--run-log-path`. */
  readonly url?: string;
  /** `--no-run-log`. */
  readonly off?: boolean;
}

/** What the engine isolate is asked to do for declared pipelines. Plain data. */
export type BatchRequest =
  | { readonly do: "list"; readonly input: DefinitionInput }
  | {
    readonly do: "run";
    readonly input: DefinitionInput;
    /** May be left out when there is only one. */
    readonly pipeline?: string;
    /** `--restate-from`, ISO-8601: scd2 versions from this time on are made anew from the source. */
    readonly restateFrom?: string;
    readonly runLog: RunLogChoice;
  }
  | {
    readonly do: "run_due";
    readonly input: DefinitionInput;
    /** ISO-8601; the clock's time unless given. */
    readonly now?: string;
    /** Due are schedules in (now − interval, now]. */
    readonly intervalSeconds: number;
    readonly runLog: RunLogChoice;
  }
  | {
    readonly do: "status";
    /** Without definitions: every pipeline that the run log knows. */
    readonly input?: DefinitionInput;
    readonly runLog: RunLogChoice;
  }
  | {
    readonly do: "preview";
    readonly input: DefinitionInput;
    readonly pipeline?: string;
    /** Runs it in a transaction that is rolled back. */
    readonly dryRun: boolean;
  }
  | { readonly do: "validate"; readonly input: DefinitionInput; readonly pipeline?: string }
  | {
    readonly do: "runs_list";
    readonly runLog: RunLogChoice;
    readonly pipeline?: string;
    readonly status?: RunStatus;
    readonly since?: string;
    readonly limit: number;
  }
  | { readonly do: "runs_show"; readonly runLog: RunLogChoice; readonly runId: string }
  | {
    readonly do: "run_lines";
    readonly runLog: RunLogChoice;
    readonly runId: string;
    readonly tail?: number;
  }
  | {
    readonly do: "sql";
    readonly sql: string;
    readonly input?: DefinitionInput;
    /** A configured connection; without it the embedded engine. */
    readonly connection?: string;
    readonly format: SqlFormat;
    /** Rows that a `table` shows at most. */
    readonly tableRows: number;
    /** Files that the embedded engine sees as relations. */
    readonly register: readonly RegisteredFile[];
  };

/** A Parquet, CSV or JSON file as a relation of the engine; the ending tells the format. */
export interface RegisteredFile {
  readonly name: string;
  readonly path: string;
}

/** How `flow sql` prints. */
export type SqlFormat = "table" | "json" | "csv" | "arrow" | "parquet";

/** One line of `flow list`. */
export interface DefinitionListing {
  readonly name: string;
  readonly kind: "pipeline" | "streaming";
  /** The cron text; absent when unscheduled. */
  readonly schedule?: string;
}

/** What a run of one pipeline came to: the record of its last attempt. */
export interface RunSummary {
  readonly record: RunRecord;
  /** Things worth knowing that are no failure: drift, keys resolved otherwise than one might think. */
  readonly notices: readonly string[];
}

/** What `flow run-due` did. */
export interface DueSummary {
  readonly ran: readonly RunSummary[];
  readonly failed: readonly (RunSummary & { readonly gaveUp: boolean })[];
  readonly skipped: readonly { readonly pipeline: string; readonly reason: string }[];
}

/** One line of `flow status`. */
export interface StatusRow {
  readonly name: string;
  readonly schedule?: string;
  readonly lastRun?: RunRecord;
  /** ISO-8601; absent when unscheduled. */
  readonly nextDue?: string;
  readonly retry: {
    readonly maxAttempts: number;
    readonly attemptCount: number;
    readonly nextEligibleAt?: string;
    readonly gaveUp: boolean;
  };
  readonly dependsOn: readonly string[];
  /** Upstreams that keep it waiting now. */
  readonly waitingOn: readonly string[];
}

/** What a pipeline would do. */
export interface PipelinePreview {
  readonly pipeline: string;
  readonly schedule?: string;
  readonly source: { readonly connection: string; readonly shown: string; readonly sql: string };
  readonly targets: readonly TargetPreview[];
  readonly isDryRun: boolean;
  readonly notes: readonly string[];
}

/** What a pipeline would do with one target. */
export interface TargetPreview {
  readonly target: string;
  readonly connection: string;
  readonly shown: string;
  readonly mode: string;
  readonly path: "same_db" | "cross_db";
  readonly pathReason: string;
  readonly declaredColumns: readonly { readonly name: string; readonly type: string }[];
  /** Columns that flow adds: `_loaded_at`, `_batch_id`, and those of scd2. */
  readonly augmentedColumns: readonly string[];
  readonly keys: readonly string[];
  readonly keysReason: string;
  readonly compareColumns: readonly string[];
  readonly compareColumnsReason: string;
  /** The statements in their order, DDL included. */
  readonly planSql: readonly string[];
  /** Only after a dry run. */
  readonly outcome?: TargetOutcome;
  readonly error?: FlowErrorData;
}

/** What `flow validate` found of one pipeline; each problem once. */
export interface ValidationReport {
  readonly pipeline: string;
  readonly problems: readonly string[];
}

/** The answers, by `do`. */
export type BatchResult =
  | { readonly did: "list"; readonly definitions: readonly DefinitionListing[] }
  | { readonly did: "run"; readonly summary: RunSummary }
  | { readonly did: "run_due"; readonly summary: DueSummary }
  | { readonly did: "status"; readonly rows: readonly StatusRow[] }
  | { readonly did: "preview"; readonly preview: PipelinePreview }
  | { readonly did: "validate"; readonly reports: readonly ValidationReport[] }
  | { readonly did: "runs_list"; readonly runs: readonly RunRecord[] }
  | { readonly did: "runs_show"; readonly run: RunRecord }
  | { readonly did: "run_lines"; readonly lines: readonly RunLogLine[] }
  /** The output itself went through `RunHooks.output`. */
  | { readonly did: "sql" };
