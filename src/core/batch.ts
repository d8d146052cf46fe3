import type { OffsetRange } from "./offset.ts";
import type { Column } from "./schema.ts";

/**
 * The hidden row number (BIGINT, 0, 1, 2 … within one source batch) that every relation of a batch carries as long as rows
 * can be told apart: it leads from a row that failed back to its payload and source position. Never written to a target.
 */
export const ROW_COLUMN = "__flow_row";

/**
 * How the rows of a source batch are held: `json` and `raw_bytes` have the layout that `Engine.ingestPayloads` makes and
 * still need a decoder; `columns` has typed user columns plus `_partition`, `_offset`, `_event_ts` and {@link ROW_COLUMN}.
 */
export type BatchEncoding = "json" | "raw_bytes" | "columns";

/** A batch as a source hands it over: a handle on an engine table, never the rows themselves. */
export interface SourceBatch {
  readonly sourceId: string;
  /** Engine table with the rows. Whoever receives the batch owns it and drops the table. */
  readonly table: string;
  readonly encoding: BatchEncoding;
  readonly rows: number;
  /** Payload bytes, for back-pressure and metrics. */
  readonly bytes: number;
  /** What the batch covers, at most one range per partition. A batch may cover offsets without rows (compacted, aborted). */
  readonly ranges: readonly OffsetRange[];
  /** How many rows the source still has after this batch, where it knows (Kafka: high watermark minus position). */
  readonly lagRows?: number;
  /** Rows within the ranges that the source itself could not read (broken lines of CSV). They are not in `table` and not in `rows`. */
  readonly unreadable?: UnreadableRows;
}

/**
 * Rows that a source of typed columns could not read, as an engine table of the layout that `Engine.ingestPayloads` makes, with `_error`
 * VARCHAR besides. Owned and dropped by whoever receives the batch. They are refused by the stage `decode`.
 */
export interface UnreadableRows {
  readonly table: string;
  readonly count: number;
}

/** Typed rows on their way from stage to stage: an engine table (or view) of user columns, and how many rows it has. */
export interface Batch {
  readonly table: string;
  /** The columns to be written, in order. Metadata columns and {@link ROW_COLUMN} are not among them unless asked for. */
  readonly columns: readonly Column[];
  /** True when the table also has {@link ROW_COLUMN}; false after a stage that merges rows (GROUP BY, DISTINCT …). */
  readonly hasRowColumn: boolean;
  readonly rows: number;
}

/**
 * Rows that a stage could not process, as an engine table of two columns: `_error` VARCHAR and either {@link ROW_COLUMN} or, where
 * rows lost their number, `_row_json` VARCHAR (the row itself as JSON). The receiver drops the table.
 */
export interface RejectedRows {
  readonly table: string;
  readonly count: number;
  readonly by: "row_number" | "row_json";
}
