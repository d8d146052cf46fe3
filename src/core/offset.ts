/**
 * Where reading of one source partition goes on: the position of the next row, not of the last one read.
 * Opaque to everybody but the source that made it (Kafka: the decimal offset; a file: the number of rows done, or `done`).
 */
export type Position = string;

/**
 * Names one partition of one source of a pipeline. `sourceId` is unique within the pipeline (the `query` of the source, for
 * Kafka the topic); `partition` is the source's own name for the part (`0`, or a file's path).
 */
export interface PartitionRef {
  readonly sourceId: string;
  readonly partition: string;
}

/**
 * What a batch covers of one partition: rows from `from` (inclusive; `null` when the source started without a stored
 * position) up to `to` (exclusive).
 */
export interface OffsetRange extends PartitionRef {
  readonly from: Position | null;
  readonly to: Position;
}

/** A stored position: rows below it are durable in the target. */
export interface StoredOffset extends PartitionRef {
  readonly position: Position;
}

/**
 * One compare-and-set on the offsets row of (pipeline, source, partition): it must hold `expected` (`null`: no row yet)
 * and is moved to `to`. A row that holds anything else means that another process has gone on from there.
 */
export interface OffsetMove extends PartitionRef {
  readonly expected: Position | null;
  readonly to: Position;
}

/** A text that identifies the partition in maps: `sourceId` and `partition` with a separator neither contains. */
export function partitionKey(ref: PartitionRef): string {
  return `${ref.sourceId}\u0000${ref.partition}`;
}
