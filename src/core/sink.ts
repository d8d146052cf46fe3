import type { Batch, RejectedRows } from "./batch.ts";
import type { Clock } from "./clock.ts";
import type { DeadLetter } from "./dead_letter.ts";
import type { Observe } from "./observation.ts";
import type { OffsetMove, StoredOffset } from "./offset.ts";
import type { OffsetName } from "./offset_name.ts";
import type { TargetColumn } from "./schema.ts";
import type { Engine, Session } from "./session.ts";

/** What a sink can do; planning refuses early what does not fit. */
export interface SinkTraits {
  /** Rows and source offsets go into one transaction: exactly once in effect. */
  readonly transactional: boolean;
  readonly modes: readonly WriteMode[];
  /** The target has columns of its own (a table), as opposed to files and topics that take any. */
  readonly hasSchema: boolean;
  /** Text formats (JSON, CSV, a topic) keep text as it came: the decoder then infers no times from strings. */
  readonly keepsText: boolean;
}

/** How rows meet the rows that are there: `append` adds, `merge` inserts or updates by `keys`. */
export type WriteMode = "append" | "merge";

/** What the stream loop gives to a sink. */
export interface SinkContext {
  readonly pipeline: string;
  /** The name under which the target keeps offsets. */
  readonly offsetName: OffsetName;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly observe: Observe;
  /** Keep and check offsets in the target (`delivery` resolved to exactly once). Only set for transactional sinks. */
  readonly exactlyOnce: boolean;
}

/**
 * A target. Call order: `open`; then per epoch `begin`, any number of `write` (and `writeDeadLetters`), and `commit` or `abort`; `close` at
 * the end, which may be called twice and after a failed `open`. Epochs never overlap within one sink.
 *
 * The sink retries nothing by itself except resolving an unknown COMMIT outcome; it throws {@link FlowError}s, `retryable` when the
 * system is away. After a throw from `write` or `commit` the caller calls `abort`, which must always leave the sink usable or closed.
 *
 * Errors every sink uses: `offset_fenced` (external, retryable: another process has moved the offsets), `target_column_unknown`,
 * `target_type_mismatch`, `target_table_missing` (user).
 */
export interface Sink {
  /** Unique within the pipeline, for messages and metrics: `postgres:public.events`. Holds no credential. */
  readonly targetId: string;
  readonly traits: SinkTraits;
  /** Where rows go, in words that only sources of the same kind read (`Source.reads`). */
  readonly place?: string;
  /** The file that an epoch locks as a whole; two targets of a pipeline cannot share it. */
  readonly exclusiveFile?: string;
  /** The table, with its server, that an epoch may lock as a whole: two targets of a pipeline that share it would wait for one another. */
  readonly exclusiveTable?: string;
  open(context: SinkContext, signal: AbortSignal): Promise<void>;
  /** The target's columns now; `undefined` when the table does not exist or the target has no schema. */
  columns(): Promise<readonly TargetColumn[] | undefined>;
  /** The offsets that the target keeps for this pipeline; empty when not exactly-once. Reads afresh, and waits for a commit under way. */
  storedOffsets(): Promise<readonly StoredOffset[]>;
  /** Starts the transaction of an epoch (numbers rise by one within a run). */
  begin(epoch: number): Promise<void>;
  /**
   * Writes the rows of one batch, creating the table where it is missing (unless `create = false`), adding columns in mid-stream, and giving
   * columns that the sink itself made wider types where the values need it.
   * Rows that do not fit one by one (type, length, NUL, constraint) are returned, the others are written. A column that cannot fit at
   * all is an error naming it. For targets that are not transactional the rows are durable when this returns.
   */
  write(batch: Batch, session: Session, signal: AbortSignal): Promise<RejectedRows | undefined>;
  /** Keeps dead letters in a table of the target, within the epoch's transaction. Only where `traits.transactional`. */
  writeDeadLetters?(table: string, letters: readonly DeadLetter[]): Promise<void>;
  /** Makes the epoch durable, moving the offsets in the same transaction by compare-and-set (when exactly-once). */
  commit(moves: readonly OffsetMove[]): Promise<void>;
  abort(): Promise<void>;
  close(): Promise<void>;
}
