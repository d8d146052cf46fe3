import type {
  OffsetMove,
  OffsetRange,
  PartitionRef,
  Position,
  StoredOffset,
} from "../core/offset.ts";
import { partitionKey } from "../core/offset.ts";
import { FlowError } from "../core/error.ts";
import { positionOffset } from "../core/source.ts";

/** How a range of a batch lies to what has been planned for its partition. */
export type RangeFit =
  /** It goes on exactly where the last one ended, or is the first one. */
  | { readonly fit: "next" }
  /** All of it has been read before. */
  | { readonly fit: "behind" }
  /** It begins before the planned position and ends after it: rows below `keepFrom` are to be dropped. */
  | { readonly fit: "overlaps"; readonly keepFrom: bigint }
  /** Rows between the planned position and its start were never seen: it is dropped and the source sought back. */
  | { readonly fit: "gap"; readonly seekTo: Position };

/**
 * Keeps, for every partition, the position that each target has stored and the position that is planned once all batches under way are
 * committed. It is what makes `committed offset <= durable data` hold: every batch has to fit onto the plan, and every commit moves a
 * target from what it had stored.
 */
export class OffsetLedger {
  readonly #planned = new Map<string, Position>();
  /** Per target: partition key -> position. */
  readonly #stored: Map<string, Position>[];
  readonly #refs = new Map<string, PartitionRef>();
  /** Where the first planned range began, for partitions that no target has stored. */
  readonly #begun = new Map<string, Position | null>();

  /** @param targets how many targets keep offsets of their own. */
  constructor(targets: number) {
    this.#stored = Array.from({ length: targets }, () => new Map());
  }

  /** Takes over what target `target` has stored, read afresh; forgets what was known of it before. */
  load(target: number, offsets: readonly StoredOffset[]): void {
    const stored = this.#storedOf(target);
    stored.clear();
    for (const offset of offsets) {
      const key = partitionKey(offset);
      stored.set(key, offset.position);
      this.#refs.set(key, offset);
    }
  }

  /**
   * Where reading of the partitions has to go on: the lowest position among the targets that have one. Partitions that no target knows have
   * no entry. The plan of these partitions is set to the result.
   */
  resume(partitions: readonly PartitionRef[]): StoredOffset[] {
    const resumed: StoredOffset[] = [];
    for (const ref of partitions) {
      const key = partitionKey(ref);
      this.#refs.set(key, ref);
      const lowest = this.#lowest(key);
      this.#begun.delete(key);
      if (lowest === undefined) {
        this.#planned.delete(key);
      } else {
        this.#planned.set(key, lowest);
        resumed.push({ sourceId: ref.sourceId, partition: ref.partition, position: lowest });
      }
    }
    return resumed;
  }

  /** Where the rows begin of which nothing is committed, per partition; `null` where the source began by its own rule. */
  uncommitted(): ReadonlyMap<string, Position | null> {
    const starts = new Map<string, Position | null>();
    for (const key of this.#refs.keys()) {
      const start = this.#lowest(key) ?? this.#begun.get(key);
      if (start !== undefined) starts.set(key, start);
    }
    return starts;
  }

  /**
   * Where every partition goes on after its plan was thrown away and the stored positions were read afresh, as after {@link resume}. A partition
   * that no target knows (any more) goes on at its start in `uncommitted`, or its rows would be lost.
   *
   * @returns `undefined` when that is not known for one of them
   */
  restart(uncommitted: ReadonlyMap<string, Position | null>): StoredOffset[] | undefined {
    const refs = [...this.#refs.values()];
    const offsets = this.resume(refs);
    const known = new Set(offsets.map(partitionKey));
    for (const { sourceId, partition } of refs) {
      const key = partitionKey({ sourceId, partition });
      if (known.has(key)) continue;
      const position = uncommitted.get(key);
      if (position === null) return undefined;
      if (position === undefined) continue;
      this.#planned.set(key, position);
      offsets.push({ sourceId, partition, position });
    }
    return offsets;
  }

  /** How the range lies to the plan. */
  fit(range: OffsetRange): RangeFit {
    const planned = this.#planned.get(partitionKey(range));
    if (planned === undefined || range.from === planned) return { fit: "next" };
    const at = positionOffset(planned);
    // Without a start the source followed its own rule, so it cannot have known of the plan.
    const from = range.from === null ? 0n : positionOffset(range.from);
    if (from > at) return { fit: "gap", seekTo: planned };
    if (from === at) return { fit: "next" };
    return positionOffset(range.to) <= at ? { fit: "behind" } : { fit: "overlaps", keepFrom: at };
  }

  /** Plans the ranges of a batch that fits. */
  plan(ranges: readonly OffsetRange[]): void {
    for (const range of ranges) {
      const key = partitionKey(range);
      if (!this.#begun.has(key)) this.#begun.set(key, range.from);
      this.#planned.set(key, range.to);
      this.#refs.set(key, range);
    }
  }

  /**
   * Positions of other targets that lie inside the range: where a batch has to be split so that every target has either all of a
   * piece or nothing. Ascending; empty in the normal case that all targets are at the same position.
   */
  boundaries(range: OffsetRange): bigint[] {
    if (this.#stored.length < 2) return [];
    const key = partitionKey(range);
    const from = range.from === null ? 0n : positionOffset(range.from);
    const to = positionOffset(range.to);
    const inside = new Set<bigint>();
    for (const stored of this.#stored) {
      const position = stored.get(key);
      if (position === undefined) continue;
      const at = positionOffset(position);
      if (at > from && at < to) inside.add(at);
    }
    return [...inside].sort((a, b) => (a < b ? -1 : 1));
  }

  /** True when the targets are not all at the same position in one of the ranges' partitions. */
  targetsDiffer(ranges: readonly OffsetRange[]): boolean {
    if (this.#stored.length < 2) return false;
    return ranges.some((range) => {
      const key = partitionKey(range);
      return new Set(this.#stored.map((stored) => stored.get(key))).size > 1;
    });
  }

  /** True when target `target` already has all of the ranges. */
  has(target: number, ranges: readonly OffsetRange[]): boolean {
    const stored = this.#storedOf(target);
    return ranges.length > 0 && ranges.every((range) => {
      const position = stored.get(partitionKey(range));
      return position !== undefined && positionOffset(position) >= positionOffset(range.to) &&
        position !== range.from;
    });
  }

  /**
   * The compare-and-set moves that commit the ranges on target `target`.
   *
   * @throws FlowError `offset_gap` (internal) when a range does not begin where the target stands: committing it would skip rows, or write
   * some twice
   */
  moves(target: number, ranges: readonly OffsetRange[]): OffsetMove[] {
    const stored = this.#storedOf(target);
    return ranges.map((range) => {
      const { sourceId, partition, from, to } = range;
      const expected = stored.get(partitionKey(range)) ?? null;
      if (
        expected !== null && expected !== from &&
        positionOffset(expected) !== (from === null ? 0n : positionOffset(from))
      ) {
        throw new FlowError(
          `rows from ${from} to ${to} of partition ${partition} of ${sourceId} were to be committed, but the target stands at ${expected}`,
          {
            code: "offset_gap",
            domain: "internal",
            hint: "nothing was written; start again, and report it",
            details: { sourceId, partition },
          },
        );
      }
      return { sourceId, partition, expected, to };
    });
  }

  /** Records that the ranges are committed on target `target`. */
  committed(target: number, ranges: readonly OffsetRange[]): void {
    const stored = this.#storedOf(target);
    for (const range of ranges) stored.set(partitionKey(range), range.to);
  }

  #lowest(key: string): Position | undefined {
    let lowest: Position | undefined;
    for (const stored of this.#stored) {
      const position = stored.get(key);
      if (position === undefined) continue;
      if (lowest === undefined || positionOffset(position) < positionOffset(lowest)) {
        lowest = position;
      }
    }
    return lowest;
  }

  #storedOf(target: number): Map<string, Position> {
    const stored = this.#stored[target];
    if (stored === undefined) throw new RangeError(`no target ${target} in the ledger`);
    return stored;
  }
}
