import assert from "node:assert/strict";
import { systemClock } from "../../core/clock.ts";
import { Intake } from "./intake.ts";
import type { PayloadBuilder } from "./payload_builder.ts";
import type { RecordSet } from "./record_batch.ts";

/** Rows of one byte with offsets from `position` to `end`. */
class OneByteRows implements RecordSet {
  position: number;
  readonly #end: number;

  constructor(from: number, end: number) {
    this.position = from;
    this.#end = end;
  }

  append(builder: PayloadBuilder, partition: number): boolean {
    while (this.position < this.#end) {
      if (!builder.fits(1) || !builder.reserveRow()) return false;
      builder.reservePayload(2);
      builder.starts[builder.count] = builder.payloadEnd;
      builder.ends[builder.count] = builder.payloadEnd + 1;
      builder.payload[builder.payloadEnd] = this.position;
      builder.payloadEnd += 2;
      builder.setPosition(partition, this.position);
      builder.setTime(0);
      builder.count += 1;
      builder.bytes += 1;
      this.position += 1;
    }
    return true;
  }
}

const NOTHING_WANTED = { keys: false, headers: false };

function intakeOf(maxRows = 100): Intake {
  return new Intake("orders", systemClock, { maxRows, maxBytes: 1 << 20 }, NOTHING_WANTED);
}

const start = (partition: number, offset: number, stored: string | null = null) => ({
  partition,
  offset,
  stored,
  highWatermark: 1000,
});

const range = (partition: string, from: string | null, to: string) => ({
  sourceId: "orders",
  partition,
  from,
  to,
});

Deno.test("intake: ranges go on where the last one ended, from what the target stores", () => {
  const intake = intakeOf();
  assert.deepEqual(intake.assign([0, 1], false), { unknown: [0, 1], seeks: [] });
  assert.deepEqual(intake.start([start(0, 10, "10"), start(1, 0)]), [
    { partition: 0, offset: 10 },
    { partition: 1, offset: 0 },
  ]);
  assert.equal(intake.append(new OneByteRows(10, 15), 0), true);
  assert.equal(intake.append(new OneByteRows(0, 3), 1), true);
  const taken = intake.take();
  assert.deepEqual(taken.ranges, [range("0", "10", "15"), range("1", null, "3")]);
  assert.equal(taken.rows.count, 8);
  assert.equal(taken.lagRows, 985 + 997);
  assert.equal(intake.handOver(), true);
  intake.append(new OneByteRows(3, 4), 1);
  assert.deepEqual(intake.take().ranges, [range("1", "3", "4")]);
});

Deno.test("intake: a set that does not fit is gone on with in the next batch", () => {
  const intake = intakeOf(4);
  intake.assign([0], false);
  intake.start([start(0, 0)]);
  const rows = new OneByteRows(0, 6);
  assert.equal(intake.append(rows, 0), false);
  assert.equal(intake.full, true);
  assert.deepEqual(intake.take().ranges, [range("0", null, "4")]);
  assert.equal(intake.full, true, "nothing comes in while the rows are being handed over");
  assert.equal(intake.handOver(), true);
  assert.equal(intake.full, false);
  assert.equal(intake.append(rows, 0), true);
  assert.deepEqual(intake.take().ranges, [range("0", "4", "6")]);
});

Deno.test("intake: nothing of a partition comes in before its start is known, or after it was revoked", () => {
  const intake = intakeOf();
  intake.assign([0], false);
  assert.equal(intake.expected(0), undefined);
  intake.append(new OneByteRows(0, 5), 0);
  assert.equal(intake.take().rows.count, 0);
  intake.handOver();
  intake.start([start(0, 7), start(1, 3)]);
  assert.equal(intake.expected(0), 7);
  assert.equal(intake.expected(1), undefined);
  intake.append(new OneByteRows(7, 9), 0);
  intake.assign([1], true);
  assert.equal(intake.take().rows.count, 0);
  assert.equal(intake.expected(0), undefined);
});

Deno.test("intake: what waits is fetched again after a rebalance; partitions that stay keep what was handed over", () => {
  const intake = intakeOf();
  intake.assign([0, 1], false);
  intake.start([start(0, 0), start(1, 0)]);
  intake.append(new OneByteRows(0, 5), 0);
  intake.take();
  assert.equal(intake.handOver(), true);
  intake.append(new OneByteRows(5, 8), 0);
  assert.deepEqual(intake.assign([0, 2], true), {
    unknown: [2],
    seeks: [{ partition: 0, offset: 5 }],
  });
  assert.equal(intake.take().rows.count, 0);
});

Deno.test("intake: taken rows are not handed over when the assignment changed under them", () => {
  const intake = intakeOf();
  intake.assign([0], false);
  intake.start([start(0, 0)]);
  intake.append(new OneByteRows(0, 5), 0);
  const { rows } = intake.take();
  assert.deepEqual(intake.assign([0], true).seeks, [{ partition: 0, offset: 0 }]);
  assert.equal(intake.full, true);
  assert.deepEqual([...rows.offsets], [0n, 1n, 2n, 3n, 4n], "the rows stay readable");
  assert.equal(intake.handOver(), false);
  assert.equal(intake.full, false);
  intake.append(new OneByteRows(0, 2), 0);
  assert.deepEqual([...intake.take().rows.offsets], [0n, 1n]);
});

Deno.test("intake: rows are kept while the arrays grow", () => {
  const rows = 200_000;
  const intake = intakeOf(2 * rows);
  intake.assign([0], false);
  intake.start([start(0, 0)]);
  intake.append(new OneByteRows(0, rows), 0);
  const taken = intake.take().rows;
  assert.equal(taken.count, rows);
  const isKept = (_: unknown, row: number) =>
    taken.offsets[row] === BigInt(row) && taken.starts[row] === 2 * row &&
    taken.payload[2 * row] === row % 256;
  assert.ok(Array.from({ length: rows }).every(isKept));
});

Deno.test("intake: a seek drops what waits and sets where the next range starts", () => {
  const intake = intakeOf();
  intake.assign([0, 1], false);
  intake.start([start(0, 0)]);
  intake.append(new OneByteRows(0, 5), 0);
  const seeks = intake.seek([
    { partition: 0, position: "3" },
    { partition: 1, position: "8" },
    { partition: 9, position: "1" },
  ]);
  assert.deepEqual(seeks, [{ partition: 0, offset: 3 }]);
  // The start of partition 1 was being found out; what was asked for meanwhile wins.
  assert.deepEqual(intake.start([start(1, 0)]), [{ partition: 1, offset: 8 }]);
  intake.append(new OneByteRows(3, 4), 0);
  assert.deepEqual(intake.take().ranges, [range("0", "3", "4")]);
});

Deno.test("intake: the end is reached when every partition is there, or has nothing up to there", () => {
  const intake = intakeOf();
  const ends = new Map([[0, 5], [1, 9], [2, 0]]);
  assert.equal(intake.hasReached(ends), false);
  intake.assign([0, 1, 2], false);
  assert.equal(intake.hasReached(ends), false);
  intake.start([start(0, 0), start(1, 7), start(2, 0)]);
  assert.equal(intake.hasReached(ends), false);
  intake.append(new OneByteRows(0, 5), 0);
  assert.equal(intake.hasReached(ends), false);
  intake.sawHole(1);
  assert.equal(intake.hasReached(ends), true);
  intake.unassign();
  assert.equal(intake.hasReached(ends), false);
});
