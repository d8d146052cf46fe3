import assert from "node:assert/strict";
import { systemClock } from "../../core/clock.ts";
import { OffsetName } from "../../core/offset_name.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { FlowError } from "../../core/error.ts";
import type { Batch } from "../../core/batch.ts";
import { KafkaDeadLetters } from "./dead_letters.ts";
import { KafkaSink } from "./sink.ts";
import { BROKERS, KafkaRig } from "./test_rig.ts";

const ignore = BROKERS === undefined;

function kafkaTest(name: string, run: (rig: KafkaRig) => Promise<void>): void {
  Deno.test({
    name: `kafka sink: ${name}`,
    ignore,
    async fn() {
      await using rig = await KafkaRig.create();
      await run(rig);
    },
  });
}

async function openSink(
  rig: KafkaRig,
  topic: string,
  options: Readonly<Record<string, unknown>> = {},
  create = true,
): Promise<KafkaSink> {
  const sink = new KafkaSink({
    options: { ...rig.connection, topic, compression: "none", ...options },
    mode: "append",
    keys: [],
    create,
  });
  await sink.open({
    pipeline: "p",
    offsetName: OffsetName.ofOnly("p"),
    engine: rig.engine,
    clock: systemClock,
    observe: (observation) => rig.observed.push(observation),
    exactlyOnce: false,
  }, AbortSignal.timeout(60_000));
  return sink;
}

async function batchOf(rig: KafkaRig, query: string, hasRowColumn = true): Promise<Batch> {
  const table = rig.engine.newName("batch");
  await rig.session.run(`CREATE TABLE ${table} AS ${query}`);
  const columns = await rig.session.describe(
    `SELECT * ${hasRowColumn ? "EXCLUDE (__flow_row)" : ""} FROM ${table}`,
  );
  const [{ n } = { n: 0n }] = await rig.session.rows<{ n: bigint }>(
    `SELECT count(*) AS n FROM ${table}`,
  );
  return { table, columns, hasRowColumn, rows: Number(n) };
}

async function messagesOf(rig: KafkaRig, topic: string) {
  const wantedMetadata = new Set(["_key", "_headers"] as const);
  const source = await rig.open(topic, { group_id: rig.newName() }, { wantedMetadata });
  const { rows } = await rig.readAll(source);
  await source.close();
  return rows;
}

const ROWS = `SELECT * FROM (VALUES
  (0::BIGINT, 9007199254740993::BIGINT, 'tab	and "quote"', 1.50::DECIMAL(9,2), [1, 2], '{"a": 
 1}'::JSON),
  (1::BIGINT, 2::BIGINT, NULL, NULL, NULL, NULL)) t(__flow_row, id, name, price, list, doc)`;

for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"]) {
  kafkaTest(`rows become JSON with their key, ${compression}`, async (rig) => {
    const topic = await rig.createTopic(1);
    const sink = await openSink(rig, topic, { compression, message_key_column: "name" });
    const batch = await batchOf(rig, ROWS);
    const signal = AbortSignal.timeout(60_000);
    await sink.begin();
    assert.equal(await sink.write(batch, rig.session, signal), undefined);
    await sink.commit();
    await sink.close();
    const messages = await messagesOf(rig, topic);
    assert.deepEqual(messages.map(({ _key }) => _key), ['tab\tand "quote"', null]);
    assert.match(messages[0]?._payload ?? "", /"id":9007199254740993,/);
    assert.match(messages[0]?._payload ?? "", /"price":1.50?,/);
    assert.deepEqual(JSON.parse(messages[1]?._payload ?? ""), {
      id: 2,
      name: null,
      price: null,
      list: null,
      doc: null,
    });
  });
}

kafkaTest("many rows are all there, in the order they had", async (rig) => {
  const topic = await rig.createTopic(1);
  const sink = await openSink(rig, topic);
  const batch = await batchOf(
    rig,
    "SELECT i AS __flow_row, i, repeat('x', 100) AS x FROM range(30000) r(i)",
  );
  await sink.begin();
  await sink.write(batch, rig.session, AbortSignal.timeout(60_000));
  await sink.close();
  const messages = await messagesOf(rig, topic);
  assert.deepEqual(
    messages.map(({ _payload }) => JSON.parse(_payload ?? "").i),
    Array.from({ length: 30_000 }, (_, at) => at),
  );
});

for (const hasRowColumn of [true, false]) {
  kafkaTest(
    `rows too large for the broker are refused one by one, numbered ${hasRowColumn}`,
    async (rig) => {
      const topic = await rig.createTopic(1, { "max.message.bytes": "20000" });
      const sink = await openSink(rig, topic);
      const batch = await batchOf(
        rig,
        `SELECT ${
          hasRowColumn ? "i AS __flow_row," : ""
        } i, repeat('x', CASE WHEN i % 50 = 7 THEN 30000 ELSE 10 END) AS x
        FROM range(200) r(i)`,
        hasRowColumn,
      );
      await sink.begin();
      const rejected = await sink.write(batch, rig.session, AbortSignal.timeout(60_000));
      await sink.close();
      assert.equal(rejected?.count, 4);
      assert.equal(rejected.by, hasRowColumn ? "row_number" : "row_json");
      const number = hasRowColumn ? "__flow_row" : "(_row_json->>'i')::BIGINT";
      const found = await rig.session.rows<{ n: bigint; _error: string }>(
        `SELECT ${number} AS n, _error FROM ${rejected.table} ORDER BY n`,
      );
      assert.deepEqual(found.map(({ n }) => n), [7n, 57n, 107n, 157n]);
      assert.match(found[0]?._error ?? "", /too large/);
      assert.equal((await messagesOf(rig, topic)).length, 196);
    },
  );
}

kafkaTest("a key column that the rows lack is named", async (rig) => {
  const sink = await openSink(rig, await rig.createTopic(1), { message_key_column: "nmae" });
  const batch = await batchOf(rig, ROWS);
  await assert.rejects(sink.write(batch, rig.session, AbortSignal.timeout(60_000)), (error) => {
    assert.ok(error instanceof FlowError);
    assert.equal(error.code, "target_column_unknown");
    assert.match(error.message, /'nmae'/);
    assert.match(error.hint ?? "", /id, name/);
    return true;
  });
  await sink.close();
});

kafkaTest("a missing topic is made, unless create = false", async (rig) => {
  const topic = rig.newName();
  await assert.rejects(
    openSink(rig, topic, {}, false),
    (error) => error instanceof FlowError && error.code === "target_table_missing",
  );
  await (await openSink(rig, topic)).close();
  assert.ok((await rig.admin((admin) => admin.listTopics())).includes(topic));
});

kafkaTest("dead letters keep payload, key and everything about them", async (rig) => {
  const topic = rig.newName();
  const letters = new KafkaDeadLetters(rig.connection, topic);
  await letters.open(AbortSignal.timeout(60_000));
  const letter: DeadLetter = {
    id: "orders/0/17",
    pipeline: "p",
    stage: "decode",
    error: "not JSON",
    sourceId: "orders#2",
    partition: "0",
    offset: 17n,
    attempt: 1,
    failedAtMs: 1_700_000_000_000,
    eventTimeMicros: null,
    payloadFormat: "json",
    payload: new TextEncoder().encode("{nope"),
    key: "k",
  };
  const large = new Uint8Array(1_048_400).fill(65);
  await letters.write([
    letter,
    { ...letter, id: "orders/0/18", payload: null, key: null },
    { ...letter, id: "orders/0/19", payload: large },
  ]);
  await letters.close();
  const messages = await messagesOf(rig, topic);
  assert.deepEqual(messages.map(({ _payload, _key }) => [_payload, _key]), [
    ["{nope", "k"],
    [null, null],
    [null, "k"],
  ]);
  assert.deepEqual(JSON.parse(messages[0]?._headers ?? ""), {
    "emat-dlq-id": "orders/0/17",
    "emat-dlq-pipeline": "p",
    "emat-dlq-stage": "decode",
    "emat-dlq-error": "not JSON",
    "emat-dlq-source-id": "orders#2",
    "emat-dlq-topic": "orders",
    "emat-dlq-partition": "0",
    "emat-dlq-offset": "17",
    "emat-dlq-failed-at": "2023-11-14T22:13:20.000Z",
    "emat-dlq-attempt": "1",
    "emat-dlq-payload-format": "json",
  });
  assert.equal(
    JSON.parse(messages[2]?._headers ?? "")["emat-dlq-payload-omitted-bytes"],
    String(large.length),
  );
});
