import type { Options, TableRef } from "./connector.ts";
import type { SqlValue } from "./session.ts";
import type { Origin } from "./spec.ts";
import type { DeclaredTable } from "./table_spec.ts";

/** How a bounded run brings rows into a table. */
export type LoadMode = "append" | "truncate" | "merge" | "scd2" | "incremental";

/** A resolved connection of a pipeline. */
export interface BatchConnection {
  /** The name it goes by; absent for one that was given in place. */
  readonly name?: string;
  readonly kind: string;
  readonly options: Options;
  /** Redacted, for people. */
  readonly shown: string;
}

/** Where a pipeline reads: SQL of the source database, or one of its tables. */
export type BatchSource =
  | { readonly by: "query"; readonly sql: string }
  | {
    readonly by: "table";
    readonly table: TableRef;
    /** Target column → source column; columns that are not named keep their names. Empty: same names. */
    readonly columnMap: Readonly<Record<string, string>>;
  };

/** What happens to rows of the target whose key is gone from the source: they stay, are deleted (merge), or closed (scd2). */
export type HandleDeletes = "none" | "hard" | "soft";

/** What happens when the declared table and the target's differ: columns are added and types widened, the run goes on with a warning, or it fails. */
export type OnDrift = "evolve" | "warn" | "error";

/** One target of a pipeline. */
export interface BatchTarget {
  readonly connection: BatchConnection;
  readonly table: DeclaredTable;
  readonly mode: LoadMode;
  /** Keys given with the pipeline; empty: they are resolved from the declaration (see `resolveKeys`). */
  readonly keys: readonly string[];
  /** scd2: columns whose change makes a new version. Empty: all that are no key and no event timestamp. */
  readonly compareColumns: readonly string[];
  /** merge: columns that are updated. Empty: all that are no key. */
  readonly updateColumns: readonly string[];
  /** scd2: the source's time of a version, `valid_from`. Without it, the start of the run. */
  readonly eventTimestampColumn?: string;
  /** scd2: current versions that are older are closed. */
  readonly ttlSeconds?: number;
  readonly handleDeletes: HandleDeletes;
  /** Without it, a source without rows fails a run that would delete or close everything. */
  readonly allowEmptySource: boolean;
  /** incremental, and any query with `$watermark`: the column whose highest value is kept. */
  readonly incrementalColumn?: string;
  /** incremental without keys: a column that rises strictly among rows of an equal watermark. */
  readonly tieBreakColumn?: string;
  /** incremental: how far below the watermark rows are read again, for those that were committed late (s). */
  readonly overlapSeconds: number;
  readonly onDrift: OnDrift;
  /** Make the table when it is missing. */
  readonly create: boolean;
}

/** Attempts within one run. The wait before attempt n+1 is `backoffSeconds * backoffFactor ** (n - 1)`. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoffSeconds: number;
  readonly backoffFactor: number;
}

/** A declared pipeline: validated, complete with defaults, plain data but for secrets. */
export interface BatchSpec {
  readonly name: string;
  readonly origin: Origin;
  readonly sourceConnection: BatchConnection;
  readonly source: BatchSource;
  /** At least one. */
  readonly targets: readonly BatchTarget[];
  /** Values for `$name` in the query, besides `$watermark`. */
  readonly parameters: Readonly<Record<string, SqlValue>>;
  /** Statements run on each target's connection in the load's transaction, before and after it. */
  readonly sqlBefore: readonly string[];
  readonly sqlAfter: readonly string[];
  readonly schedule?: { readonly cron: string; readonly timezone: string };
  /** IANA name; `UTC` unless given. */
  readonly timezone: string;
  readonly dependsOn: readonly string[];
  /** An upstream is fresh enough when its last success is no older; without it, today's success is needed. */
  readonly upstreamFreshnessSeconds?: number;
  readonly retry: RetryPolicy;
  /** Go on with the other targets when one failed. */
  readonly continueOnFailure: boolean;
}
