import assert from "node:assert/strict";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { serviceTest } from "./test_rig.ts";

function letter(offset: bigint, changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    id: `orders/0/${offset}`,
    pipeline: "p",
    stage: "write",
    error: "bad\0row",
    sourceId: "orders",
    partition: "0",
    offset,
    attempt: 1,
    failedAtMs: 1_700_000_000_000.5,
    eventTimeMicros: 1_700_000_000_000_001n,
    payloadFormat: "json",
    payload: new TextEncoder().encode('{"a":"\\"é"}'),
    key: "k",
    ...changes,
  };
}

serviceTest("dead letters are written in the epoch's transaction, once per id", async (rig) => {
  const sink = await rig.sink();
  const table = `${rig.schema}.ematix_dlq_records`;
  await sink.begin(1);
  await sink.writeDeadLetters(table, [letter(1n)]);
  await sink.abort();
  await sink.begin(1);
  await sink.writeDeadLetters(table, [
    letter(9_007_199_254_740_993n),
    letter(2n, { payload: null, key: null, eventTimeMicros: null }),
    letter(2n, { payload: null, key: null, eventTimeMicros: null, error: "second" }),
  ]);
  await sink.commit([]);
  await sink.begin(2);
  await sink.writeDeadLetters(table, [letter(2n, { attempt: 2, error: "again" })]);
  await sink.commit([]);
  const rows = await rig.select(
    `SELECT id, seq, pipeline_name, stage, error, source_id, partition, source_offset, convert_from(offset_bytes, 'UTF8') AS at,
       event_ts, failed_at, attempt, payload_format, convert_from(payload, 'UTF8') AS payload, message_key, status, leased_until
     FROM ${table} ORDER BY source_offset`,
  );
  const common = {
    pipeline_name: "p",
    stage: "write",
    source_id: "orders",
    partition: "0",
    failed_at: "1700000000000",
    payload_format: "json",
    status: "pending",
    leased_until: null,
  };
  assert.deepEqual(rows.map(({ seq: _seq, ...row }) => row), [
    {
      ...common,
      id: "orders/0/2",
      error: "again",
      source_offset: "2",
      at: '{"v":1,"partitions":{"0":2}}',
      event_ts: null,
      attempt: "2",
      payload: null,
      message_key: null,
    },
    {
      ...common,
      id: "orders/0/9007199254740993",
      error: "bad\u2400row",
      source_offset: "9007199254740993",
      at: '{"v":1,"partitions":{"0":9007199254740993}}',
      event_ts: "1700000000000001",
      attempt: "1",
      payload: '{"a":"\\"é"}',
      message_key: "k",
    },
  ]);
});

serviceTest(
  "many and large letters go in parts; an older table gets the columns it lacks",
  async (rig) => {
    await rig.execute(
      `CREATE TABLE letters (id text PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY, pipeline_name text, stage text,
       error text, source_id text, offset_bytes bytea, event_ts bigint, failed_at bigint, attempt int, payload_format text,
       payload bytea, status text DEFAULT 'pending', leased_until bigint)`,
    );
    const sink = await rig.sink();
    const payload = new Uint8Array(3 << 20).fill(7);
    await sink.begin(1);
    await sink.writeDeadLetters(
      `${rig.schema}.letters`,
      Array.from({ length: 2500 }, (_, n) => letter(BigInt(n), n < 3 ? { payload } : {})),
    );
    await sink.commit([]);
    const [row] = await rig.select(
      `SELECT count(*) AS n, max(length(payload)) AS longest, max(source_offset) AS last FROM ${rig.schema}.letters`,
    );
    assert.deepEqual({ ...row }, { n: "2500", longest: String(3 << 20), last: "2499" });
  },
);
