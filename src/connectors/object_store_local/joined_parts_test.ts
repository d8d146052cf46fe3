import assert from "node:assert/strict";
import type { SourceBatch } from "../../core/batch.ts";
import { type FileRig, fileTest, hastyClock } from "./test_rig.ts";

/** Files are joined however long it takes. */
const NEVER = { maxBatchWaitMs: 600_000 };

async function rowsOf(rig: FileRig, batch: SourceBatch, column = "id") {
  const rows = await rig.rows(
    `SELECT __flow_row::INTEGER AS r, _partition AS p, _offset::INTEGER AS o, ${column} AS v ` +
      `FROM ${batch.table} ORDER BY __flow_row`,
  );
  assert.equal(rows.length, batch.rows);
  return rows.map((row) => `${row["r"]} ${row["p"]} ${row["o"]} ${row["v"]}`);
}

fileTest("small CSV files come in one batch, in order, their rows numbered", async (rig) => {
  for (const name of ["c", "a", "b"]) {
    await rig.putOld(`${name}.csv`, `id,n\n1,${name}\n2,${name}\n`);
  }
  await rig.putOld("aa.csv", "id,n\n");
  const batches = await rig.batches(await rig.source("*.csv", {}, NEVER));
  assert.equal(batches.length, 1);
  const [batch] = batches;
  assert.ok(batch);
  assert.deepEqual(await rowsOf(rig, batch), [
    "0 a.csv 0 1",
    "1 a.csv 1 2",
    "2 b.csv 0 1",
    "3 b.csv 1 2",
    "4 c.csv 0 1",
    "5 c.csv 1 2",
  ]);
  assert.deepEqual(batch.ranges.map(({ partition, from }) => [partition, from]), [
    ["a.csv", null],
    ["b.csv", null],
    ["c.csv", null],
  ]);
});

fileTest("files with other columns or types are a batch of their own", async (rig) => {
  await rig.putOld("a.csv", "id\n1\n");
  await rig.putOld("b.csv", "id\n2\n");
  await rig.putOld("c.csv", "id\nx\n");
  await rig.putOld("d.csv", "id,n\n1,2\n");
  await rig.putOld("e.csv", "n,id\n1,2\n");
  const batches = await rig.batches(await rig.source("*.csv", {}, NEVER));
  assert.deepEqual(batches.map(({ ranges }) => ranges.map(({ partition }) => partition)), [
    ["a.csv", "b.csv"],
    ["c.csv"],
    ["d.csv"],
    ["e.csv"],
  ]);
  const rows = await Promise.all(batches.map((batch) => rowsOf(rig, batch)));
  assert.deepEqual(rows.flat(), [
    "0 a.csv 0 1",
    "1 b.csv 0 2",
    "0 c.csv 0 x",
    "0 d.csv 0 1",
    "0 e.csv 0 2",
  ]);
});

fileTest("unreadable records of several files lead back to their payloads", async (rig) => {
  await rig.putOld("a.csv", "id,n\n1,2\n3\n5,6\n");
  await rig.putOld("b.csv", "id,n\n1,2\n");
  await rig.putOld("c.csv", "id,n\n7\n8\n9,9\n");
  const [batch, ...more] = await rig.batches(await rig.source("*.csv", {}, NEVER));
  assert.ok(batch?.unreadable);
  assert.deepEqual(more, []);
  assert.equal(batch.unreadable.count, 3);
  const bad = await rig.rows(
    "SELECT __flow_row::INTEGER AS r, _partition AS p, _offset::INTEGER AS o, _payload AS v, " +
      `_error IS NOT NULL AS e FROM ${batch.unreadable.table} ORDER BY __flow_row`,
  );
  assert.deepEqual(bad.map((row) => Object.values(row).join(" ")), [
    "0 a.csv 1 3 true",
    "1 c.csv 0 7 true",
    "2 c.csv 1 8 true",
  ]);
  const rows = (await rowsOf(rig, batch)).map((row) => row.split(" ").slice(1).join(" "));
  assert.deepEqual(rows, ["a.csv 0 1", "a.csv 2 5", "b.csv 0 1", "c.csv 2 9"]);
});

fileTest("the bounds of a batch hold for many files too", async (rig) => {
  for (let file = 0; file < 20; file += 1) {
    await rig.putOld(`${file + 10}.csv`, `id,x\n${"1,xxxxxxxxxxxxxxxxxxxx\n".repeat(7)}`);
  }
  const bounds = { ...NEVER, maxBatchRows: 10, maxBatchBytes: 300 };
  const batches = await rig.batches(await rig.source("*.csv", {}, bounds));
  assert.equal(batches.reduce((sum, { rows }) => sum + rows, 0), 140);
  for (const { rows, bytes } of batches) {
    assert.ok(rows <= 10);
    assert.ok(bytes <= 300);
  }
  assert.ok(batches.length < 20);
});

fileTest("a batch of many files ends in time", async (rig) => {
  for (let file = 0; file < 5; file += 1) await rig.putOld(`${file}.csv`, "id\n1\n");
  let now = 0;
  const clock = { ...hastyClock(), monotonic: () => now += 100 };
  const batches = await rig.batches(
    await rig.source("*.csv", {}, { clock, maxBatchWaitMs: 250 }),
  );
  assert.ok(batches.length >= 2 && batches.length < 5, `${batches.length} batches`);
});

fileTest("a broken file among small ones is refused after those before it", async (rig) => {
  await rig.putOld("a.csv", "id\n1\n");
  await rig.putOld("b.csv", Uint8Array.of(0xff, 0xfe, 0x69, 0));
  await rig.putOld("c.csv", "id\n3\n");
  const batches = await rig.batches(await rig.source("*.csv", {}, { clock: hastyClock() }));
  const partitions = batches.map(({ ranges }) => ranges.map(({ partition }) => partition));
  assert.deepEqual(partitions, [["a.csv"], ["b.csv"], ["c.csv"]]);
  assert.equal(batches.reduce((sum, { unreadable }) => sum + (unreadable?.count ?? 0), 0), 1);
});

fileTest("a seek while files are joined reads them again", async (rig) => {
  for (const name of ["a", "b"]) await rig.putOld(`${name}.csv`, "id\n1\n2\n");
  const source = await rig.source("*.csv", {}, NEVER);
  const seen: string[] = [];
  for await (const batch of source.read(AbortSignal.timeout(20_000))) {
    if (batch === undefined) continue;
    seen.push(...batch.ranges.map(({ partition, from }) => `${partition} ${from}`));
    if (seen.length > 2) continue;
    await source.seek([{ sourceId: "*.csv", partition: "b.csv", position: "1" }]);
  }
  await source.close();
  assert.deepEqual(seen, ["a.csv null", "b.csv null", "b.csv 1"]);
});

fileTest("small Parquet files come in one batch", async (rig) => {
  for (const name of ["b", "a"]) {
    const exported = await rig.session.exportParquet(
      `SELECT i AS id, '${name}' AS n FROM range(3) r(i)`,
      "snappy",
    );
    await rig.putOld(`${name}.parquet`, await Deno.readFile(exported));
    await Deno.remove(exported);
  }
  const batches = await rig.batches(await rig.source("*.parquet", {}, NEVER));
  assert.equal(batches.length, 1);
  const [batch] = batches;
  assert.ok(batch);
  assert.deepEqual(await rowsOf(rig, batch, "n"), [
    "0 a.parquet 0 a",
    "1 a.parquet 1 a",
    "2 a.parquet 2 a",
    "3 b.parquet 0 b",
    "4 b.parquet 1 b",
    "5 b.parquet 2 b",
  ]);
});
