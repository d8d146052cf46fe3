import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Batch } from "kafkajs";
import KafkaBatch from "kafkajs/src/consumer/batch.js";
import Encoder from "kafkajs/src/protocol/encoder.js";
import encodeMessageSet from "kafkajs/src/protocol/messageSet/index.js";
import { decodeResponse, fetchedOf } from "./fetch_response.ts";
import { PayloadBuilder } from "./payload_builder.ts";
import { encodeBatch } from "./test_batches.ts";

/** One partition of a response. */
interface Part {
  readonly partition: number;
  readonly end: number;
  readonly records: Uint8Array;
}

function encodeResponse(version: number, parts: readonly Part[]): Buffer {
  const response = new Encoder().writeInt32(0);
  if (version >= 7) response.writeInt16(0).writeInt32(0);
  const partitions = parts.map(({ partition, end, records }) => {
    const part = new Encoder().writeInt32(partition).writeInt16(0).writeInt64(end).writeInt64(end);
    if (version >= 5) part.writeInt64(0);
    part.writeArray([new Encoder().writeInt64(5).writeInt64(2)]);
    if (version >= 11) part.writeInt32(-1);
    return part.writeInt32(records.length).writeBuffer(Buffer.from(records));
  });
  return response.writeArray([new Encoder().writeString("orders").writeArray(partitions)]).buffer;
}

const asking = (...offsets: readonly number[]) => ({
  topics: [{
    topic: "orders",
    partitions: offsets.map((fetchOffset, partition) => ({ partition, fetchOffset })),
  }],
});

/** The batches as kafkajs gives them to `eachBatch`. */
async function batchesOf(version: number, parts: readonly Part[], offsets: readonly number[]) {
  const data = await decodeResponse(encodeResponse(version, parts), version, asking(...offsets));
  return data.responses.flatMap(({ topicName, partitions }) =>
    partitions.map((part, at): Batch => new KafkaBatch(topicName, String(offsets[at]), part))
  );
}

function valuesOf(batch: Batch): string[] {
  const builder = new PayloadBuilder({ maxRows: 1000, maxBytes: 1 << 20 }, {
    keys: true,
    headers: true,
  });
  fetchedOf(batch)?.records?.append(builder, batch.partition);
  const { payload, starts, ends, count } = builder.rows();
  return Array.from(
    { length: count },
    (_, at) => Buffer.from(payload.subarray(starts[at], ends[at])).toString(),
  );
}

const batch = (baseOffset: number, values: readonly string[]) =>
  encodeBatch({
    baseOffset,
    baseTimestamp: 1,
    lastOffsetDelta: values.length - 1,
    records: values.map((value, offsetDelta) => ({
      offsetDelta,
      timestampDelta: 0,
      key: null,
      value,
    })),
  });

for (const version of [4, 5, 6, 7, 10, 11]) {
  Deno.test(`fetch response, version ${version}: record sets stay bytes behind one stand-in each`, async () => {
    const first = Buffer.concat([await batch(10, ["a", "b"]), await batch(12, ["c"])]);
    const batches = await batchesOf(
      version,
      [{ partition: 0, end: 20, records: first }, {
        partition: 1,
        end: 7,
        records: new Uint8Array(),
      }],
      [11, 7],
    );
    const [zero, one] = batches as [Batch, Batch];
    assert.equal(zero.messages.length, 1);
    assert.equal(zero.highWatermark, "20");
    assert.equal(zero.lastOffset(), "12");
    assert.deepEqual(valuesOf(zero), ["b", "c"]);
    assert.deepEqual([fetchedOf(zero)?.from, fetchedOf(zero)?.lastOffset], [11, "12"]);
    assert.equal(one.isEmpty(), true);
    assert.equal(fetchedOf(one), undefined);
  });
}

Deno.test("fetch response: nothing up to the end is told, when nothing else could have crowded it out", async () => {
  const nothing = new Uint8Array();
  const [hole, atEnd] = await batchesOf(11, [
    { partition: 0, end: 20, records: nothing },
    { partition: 1, end: 7, records: nothing },
  ], [15, 7]) as [Batch, Batch];
  assert.deepEqual(fetchedOf(hole), {
    from: 15,
    records: undefined,
    lastOffset: "15",
    highWatermark: 20,
  });
  assert.equal(fetchedOf(atEnd), undefined);
  const [crowdedOut] = await batchesOf(11, [
    { partition: 0, end: 20, records: nothing },
    { partition: 1, end: 7, records: await batch(3, ["a"]) },
  ], [15, 3]) as [Batch];
  assert.equal(fetchedOf(crowdedOut), undefined);
});

for (const messageVersion of [0, 1]) {
  Deno.test(`fetch response: message sets of format ${messageVersion}`, async () => {
    const { buffer } = encodeMessageSet({
      messageVersion,
      compression: 0,
      entries: [
        { key: "k", value: "a", timestamp: 5 },
        { key: null, value: "b", timestamp: 6 },
        { key: null, value: "c", timestamp: 7 },
      ],
    });
    const records = Buffer.from(buffer);
    for (let at = 0, offset = 40n; at < records.length; offset += 1n) {
      records.writeBigInt64BE(offset, at);
      at += 12 + records.readInt32BE(at + 8);
    }
    const [set] = await batchesOf(4, [{ partition: 0, end: 43, records }], [41]) as [Batch];
    assert.deepEqual(valuesOf(set), ["b", "c"]);
    assert.equal(fetchedOf(set)?.lastOffset, "42");
  });
}
