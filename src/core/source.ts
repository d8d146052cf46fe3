import type { SourceBatch } from "./batch.ts";
import type { Clock } from "./clock.ts";
import type { Observe } from "./observation.ts";
import type { PartitionRef, Position, StoredOffset } from "./offset.ts";
import type { Column, MetadataColumn } from "./schema.ts";
import type { Engine } from "./session.ts";

/** What a source can do; planning refuses early what does not fit. */
export interface SourceTraits {
  /** Reading can start at any stored position (Kafka, files). Needed for exactly-once. */
  readonly seekable: boolean;
  /** The source has an end (files, datagen with `rows`, memory, a Kafka topic's current end): `--until-end` stops there. */
  readonly ends: boolean;
  /** Positions survive in the source itself once acknowledged (a Kafka consumer group). */
  readonly storesPositions: boolean;
}

/** What the stream loop gives to a source. */
export interface SourceContext {
  readonly pipeline: string;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly observe: Observe;
  /** Stop at the end that the source has now, instead of waiting for more. */
  readonly untilEnd: boolean;
  /** Metadata columns that somebody will read; a source may leave the others NULL. */
  readonly wantedMetadata: ReadonlySet<MetadataColumn>;
  /**
   * Where to go on reading the given partitions, read afresh from the place of truth (the target, for exactly-once).
   * A partition without an entry starts by the source's own rule (`auto_offset_reset`, or what it stores itself).
   * Called at the start and at every assignment; may take a while; rejects when the target is away.
   */
  storedPositions(partitions: readonly PartitionRef[]): Promise<readonly StoredOffset[]>;
  /**
   * True when the targets keep the positions: then what the source itself has stored (a consumer group's offsets) does not count, since it
   * may be ahead of a target that was made anew.
   */
  readonly targetsKeepPositions?: boolean;
  /** Upper bound of payload bytes per batch and of bytes that wait inside the source. */
  readonly maxBatchBytes: number;
  readonly maxBatchRows: number;
  /** A batch that is not full is handed over after this time. */
  readonly maxBatchWaitMs: number;
}

/**
 * A source of rows. Call order: `open` once, then one `read` loop, with `acknowledge` and `seek` at any time in between, then
 * `close` (which may be called twice, and also after a failed `open`).
 *
 * Retries: a source retries what is transient (a broker that is away) within a bounded time of its own, then throws a
 * retryable {@link FlowError}; the supervisor decides about a restart.
 * `read` ends when the source has an end and reached it, or when the signal is aborted: aborting ends the iteration without an error.
 */
export interface Source {
  readonly sourceId: string;
  readonly traits: SourceTraits;
  /** The typed columns, where they are known before the first batch (declared columns, Parquet). */
  readonly declaredColumns?: readonly Column[];
  /** True for the `place` of a target or of dead letters whose rows this source would read: a pipeline that writes there never comes to an end. */
  reads?(place: string): boolean;
  open(context: SourceContext, signal: AbortSignal): Promise<void>;
  /**
   * Batches in order per partition. The consumer's pull is the back-pressure: at most `maxBatchBytes` wait inside.
   * With nothing to read it yields `undefined` about every `idle` interval of the loop, so that idle work can be done.
   */
  read(signal: AbortSignal): AsyncIterable<SourceBatch | undefined>;
  /** Rows below these positions are durable in every target. Must not throw for a partition that is no longer assigned. */
  acknowledge(offsets: readonly StoredOffset[]): Promise<void>;
  /** Drops what waits inside for these partitions and goes on at the given positions. */
  seek(offsets: readonly StoredOffset[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * The number of the next row that a position stands for. Positions are decimal numbers, optionally followed by `;` and a text that
 * only the source understands (`5000;done`). Rows whose `_offset` is below the number lie below the position.
 */
export function positionOffset(position: Position): bigint {
  const end = position.indexOf(";");
  return BigInt(end === -1 ? position : position.slice(0, end));
}
