import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { FlowError } from "../../core/error.ts";
import type { CodecName } from "./compression.ts";
import { PayloadBuilder } from "./payload_builder.ts";
import { isRecordBatch, lastOffsetOf, RecordBatches } from "./record_batch.ts";
import { encodeBatch, encodeMarker, type TestBatch, type TestRecord } from "./test_batches.ts";

const ALL = { keys: true, headers: true };
const UNLIMITED = { maxRows: 1_000_000, maxBytes: 1 << 28 };

/** A row as the builder holds it, readable. */
interface Row {
  readonly offset: number;
  readonly micros: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: string | null;
}

function rowsOf(builder: PayloadBuilder): Row[] {
  const rows = builder.rows();
  const text = (bytes: Uint8Array, starts: Int32Array, ends: Int32Array, at: number) =>
    starts[at] === -1 ? null : Buffer.from(bytes.subarray(starts[at], ends[at])).toString();
  return Array.from({ length: rows.count }, (_, at) => ({
    offset: Number(rows.offsets[at]),
    micros: Number(rows.eventTimesMicros?.[at]),
    key: rows.keys === undefined ? null : text(
      rows.keys.bytes,
      rows.keys.starts,
      rows.keys.ends,
      at,
    ),
    value: text(rows.payload, rows.starts, rows.ends, at),
    headers: rows.headers?.[at] ?? null,
  }));
}

/** Reads everything, with a new builder whenever one is full. */
function readAll(set: RecordBatches, limits = UNLIMITED): { rows: Row[]; sizes: number[] } {
  const builder = new PayloadBuilder(limits, ALL);
  const rows: Row[] = [];
  const sizes: number[] = [];
  for (let done = false; !done;) {
    builder.reset();
    done = set.append(builder, 3);
    rows.push(...rowsOf(builder));
    sizes.push(builder.count);
    assert.ok(done || builder.full);
  }
  return { rows, sizes };
}

const record = fc.record({
  gap: fc.nat(3),
  timestampDelta: fc.oneof(
    fc.integer({ min: -10, max: 300 }),
    fc.integer({ min: -1e12, max: 1e12 }),
  ),
  key: fc.option(fc.string({ maxLength: 12, unit: "grapheme" })),
  value: fc.option(
    fc.oneof(fc.string({ maxLength: 200, unit: "grapheme" }), fc.constant("x".repeat(9_000))),
  ),
  headers: fc.dictionary(
    fc.string({ maxLength: 5, unit: "grapheme-ascii" }).filter((name) => name !== "__proto__"),
    fc.string({ maxLength: 8, unit: "grapheme" }),
    { maxKeys: 2, noNullPrototype: true },
  ),
});

const batches = fc.array(
  fc.record({
    codec: fc.constantFrom<CodecName>("none", "gzip", "snappy", "lz4", "zstd"),
    baseTimestamp: fc.integer({ min: 0, max: 4e12 }),
    trailingGap: fc.nat(2),
    records: fc.array(record, { maxLength: 20 }),
  }),
  { maxLength: 4 },
).map((described) => {
  // Offsets with gaps, as compaction leaves them.
  let offset = 1000;
  return described.map(({ records, trailingGap, ...batch }): TestBatch => {
    const baseOffset = offset;
    const withOffsets = records.map(({ gap, ...rest }): TestRecord => {
      const offsetDelta = offset + gap - baseOffset;
      offset += gap + 1;
      return { ...rest, offsetDelta };
    });
    const lastOffsetDelta = Math.max(0, offset + trailingGap - baseOffset - 1);
    offset = baseOffset + lastOffsetDelta + 1;
    return { ...batch, baseOffset, lastOffsetDelta, records: withOffsets };
  });
});

Deno.test("record batches: every record of kafkajs' encoder comes out as it went in", async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.nat(60), fc.integer({ min: 1, max: 30 }), fc.nat(3_000), async (
      made,
      skip,
      maxRows,
      maxBytes,
    ) => {
      const data = Buffer.concat(await Promise.all(made.map(encodeBatch)));
      const from = 1000 + skip;
      const expected = made.flatMap((batch) =>
        batch.records.map((one): Row => ({
          offset: batch.baseOffset + one.offsetDelta,
          micros: millisOf(batch.baseTimestamp + one.timestampDelta) * 1000,
          key: one.key,
          value: one.value,
          headers: Object.keys(one.headers ?? {}).length === 0 ? null : JSON.stringify(one.headers),
        }))
      ).filter(({ offset }) => offset >= from);
      const set = new RecordBatches(data, from, [], "orders");
      const { rows, sizes } = readAll(set, { maxRows, maxBytes });
      assert.deepEqual(rows.map(sorted), expected.map(sorted));
      assert.ok(sizes.every((size) => size <= maxRows));
      const last = made.at(-1);
      const end = last === undefined ? 0 : last.baseOffset + last.lastOffsetDelta + 1;
      assert.equal(set.position, Math.max(from, end));
      assert.equal(lastOffsetOf(data), last === undefined ? undefined : end - 1);
    }),
    { numRuns: 150 },
  );
});

/** A record without a time of its own gets the epoch. */
function millisOf(millis: number): number {
  return millis === -1 ? 0 : millis;
}

/** Objects put number-like names first, wherever they stood. */
function sorted(row: Row): Row {
  if (row.headers === null) return row;
  const entries = Object.entries(JSON.parse(row.headers)).sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...row, headers: JSON.stringify(entries) };
}

const simple = (baseOffset: number, values: readonly string[], more: Partial<TestBatch> = {}) =>
  encodeBatch({
    baseOffset,
    baseTimestamp: 1_000,
    lastOffsetDelta: values.length - 1,
    records: values.map((value, offsetDelta) => ({
      offsetDelta,
      timestampDelta: offsetDelta,
      key: null,
      value,
    })),
    ...more,
  });

Deno.test("record batches: payloads lie back to back with one byte between", async () => {
  const builder = new PayloadBuilder(UNLIMITED, { keys: false, headers: false });
  const data = Buffer.concat([await simple(0, ["a", "", "ccc"]), await simple(3, ["dd"])]);
  assert.equal(new RecordBatches(data, 0, [], "t").append(builder, 0), true);
  const { starts, ends, keys, headers } = builder.rows();
  assert.deepEqual([...starts], [0, 2, 3, 7]);
  assert.deepEqual([...ends], [1, 2, 6, 9]);
  assert.equal(builder.bytes, 6);
  assert.equal(keys, undefined);
  assert.equal(headers, undefined);
});

Deno.test("record batches: the cut end of a fetch is left for the next one", async () => {
  const first = await simple(10, ["a", "b"]);
  const second = await simple(12, ["c"]);
  for (let cut = 0; cut < second.length; cut += 1) {
    const data = Buffer.concat([first, second.subarray(0, cut)]);
    const set = new RecordBatches(data, 10, [], "t");
    assert.deepEqual(readAll(set).rows.map(({ value }) => value), ["a", "b"]);
    assert.equal(set.position, 12);
    assert.equal(lastOffsetOf(data), 11);
  }
});

Deno.test("record batches: the broker's own time, and no time", async () => {
  const appended = await simple(0, ["a", "b"], { attributes: 0x08, maxTimestamp: 77_000 });
  const timeless = await simple(2, ["c"], { baseTimestamp: -1, maxTimestamp: -1 });
  const { rows } = readAll(new RecordBatches(Buffer.concat([appended, timeless]), 0, [], "t"));
  assert.deepEqual(rows.map(({ micros }) => micros), [77_000_000, 77_000_000, 0]);
});

Deno.test("record batches: times beyond the engine's become its last and first moment", async () => {
  const late = await simple(0, ["a"], { baseTimestamp: 9_007_199_254_740_000 });
  const later = await simple(1, ["b"], { baseTimestamp: 2 ** 62 });
  const early = await simple(2, ["c"], { baseTimestamp: -(2 ** 62) });
  const builder = new PayloadBuilder(UNLIMITED, ALL);
  new RecordBatches(Buffer.concat([late, later, early]), 0, [], "t").append(builder, 0);
  assert.deepEqual([...builder.rows().eventTimesMicros ?? []], [
    9_007_199_254_740_000_000n,
    9_223_372_036_854_775_806n,
    -9_223_372_022_400_000_000n,
  ]);
});

Deno.test("record batches: aborted transactions and markers are passed over", async () => {
  const inTransaction = (producerId: number) => ({ transactional: true, producerId });
  const data = Buffer.concat([
    await simple(0, ["aborted by 7"], inTransaction(7)),
    await simple(1, ["committed by 8"], inTransaction(8)),
    await simple(2, ["outside, by 7"], { producerId: 7 }),
    await encodeMarker(3, 7, "abort"),
    await encodeMarker(4, 8, "commit"),
    await simple(5, ["committed by 7"], inTransaction(7)),
    await encodeMarker(6, 7, "commit"),
    await simple(7, ["aborted by 8"], inTransaction(8)),
    await encodeMarker(8, 8, "abort"),
  ]);
  const aborted = [{ producerId: 8n, firstOffset: 7 }, { producerId: 7n, firstOffset: 0 }];
  const set = new RecordBatches(data, 0, aborted, "t");
  assert.deepEqual(readAll(set).rows.map(({ value }) => value), [
    "committed by 8",
    "outside, by 7",
    "committed by 7",
  ]);
  assert.equal(set.position, 9);
});

Deno.test("record batches: headers of one name become a list", async () => {
  const data = await simple(0, ["a"], {
    records: [{
      offsetDelta: 0,
      timestampDelta: 0,
      key: "k",
      value: "v",
      headers: { trace: ["1", "2"], 'q"': "ü" },
    }],
  });
  const [row] = readAll(new RecordBatches(data, 0, [], "t")).rows;
  assert.deepEqual(JSON.parse(row?.headers ?? ""), { trace: ["1", "2"], 'q"': "ü" });
});

Deno.test("record batches: a damaged batch is an error that names its place, or read, never more", async () => {
  const data = await simple(40, ["aaaa", "bbbb", "cccc"]);
  fc.assert(fc.property(fc.integer({ min: 61, max: data.length - 1 }), fc.nat(255), (at, value) => {
    const damaged = Buffer.from(data);
    damaged[at] = value;
    try {
      readAll(new RecordBatches(damaged, 40, [], "orders"));
    } catch (error) {
      assert.ok(error instanceof FlowError);
      assert.equal(error.code, "kafka_batch_corrupt");
      assert.match(error.message, /'orders' partition 3: .* offset 40/);
    }
  }));
  const compressed = await simple(40, ["aaaa"], { codec: "zstd" });
  compressed.fill(1, 61);
  assert.throws(() => readAll(new RecordBatches(compressed, 40, [], "orders")), FlowError);
});

Deno.test("record batches: told from the old message sets", async () => {
  assert.equal(isRecordBatch(await simple(0, ["a"])), true);
  assert.equal(isRecordBatch(new Uint8Array(40)), false);
  assert.equal(isRecordBatch(new Uint8Array(0)), false);
});
