import assert from "node:assert/strict";
import type { OffsetMove } from "../../core/offset.ts";
import { serviceTest, type TestRig } from "./test_rig.ts";

function move(partition: number, expected: string | null, to: string): OffsetMove {
  return { sourceId: "orders", partition: String(partition), expected, to };
}

async function count(rig: TestRig): Promise<number> {
  return (await rig.select(`SELECT * FROM ${rig.schema}.events`)).length;
}

serviceTest("offsets move with the rows, by compare-and-set", async (rig) => {
  const sink = await rig.sink();
  assert.deepEqual(await sink.storedOffsets(), []);
  await rig.writeEpoch(sink, "SELECT 1 AS id", [move(1, null, "10"), move(0, null, "5")]);
  await rig.writeEpoch(sink, "SELECT 2 AS id", [move(0, "5", "7"), move(2, null, "1;done")]);
  assert.deepEqual(await sink.storedOffsets(), [
    { sourceId: "orders", partition: "0", position: "7" },
    { sourceId: "orders", partition: "1", position: "10" },
    { sourceId: "orders", partition: "2", position: "1;done" },
  ]);
  for (const stale of [move(0, "5", "9"), move(1, null, "3"), move(7, "1", "2")]) {
    await sink.begin(3);
    await sink.write(await rig.batch("SELECT 3 AS id"), rig.session, new AbortController().signal);
    await assert.rejects(sink.commit([move(2, "1;done", "2"), stale]), {
      code: "offset_fenced",
      domain: "external",
      retryable: true,
    });
    await sink.abort();
  }
  assert.equal(await count(rig), 2);
  assert.equal((await sink.storedOffsets())[2]?.position, "1;done");
});

serviceTest("two first commits: one is fenced", async (rig) => {
  const one = await rig.sink();
  const other = await rig.sink();
  await rig.execute("CREATE TABLE events (id int)");
  for (const sink of [one, other]) {
    await sink.begin(1);
    await sink.write(await rig.batch("SELECT 1 AS id"), rig.session, new AbortController().signal);
  }
  const outcomes = await Promise.allSettled([
    one.commit([move(0, null, "10")]),
    other.commit([move(0, null, "10")]),
  ]);
  const reasons = outcomes.flatMap((outcome) =>
    outcome.status === "rejected" ? [outcome.reason.code] : []
  );
  assert.deepEqual(reasons, ["offset_fenced"]);
  await one.abort();
  await other.abort();
  assert.equal(await count(rig), 1);
});

serviceTest("reading offsets waits for a first commit under way", async (rig) => {
  const sink = await rig.sink();
  // What a process that has just died may have left behind: a session that is still committing.
  await rig.execute("BEGIN");
  await rig.client.query(
    "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))",
    [`flow offsets ${rig.pipeline}`],
  );
  await rig.client.query(
    `INSERT INTO ${rig.schema}._ematix_offsets (pipeline_id, source_id, partition, position) VALUES ($1, 'orders', '0', '5')`,
    [rig.pipeline],
  );
  let answered = false;
  const reading = sink.storedOffsets().finally(() => answered = true);
  const deadline = Date.now() + 10_000;
  const waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
  while ((await rig.select(waiting)).length === 0) {
    assert.equal(answered, false);
    assert.ok(Date.now() < deadline, "nobody waits");
  }
  await rig.execute("COMMIT");
  assert.deepEqual(await reading, [{ sourceId: "orders", partition: "0", position: "5" }]);
});

serviceTest("another system's offsets table is named as such", async (rig) => {
  await rig.execute(
    "CREATE TABLE _ematix_offsets (pipeline_id text, source_id text, offsets_json text)",
  );
  await assert.rejects(rig.sink(), {
    code: "offsets_table_incompatible",
    domain: "user",
    hint: /RENAME TO/,
  });
  const without = await rig.sink({}, false);
  await rig.writeEpoch(without, "SELECT 1 AS id", [move(0, null, "10")]);
  assert.deepEqual(await without.storedOffsets(), []);
});

serviceTest("a pipeline that has written before may add columns", async (rig) => {
  const sink = await rig.sink();
  await rig.writeEpoch(sink, "SELECT 1 AS id", [move(0, null, "10")]);
  await sink.close();
  const next = await rig.sink();
  await rig.writeEpoch(next, "SELECT 2 AS id, 'x' AS fresh", [move(0, "10", "11")]);
  assert.equal(await count(rig), 2);
});
