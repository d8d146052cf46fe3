import assert from "node:assert/strict";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { objectStoreLocalConnector } from "./connector.ts";

function letter(change: Partial<DeadLetter>): DeadLetter {
  return {
    id: "orders/0/17",
    pipeline: "p",
    stage: "decode",
    error: "not JSON",
    sourceId: "orders",
    partition: "0",
    offset: 17n,
    attempt: 1,
    failedAtMs: Date.UTC(2026, 0, 31),
    eventTimeMicros: 1_000_000n,
    payloadFormat: "json",
    payload: new TextEncoder().encode('{"ä":'),
    key: null,
    ...change,
  };
}

Deno.test("dead letters are lines of JSON at the end of a file", async () => {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const path = `${folder}/bad/rows.jsonl`;
  const never = new AbortController().signal;
  const letters = () => objectStoreLocalConnector.createDeadLetters?.({}, path);
  const first = letters();
  await first?.open(never);
  await first?.write([letter({}), letter({ payload: Uint8Array.of(0xff), offset: 2n ** 62n })]);
  await first?.close();
  await first?.close();
  // Half a line, as a crash leaves it.
  await Deno.writeTextFile(path, '{"id":"ord', { append: true });
  const second = letters();
  await second?.open(never);
  await second?.write([letter({ payload: null, eventTimeMicros: null, key: "k" })]);
  await second?.close();
  const lines = (await Deno.readTextFile(path)).split("\n");
  assert.equal(lines[2], '{"id":"ord');
  assert.equal(lines[4], "");
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    id: "orders/0/17",
    pipeline: "p",
    stage: "decode",
    error: "not JSON",
    source_id: "orders",
    partition: "0",
    offset: 17,
    attempt: 1,
    failed_at: "2026-01-31T00:00:00.000Z",
    event_ts: "1970-01-01T00:00:01.000Z",
    key: null,
    payload_format: "json",
    payload: '{"ä":',
  });
  const odd = JSON.parse(lines[1] ?? "");
  assert.deepEqual([odd.offset, odd.payload, odd.payload_encoding], [
    "4611686018427387904",
    "/w==",
    "base64",
  ]);
  assert.deepEqual(JSON.parse(lines[3] ?? "").payload, null);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("an event time of any size has a letter: a producer that writes nanoseconds must not stop the pipeline", async () => {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const path = `${folder}/rows.jsonl`;
  const letters = objectStoreLocalConnector.createDeadLetters?.({}, path);
  await letters?.open(new AbortController().signal);
  await letters?.write([
    letter({ eventTimeMicros: 9_223_372_036_854_775_806n }),
    letter({ eventTimeMicros: -9_223_372_022_400_000_000n }),
  ]);
  await letters?.close();
  const lines = (await Deno.readTextFile(path)).trim().split("\n");
  assert.deepEqual(lines.map((line) => JSON.parse(line).event_ts), [
    "+294247-01-10T04:00:54.775Z",
    "-290308-12-22T00:00:00.000Z",
  ]);
  await Deno.remove(folder, { recursive: true });
});
