import type { DatabaseKind } from "../core/database.ts";
import type { Connection } from "./builder.ts";
import { Sealed } from "./plain_data.ts";

/** A connection to a database: a typed one, or the name of one that is configured elsewhere. */
export type DatabaseConnectionInput = Connection<DatabaseKind> | string;

/** What every mode takes. */
interface EveryLoad<Column extends string> {
  /** When declaration and table differ: add columns and widen types (`evolve`, default), go on with a warning, or fail. */
  readonly onDrift?: "evolve" | "warn" | "error";
  /** Make the table when it is missing; default true. */
  readonly create?: boolean;
  /** The column whose highest value is `$watermark` in the query. */
  readonly incrementalColumn?: Column;
}

interface KeyedLoad<Column extends string> {
  /** Columns that tell rows apart; default: the table's merge keys, natural key, first unique group or primary key. */
  readonly keys?: readonly Column[];
}

interface DeletingLoad {
  /** With `handleDeletes`: a source without rows may delete or close everything. Without it such a run fails. */
  readonly allowEmptySource?: boolean;
}

interface MergeLoad<Column extends string> extends KeyedLoad<Column>, DeletingLoad {
  /** Columns that are updated; default: all that are no key. */
  readonly updateColumns?: readonly Column[];
  /** `hard` deletes rows whose key is gone from the source. */
  readonly handleDeletes?: "none" | "hard";
}

interface Scd2Load<Column extends string> extends KeyedLoad<Column>, DeletingLoad {
  /** Columns whose change makes a new version; default: all that are no key. */
  readonly compareColumns?: readonly Column[];
  /** The source's own time of a version; default: the start of the run. */
  readonly eventTimestampColumn?: Column;
  /** Current versions that are older are closed (s). */
  readonly ttlSeconds?: number;
  /** `soft` closes the versions whose key is gone from the source. */
  readonly handleDeletes?: "none" | "soft";
}

interface IncrementalLoad<Column extends string> extends KeyedLoad<Column> {
  /** The column whose highest value is kept; the next run reads from there. */
  readonly incrementalColumn: Column;
  /** Without keys: a column that rises strictly among rows of an equal watermark. */
  readonly tieBreakColumn?: Column;
  /** How far below the watermark rows are read again, for those that were committed late (s). */
  readonly overlapSeconds?: number;
  /** Columns that are updated when a row comes again; default: all that are no key. */
  readonly updateColumns?: readonly Column[];
}

/** Keys that not every mode takes. */
type ModeKey =
  | keyof MergeLoad<string>
  | keyof Scd2Load<string>
  | Exclude<keyof IncrementalLoad<string>, "incrementalColumn">;

type Mode<Column extends string, Name extends string, Own> =
  & EveryLoad<Column>
  & Own
  & { readonly [Key in Exclude<ModeKey, keyof Own>]?: never }
  & { readonly mode: Name };

/**
 * How rows are brought into a table. `append` (default) adds them, `truncate` empties the table first, `merge` inserts or updates by keys,
 * `scd2` keeps every version of a row, `incremental` reads only what is new.
 */
export type LoadOptions<Column extends string = string> =
  | Omit<Mode<Column, "append", unknown>, "mode"> & { readonly mode?: "append" }
  | Mode<Column, "truncate", unknown>
  | Mode<Column, "merge", MergeLoad<Column>>
  | Mode<Column, "scd2", Scd2Load<Column>>
  | Mode<Column, "incremental", IncrementalLoad<Column>>;

/** What `target(table, {…})` takes: how rows are brought in, and where the table is. */
export type LoadTargetOptions<Column extends string = string> = LoadOptions<Column> & {
  /** Where the table is; default: the pipeline's `targetConnection`. */
  readonly connection?: DatabaseConnectionInput;
};

/** One of several targets of a declared pipeline, made by `target(table, {…})`. */
export class LoadTarget extends Sealed {}
