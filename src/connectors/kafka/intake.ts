import type { Clock } from "../../core/clock.ts";
import type { OffsetRange, Position } from "../../core/offset.ts";
import type { PayloadRows } from "../../core/session.ts";
import { type BatchLimits, PayloadBuilder, type WantedParts } from "./payload_builder.ts";
import type { RecordSet } from "./record_batch.ts";
import { Wakeup } from "./wakeup.ts";

/** Where reading of a partition starts. */
export interface StartPosition {
  readonly partition: number;
  readonly offset: number;
  /** What the target holds for the partition, exactly as it is spelled there; `null` when nothing. */
  readonly stored: Position | null;
  /** The partition's end when this was found out. */
  readonly highWatermark: number;
}

/** Reading of one assigned partition. */
interface PartitionState {
  readonly partition: number;
  /** The offset behind the last row that was handed over. */
  handed: number;
  /** {@link handed} in the spelling of the stored position; `null` before the first range when nothing is stored. */
  from: Position | null;
  /** The offset that has to come in next. */
  expected: number;
  highWatermark: number;
  /** The broker said that it has nothing from here to its end. */
  holeAt: number | undefined;
}

/** Rows on their way out, with what they cover. */
export interface TakenRows {
  readonly rows: PayloadRows;
  readonly ranges: readonly OffsetRange[];
  readonly bytes: number;
  /** Rows that the broker still has, as far as it is known. */
  readonly lagRows: number;
}

/** A partition and the offset at which the consumer has to go on. */
export interface SeekTo {
  readonly partition: number;
  readonly offset: number;
}

/**
 * What has come in from the assigned partitions and was not handed over yet: one batch in the making, and never more. While it is being
 * handed over nothing comes in. Keeps, per partition, which offset has to come next; whatever else arrives (a
 * fetch that was under way at a seek) is refused. Knows nothing of Kafka's client.
 */
export class Intake {
  /** Told at every change that a waiting reader or writer may care for. */
  readonly changed = new Wakeup();
  readonly #sourceId: string;
  readonly #clock: Clock;
  readonly #builder: PayloadBuilder;
  #partitions = new Map<number, PartitionState | undefined>();
  /** Positions that were asked for while a partition's start was not known yet. */
  readonly #sought = new Map<number, Position>();
  /** Rises whenever waiting rows are dropped: who holds on to an older number works on something outdated. */
  #epoch = 0;
  #firstAtMs: number | undefined;
  #taken:
    | { readonly epoch: number; readonly to: ReadonlyMap<number, number> }
    | undefined;
  #assigned = false;

  constructor(sourceId: string, clock: Clock, limits: BatchLimits, wanted: WantedParts) {
    this.#sourceId = sourceId;
    this.#clock = clock;
    this.#builder = new PayloadBuilder(limits, wanted);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** True when nothing more goes into the batch, or it is being handed over. */
  get full(): boolean {
    return this.#taken !== undefined || this.#builder.full;
  }

  /** How long the batch has been in the making (ms); `undefined` when it is empty. */
  get ageMs(): number | undefined {
    return this.#firstAtMs === undefined ? undefined : this.#clock.monotonic() - this.#firstAtMs;
  }

  /** Takes a new assignment; waiting rows are dropped. @returns the partitions whose start has to be found out, and where the others go on */
  assign(
    partitions: readonly number[],
    keepsPositions: boolean,
  ): { readonly unknown: number[]; readonly seeks: SeekTo[] } {
    this.discard();
    const before = this.#partitions;
    this.#partitions = new Map(
      partitions.map((partition) => [
        partition,
        keepsPositions ? before.get(partition) : undefined,
      ]),
    );
    this.#sought.clear();
    this.#assigned = true;
    const unknown = partitions.filter((partition) => this.#partitions.get(partition) === undefined);
    return { unknown, seeks: this.seeks() };
  }

  /** Sets where reading of partitions starts. Those that are not assigned any more are left out. @returns where the consumer has to seek to */
  start(positions: readonly StartPosition[]): SeekTo[] {
    for (const { partition, offset, stored, highWatermark } of positions) {
      if (!this.#partitions.has(partition)) continue;
      const sought = this.#sought.get(partition);
      const at = sought === undefined ? offset : Number(sought);
      this.#partitions.set(partition, {
        partition,
        handed: at,
        from: sought ?? stored,
        expected: at,
        highWatermark,
        holeAt: undefined,
      });
    }
    this.#sought.clear();
    this.changed.notify();
    return this.seeks().filter(({ partition }) =>
      positions.some((position) => position.partition === partition)
    );
  }

  /** Goes on at other positions: everything that waits is dropped. @returns where the consumer has to seek to */
  seek(
    positions: readonly { readonly partition: number; readonly position: Position }[],
  ): SeekTo[] {
    for (const { partition, position } of positions) {
      if (!this.#partitions.has(partition)) continue;
      const state = this.#partitions.get(partition);
      if (state === undefined) this.#sought.set(partition, position);
      else {
        state.handed = Number(position);
        state.from = position;
      }
    }
    this.discard();
    return this.seeks();
  }

  /** Where the consumer has to go on, for all partitions whose start is known. */
  seeks(): SeekTo[] {
    return this.#states().map(({ partition, expected }) => ({ partition, offset: expected }));
  }

  /** Drops all that waits; it has to be fetched again. */
  discard(): void {
    this.#epoch += 1;
    // The rows of a batch that is being handed over are still looked at; its end resets the builder.
    if (this.#taken === undefined) this.#builder.reset();
    this.#firstAtMs = undefined;
    for (const state of this.#states()) {
      state.expected = state.handed;
      state.holeAt = undefined;
    }
    this.changed.notify();
  }

  /** The offset that has to come next from the partition; `undefined` while that is not known, or when it is not assigned. */
  expected(partition: number): number | undefined {
    return this.#partitions.get(partition)?.expected;
  }

  /** Notes the partition's end, as the last fetch told it. */
  sawHighWatermark(partition: number, highWatermark: number): void {
    const state = this.#partitions.get(partition);
    if (state !== undefined) state.highWatermark = highWatermark;
  }

  /** Notes that the broker has nothing between the expected offset and the partition's end. */
  sawHole(partition: number): void {
    const state = this.#partitions.get(partition);
    if (state === undefined) return;
    state.holeAt = state.expected;
    this.changed.notify();
  }

  /** Takes rows until the set is at its end (`true`) or the batch is full (`false`). Not to be called while the batch is {@link full}. */
  append(records: RecordSet, partition: number): boolean {
    const state = this.#partitions.get(partition);
    if (state === undefined) return true;
    const done = records.append(this.#builder, partition);
    if (records.position > state.expected) {
      state.expected = records.position;
      this.#firstAtMs ??= this.#clock.monotonic();
    }
    this.changed.notify();
    return done;
  }

  /** Forgets the assignment: the membership is over. */
  unassign(): void {
    this.discard();
    this.#partitions = new Map();
    this.#assigned = false;
  }

  /** True when the partition is assigned. */
  owns(partition: number): boolean {
    return this.#partitions.has(partition);
  }

  /** True when every assigned partition has come in up to its end in `ends` (or has nothing up to there). */
  hasReached(ends: ReadonlyMap<number, number>): boolean {
    if (!this.#assigned) return false;
    for (const [partition, state] of this.#partitions) {
      if (state === undefined) return false;
      if (state.holeAt === state.expected) continue;
      if (state.expected < (ends.get(partition) ?? 0)) return false;
    }
    return true;
  }

  /** The batch as it is now. Its rows stay as they are, and nothing more is taken in, until {@link handOver}, which has to follow. */
  take(): TakenRows {
    const builder = this.#builder;
    this.#firstAtMs = undefined;
    const ranges: OffsetRange[] = [];
    const to = new Map<number, number>();
    let lagRows = 0;
    for (const state of this.#states()) {
      lagRows += Math.max(0, state.highWatermark - state.expected);
      if (state.expected === state.handed) continue;
      to.set(state.partition, state.expected);
      ranges.push({
        sourceId: this.#sourceId,
        partition: String(state.partition),
        from: state.from,
        to: String(state.expected),
      });
    }
    this.#taken = { epoch: this.#epoch, to };
    return { rows: builder.rows(), ranges, bytes: builder.bytes, lagRows };
  }

  /** Counts the taken rows as handed over; `false` when they must not be, because partitions were revoked or sought in between. The next batch begins to fill. */
  handOver(): boolean {
    const taken = this.#taken;
    this.#taken = undefined;
    this.#builder.reset();
    this.changed.notify();
    if (taken === undefined || taken.epoch !== this.#epoch) return false;
    for (const [partition, to] of taken.to) {
      const state = this.#partitions.get(partition);
      if (state === undefined) continue;
      state.handed = to;
      state.from = String(to);
    }
    return true;
  }

  #states(): PartitionState[] {
    return [...this.#partitions.values()].filter((state) => state !== undefined);
  }
}
