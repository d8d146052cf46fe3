import assert from "node:assert/strict";
import { CompressionTypes } from "kafkajs";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import { BROKERS, idsOf, KafkaRig, numbered, upTo } from "./test_rig.ts";

const ignore = BROKERS === undefined;

function kafkaTest(name: string, run: (rig: KafkaRig) => Promise<void>): void {
  Deno.test({
    name: `kafka source: ${name}`,
    ignore,
    async fn() {
      await using rig = await KafkaRig.create();
      await run(rig);
    },
  });
}

kafkaTest("every compression, keys, headers, times and tombstones", async (rig) => {
  const topic = await rig.createTopic(2);
  const codecs = [
    CompressionTypes.None,
    CompressionTypes.GZIP,
    CompressionTypes.Snappy,
    CompressionTypes.LZ4,
    CompressionTypes.ZSTD,
  ];
  for (const [at, codec] of codecs.entries()) {
    await rig.produce(
      topic,
      numbered(200, at * 200).map((one) => ({
        ...one,
        partition: at % 2,
        timestamp: String(1_700_000_000_000 + at),
        headers: { codec: String(codec) },
      })),
      codec,
    );
  }
  await rig.produce(topic, [{ key: "gone", value: null, partition: 1 }]);
  const wantedMetadata = new Set(["_key", "_headers"] as const);
  const source = await rig.open(topic, {}, { wantedMetadata });
  const { rows } = await rig.readAll(source);
  const tombstones = rows.filter(({ _payload }) => _payload === null);
  assert.deepEqual(tombstones.map(({ _key, _partition }) => [_key, _partition]), [["gone", 1]]);
  const messages = rows.filter(({ _payload }) => _payload !== null);
  assert.deepEqual(idsOf(messages), upTo(1000));
  for (const { _payload, _key, _headers, event_us, _partition } of messages) {
    const { id } = JSON.parse(_payload ?? "");
    const at = Math.floor(id / 200);
    assert.equal(_key, String(id));
    assert.deepEqual(JSON.parse(_headers ?? ""), { codec: String(codecs[at]) });
    assert.equal(event_us, BigInt(1_700_000_000_000 + at) * 1000n);
    assert.equal(_partition, at % 2);
  }
});

kafkaTest("batches keep to their limits and cover every offset once", async (rig) => {
  const topic = await rig.createTopic(3);
  await rig.produce(topic, numbered(5_000), CompressionTypes.ZSTD);
  const source = await rig.open(topic, {}, { maxBatchRows: 700 });
  const next = new Map<string, string | null>();
  let rows = 0;
  for await (const batch of source.read(AbortSignal.timeout(60_000))) {
    if (batch === undefined) continue;
    assert.ok(batch.rows <= 700);
    for (const { partition, from, to } of batch.ranges) {
      assert.equal(from, next.get(partition) ?? null);
      next.set(partition, to);
    }
    rows += (await rig.rowsOf(batch)).length;
    if (rows === 5_000) assert.equal(batch.lagRows, 0);
  }
  assert.equal(rows, 5_000);
});

kafkaTest("an empty topic ends at once, raw bytes stay bytes", async (rig) => {
  const topic = await rig.createTopic(2);
  assert.deepEqual((await rig.readAll(await rig.open(topic))).rows, []);
  const bytes = await rig.createTopic(1);
  await rig.produce(bytes, [{ value: "\u0000 no json" }]);
  const source = await rig.open(bytes, { payload_format: "raw_bytes" });
  const { rows } = await rig.readAll(source);
  const payload = rows[0]?._payload as unknown as Uint8Array;
  assert.equal(new TextDecoder().decode(payload), "\u0000 no json");
});

kafkaTest("resumes where the target says, else where the group was acknowledged", async (rig) => {
  const topic = await rig.createTopic(1);
  await rig.produce(topic, numbered(10));
  const stored = [{ sourceId: topic, partition: "0", position: "7" }];
  const fromTarget = await rig.open(topic, {}, { storedPositions: () => Promise.resolve(stored) });
  const batch = await rig.nextBatch(
    fromTarget.read(AbortSignal.timeout(60_000))[Symbol.asyncIterator](),
  );
  assert.deepEqual(batch.ranges, [{ sourceId: topic, partition: "0", from: "7", to: "10" }]);
  assert.deepEqual(idsOf(await rig.rowsOf(batch)), [7, 8, 9]);
  await fromTarget.acknowledge([{ sourceId: topic, partition: "0", position: "9" }]);
  await fromTarget.close();
  const fromGroup = await rig.open(topic);
  assert.deepEqual(idsOf((await rig.readAll(fromGroup)).rows), [9]);
  await fromGroup.close();
  // A topic that is read twice in one pipeline is read whole by both.
  const second = await rig.open(topic, {}, {}, `${topic}#2`);
  assert.deepEqual(idsOf((await rig.readAll(second)).rows), upTo(10));
});

kafkaTest("latest starts at the end, and what comes then is read", async (rig) => {
  const topic = await rig.createTopic(1);
  await rig.produce(topic, numbered(10));
  const source = await rig.open(topic, { auto_offset_reset: "latest" }, { untilEnd: false });
  const batches = source.read(AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
  assert.equal((await batches.next()).value, undefined);
  while ((await groupMembers(rig, `p-${topic}`)) === 0) await batches.next();
  // The start is found out right after joining; nothing may be skipped from there on.
  await batches.next();
  await rig.produce(topic, numbered(3, 10));
  const rows = await rig.rowsOf(await rig.nextBatch(batches));
  assert.deepEqual(idsOf(rows), [10, 11, 12]);
});

async function groupMembers(rig: KafkaRig, group: string): Promise<number> {
  const { groups } = await rig.admin((admin) => admin.describeGroups([group]));
  return groups[0]?.members.length ?? 0;
}

kafkaTest("a seek drops what waits and goes on there", async (rig) => {
  const topic = await rig.createTopic(1);
  await rig.produce(topic, numbered(50));
  const source = await rig.open(topic, {}, { maxBatchRows: 10, untilEnd: false });
  const batches = source.read(AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
  assert.deepEqual(idsOf(await rig.rowsOf(await rig.nextBatch(batches))), upTo(10));
  await source.seek([{ sourceId: topic, partition: "0", position: "33" }]);
  const batch = await rig.nextBatch(batches);
  assert.deepEqual(batch.ranges, [{ sourceId: topic, partition: "0", from: "33", to: "43" }]);
  assert.deepEqual(idsOf(await rig.rowsOf(batch)), upTo(43).slice(33));
});

kafkaTest("aborted transactions are not seen, and markers do not hold up the end", async (rig) => {
  const topic = await rig.createTopic(1);
  const producer = rig.producer(topic);
  await producer.connect();
  for (const [first, keep] of [[0, true], [100, false], [10, true], [200, false]] as const) {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: numbered(10, first) });
    await (keep ? transaction.commit() : transaction.abort());
  }
  await producer.disconnect();
  const { rows, positions } = await rig.readAll(await rig.open(topic));
  assert.deepEqual(idsOf(rows), upTo(20));
  assert.equal(positions[0]?.position, "44");
});

kafkaTest("a slow reader keeps its membership and gets everything", async (rig) => {
  const topic = await rig.createTopic(1);
  await rig.produce(topic, numbered(4_000));
  let asked = 0;
  const source = await rig.open(topic, { session_timeout_ms: 1_500 }, {
    maxBatchRows: 1_000,
    storedPositions: () => {
      asked += 1;
      return Promise.resolve([]);
    },
  });
  const ids: number[] = [];
  const started = performance.now();
  for await (const batch of source.read(AbortSignal.timeout(60_000))) {
    if (batch === undefined) continue;
    ids.push(...idsOf(await rig.rowsOf(batch)));
    // Holds the first batch for two session timeouts, as a slow target would.
    while (performance.now() - started < 3_000) {
      assert.equal(await groupMembers(rig, `p-${topic}`), 1);
    }
  }
  assert.deepEqual(ids, upTo(4_000));
  assert.equal(asked, 1);
});

/** A target that keeps offsets and refuses whatever does not go on exactly where it is. */
class FencingTarget {
  readonly ids: number[] = [];
  readonly #offsets = new Map<string, string>();

  stored(sourceId: string): StoredOffset[] {
    return [...this.#offsets].map(([partition, position]) => ({ sourceId, partition, position }));
  }

  /** @returns false when the ranges do not fit: nothing is taken then */
  commit(
    ranges: readonly { partition: string; from: string | null; to: string }[],
    ids: number[],
  ): boolean {
    if (ranges.some(({ partition, from }) => (this.#offsets.get(partition) ?? null) !== from)) {
      return false;
    }
    for (const { partition, to } of ranges) this.#offsets.set(partition, to);
    this.ids.push(...ids);
    return true;
  }
}

kafkaTest("members come and go: nothing is lost, nothing doubled", async (rig) => {
  const topic = await rig.createTopic(4);
  const target = new FencingTarget();
  const consume = async (signal: AbortSignal, onRows: (rows: number) => void = () => {}) => {
    const source = await rig.open(topic, {}, {
      untilEnd: false,
      maxBatchRows: 100,
      maxBatchWaitMs: 20,
      storedPositions: () => Promise.resolve(target.stored(topic)),
    });
    for await (const batch of source.read(signal)) {
      if (batch === undefined) continue;
      const ids = idsOf(await rig.rowsOf(batch));
      if (target.commit(batch.ranges, ids)) onRows(batch.rows);
      else await source.seek(target.stored(topic));
      await source.acknowledge(target.stored(topic));
    }
    await source.close();
  };
  const deadline = AbortSignal.timeout(60_000);
  const over = new AbortController();
  const steady = consume(AbortSignal.any([over.signal, deadline]));
  let sent = 0;
  const send = async () => {
    await rig.produce(topic, numbered(500, sent));
    sent += 500;
  };
  for (let round = 0; round < 2; round += 1) {
    const leave = new AbortController();
    let passingRows = 0;
    const passing = consume(AbortSignal.any([leave.signal, deadline]), (rows) => {
      passingRows += rows;
    });
    while (passingRows < 300 && !deadline.aborted) await send();
    leave.abort();
    await send();
    await passing;
    await send();
  }
  while (target.ids.length < sent && !deadline.aborted) await groupMembers(rig, `p-${topic}`);
  over.abort();
  await steady;
  assert.deepEqual(target.ids.sort((a, b) => a - b), upTo(sent));
});

kafkaTest("sources of one group that read different topics share it", async (rig) => {
  const [orders, payments] = [await rig.createTopic(2), await rig.createTopic(2)] as const;
  await rig.produce(orders, numbered(100));
  await rig.produce(payments, numbered(50));
  const group = { group_id: rig.newName() };
  const open = (topic: string) => rig.open(topic, group);
  const sources = await Promise.all([open(orders), open(payments)]);
  const [a, b] = await Promise.all(sources.map((source) => rig.readAll(source)));
  assert.deepEqual(idsOf(a?.rows ?? []), upTo(100));
  assert.deepEqual(idsOf(b?.rows ?? []), upTo(50));
});

kafkaTest("a position that retention has removed is an error, or a notice by rule", async (rig) => {
  const topic = await rig.createTopic(1);
  await rig.produce(topic, numbered(20));
  await rig.removeBelow(topic, 15);
  const storedPositions = () =>
    Promise.resolve([{ sourceId: topic, partition: "0", position: "4" }]);
  const refusing = await rig.open(topic, {}, { storedPositions });
  await assert.rejects(rig.readAll(refusing), (error) => {
    assert.ok(error instanceof FlowError);
    assert.equal(error.code, "kafka_offset_out_of_range");
    assert.match(error.message, /partition 0 at offset 4: .*15 to 20/);
    return true;
  });
  await refusing.close();
  const going = await rig.open(topic, { auto_offset_reset: "earliest" }, { storedPositions });
  const batches = going.read(AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
  const batch = await rig.nextBatch(batches);
  assert.deepEqual(batch.ranges, [{ sourceId: topic, partition: "0", from: "4", to: "20" }]);
  assert.deepEqual(idsOf(await rig.rowsOf(batch)), [15, 16, 17, 18, 19]);
  assert.ok(rig.notices.some((notice) => notice.includes("records 4 to 14 are lost")));
});

kafkaTest("a position that gets lost while reading is never reset silently", async (rig) => {
  const topic = await rig.createTopic(1);
  await rig.produce(topic, numbered(20));
  const source = await rig.open(topic, {}, { untilEnd: false });
  const batches = source.read(AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
  await rig.rowsOf(await rig.nextBatch(batches));
  await rig.removeBelow(topic, 15);
  await source.seek([{ sourceId: topic, partition: "0", position: "4" }]);
  await assert.rejects(
    rig.nextBatch(batches),
    (error) => error instanceof FlowError && error.code === "kafka_offset_out_of_range",
  );
});

kafkaTest(
  "a topic that is not there is an error at once when the end is asked for",
  async (rig) => {
    const topic = rig.newName();
    const started = performance.now();
    await assert.rejects(rig.open(topic), (error) => {
      assert.ok(error instanceof FlowError);
      assert.deepEqual([error.code, error.domain], ["kafka_unknown_topic", "user"]);
      return true;
    });
    assert.ok(performance.now() - started < 5_000);
  },
);

kafkaTest("a topic that is made a moment later is read", async (rig) => {
  const topic = rig.newName();
  const opening = rig.open(topic, {}, { untilEnd: false });
  await rig.createTopic(1, {}, topic);
  await rig.produce(topic, numbered(5));
  const source = await opening;
  const batches = source.read(AbortSignal.timeout(60_000))[Symbol.asyncIterator]();
  assert.deepEqual(idsOf(await rig.rowsOf(await rig.nextBatch(batches))), upTo(5));
});

kafkaTest("partitions that are added are read from their begin", async (rig) => {
  const topic = await rig.createTopic(1);
  await rig.produce(topic, numbered(3));
  const first = await rig.open(topic);
  const { positions } = await rig.readAll(first);
  await first.acknowledge(positions);
  await first.close();
  await rig.admin((admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }));
  await rig.produce(topic, numbered(4, 3).map((one) => ({ ...one, partition: 1 })));
  assert.deepEqual(idsOf((await rig.readAll(await rig.open(topic))).rows), [3, 4, 5, 6]);
});
