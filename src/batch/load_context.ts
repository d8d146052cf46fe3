import type { BatchTarget } from "../core/batch_spec.ts";
import type { DatabaseSession } from "../core/database.ts";
import type { Column } from "../core/schema.ts";

/** A column that every table of a declared pipeline has: when the row was written. */
export const LOADED_AT = "_loaded_at";
/** Likewise: the run that wrote the row, as a UUID. */
export const BATCH_ID = "_batch_id";

/** A column that a table of mode scd2 has besides: the moment from which the version holds. */
export const VALID_FROM = "valid_from";
/** Likewise: the moment from which it holds no more; NULL while it is open. */
export const VALID_TO = "valid_to";
/** Likewise: whether it is its key's open version. */
export const IS_CURRENT = "is_current";
/** Likewise: SHA-256 of the columns whose change makes a new version. */
export const ROW_HASH = "row_hash";

/** A target with everything resolved that a load needs. */
export interface ResolvedTarget {
  readonly spec: BatchTarget;
  /** The table's quoted name. */
  readonly table: string;
  /** The columns that rows bring, in order, with engine types; without the columns that flow adds. */
  readonly columns: readonly Column[];
  /** Columns that tell rows apart; empty for append and truncate. */
  readonly keys: readonly string[];
  /** True when the table has a unique index over exactly the keys, by which `Dialect.upsert` can work. */
  readonly keysAreUnique: boolean;
  /** merge: columns that are updated; scd2: columns that make a new version. */
  readonly valueColumns: readonly string[];
}

/** What a mode gets to work with, inside the open transaction on the target's database. */
export interface LoadContext {
  readonly session: DatabaseSession;
  readonly target: ResolvedTarget;
  /**
   * The incoming rows as a FROM item without alias and without parameters: the name of a stage, or a parenthesised query that gives the same rows whenever
   * it is used in this transaction. It has exactly the target's `columns`, cast and normalized.
   */
  readonly relation: string;
  /** UUID of the run, for `_batch_id`. */
  readonly batchId: string;
  /** The start of the run, for `_loaded_at` and for versions without a time of their own; microseconds since the epoch. */
  readonly startedMicros: bigint;
  /** A name for a further stage; stages vanish with the session. */
  newStage(): string;
}

/** What a load did to the target. */
export interface LoadCounts {
  readonly rowsInserted: number;
  readonly rowsUpdated?: number;
  readonly rowsUnchanged?: number;
  readonly rowsDeleted?: number;
  /** scd2: versions that were current and are not any more. */
  readonly rowsClosed?: number;
}
