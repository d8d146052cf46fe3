import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { StoredOffset } from "../../core/offset.ts";
import { type FileRig, fileTest, hastyClock } from "./test_rig.ts";

/** A run to the end from what an earlier one stored: the rows (`path offset payload`), refusals, positions, and what was said. */
async function run(rig: FileRig, query: string, stored: readonly StoredOffset[] = []) {
  const positions = new Map(stored.map(({ partition, position }) => [partition, position]));
  const before = rig.notices.length;
  const source = await rig.source(query, {}, {
    clock: hastyClock(),
    storedPositions: () => Promise.resolve(stored),
  });
  const rows: string[] = [];
  let refused = 0;
  for (const batch of await rig.batches(source)) {
    for (const { partition, from, to } of batch.ranges) {
      assert.equal(from, positions.get(partition) ?? null);
      positions.set(partition, to);
    }
    refused += batch.unreadable?.count ?? 0;
    const own = batch.encoding === "json" ? "_payload" : "COLUMNS('^id$')";
    const found = await rig.rows(
      `SELECT _partition AS p, _offset AS o, ${own} AS v FROM ${batch.table} ORDER BY __flow_row`,
    ).catch(() => []);
    rows.push(...found.map((row) => `${row["p"]} ${row["o"]} ${Object.values(row)[2]}`));
  }
  const offsets = [...positions].map(([partition, position]) => ({
    sourceId: query,
    partition,
    position,
  }));
  return { rows, refused, offsets, said: rig.notices.slice(before) };
}

const CHANGED = /'a[^']*' changed after being read; .* put it there under a new name$/;

for (
  const [path, first, second] of [
    ["a.csv", "id\n1\n2\n", "id\n1\n2\n3\n"],
    ["a.csv", "id\n1\n2\n", "id\n7\n8\n"],
    ["a.csv", "id\n1\n2\n", "id\n7\n"],
    ["a.jsonl", '{"id":1}\n{"id":2}\n', '{"id":3}\n'],
    ["a.jsonl", '{"id":1}\n{"id":2}\n', '{"id":3}\n{"id":4}\n{"id":5}\n'],
    ["a.json", '[{"id":1}]', '[{"id":1},{"id":2}]'],
    ["a.jsonl.gz", gzipSync('{"id":1}\n'), gzipSync('{"id":3}\n')],
  ] as const
) {
  const what = `${path} of ${first.length} bytes by one of ${second.length}`;
  fileTest(`a file that was read and replaced is told, and not read (${what})`, async (rig) => {
    await rig.putOld(path, first);
    const before = await run(rig, path);
    assert.ok(before.rows.length > 0);
    const again = await run(rig, path, before.offsets);
    assert.deepEqual([again.rows, again.said], [[], []]);
    await rig.putOld(path, second, 5);
    const { rows, refused, offsets, said } = await run(rig, path, before.offsets);
    assert.deepEqual([rows, refused], [[], 0]);
    assert.deepEqual(offsets, before.offsets);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? "", CHANGED);
  });
}

fileTest("a replaced file is told in the midst of a run too, once", async (rig) => {
  for (const second of ['{"id":3}\n', '{"id":4}\n{"id":5}\n', '{"id":7}\n{"id":8}\n{"id":9}\n']) {
    const path = `a${second.length}.jsonl`;
    await rig.putOld(path, '{"id":1}\n{"id":2}\n');
    const source = await rig.source(path, {}, { untilEnd: false, clock: hastyClock() });
    const before = rig.notices.length;
    let rows = 0;
    let idle = 0;
    for await (const batch of source.read(AbortSignal.timeout(20_000))) {
      rows += batch?.rows ?? 0;
      if (batch !== undefined) continue;
      idle += 1;
      if (idle === 1) await rig.putOld(path, second, 5);
      if (idle === 2) await rig.putOld(path, second, 6);
      if (idle === 4) break;
    }
    await source.close();
    assert.equal(rows, 2);
    const said = rig.notices.slice(before);
    assert.equal(said.length, 1, second);
    assert.match(said[0] ?? "", CHANGED);
  }
});

fileTest("newline JSON that grew, or got another time, is the same file", async (rig) => {
  const long = `{"id":0,"x":"${"x".repeat(3000)}"}\n`;
  for (const first of ['{"id":1}\n', '{"id":1}', long]) {
    await rig.putOld("a.jsonl", first);
    let { rows, offsets } = await run(rig, "a.jsonl");
    assert.equal(rows.length, 1);
    await rig.putOld("a.jsonl", first, 5);
    let said: string[];
    ({ rows, offsets, said } = await run(rig, "a.jsonl", offsets));
    assert.deepEqual([rows, said], [[], []]);
    await rig.putOld("a.jsonl", `${first.trim()}\n{"id":2}\n`, 10);
    ({ rows, said } = await run(rig, "a.jsonl", offsets));
    const number = first.endsWith("\n") ? 1 : 2;
    assert.deepEqual([rows, said], [[`a.jsonl ${number} {"id":2}`], []]);
  }
});

for (const [path, good] of [["a.csv.gz", "id\n1\n2\n"], ["a.jsonl.gz", '{"id":1}\n']] as const) {
  fileTest(`a file refused as a whole is read when it was mended (${path})`, async (rig) => {
    await rig.putOld(path, "no archive");
    const broken = await run(rig, path);
    assert.deepEqual([broken.rows, broken.refused], [[], 1]);
    assert.equal((await run(rig, path, broken.offsets)).refused, 0);
    // Still broken, in another way.
    await rig.putOld(path, "still none", 5);
    const still = await run(rig, path, broken.offsets);
    assert.deepEqual([still.rows, still.refused], [[], 1]);
    await rig.putOld(path, gzipSync(good), 10);
    const mended = await run(rig, path, still.offsets);
    assert.deepEqual(mended.rows[0]?.startsWith(`${path} 0 `), true);
    assert.deepEqual([mended.refused, mended.said], [0, []]);
    const after = await run(rig, path, mended.offsets);
    assert.deepEqual([after.rows, after.refused, after.said], [[], 0, []]);
  });
}

fileTest("a file refused as a whole is read when it was mended while flow runs", async (rig) => {
  await rig.putOld("a.csv.gz", "no archive");
  const source = await rig.source("*", {}, { untilEnd: false, clock: hastyClock() });
  const ranges: (string | null)[] = [];
  for await (const batch of source.read(AbortSignal.timeout(20_000))) {
    if (batch === undefined) continue;
    ranges.push(batch.ranges[0]?.from ?? null, batch.ranges[0]?.to ?? "");
    if (batch.rows > 0) break;
    await rig.putOld("a.csv.gz", gzipSync("id\n1\n"), 5);
  }
  await source.close();
  assert.equal(ranges.length, 4);
  assert.equal(ranges[1], ranges[2]);
});

fileTest("of a file that was refused in its midst, rows are not read again", async (rig) => {
  const lines = Array.from({ length: 5000 }, (_l, at) => `{"id":${at},"x":"${Math.sin(at)}"}`);
  const whole = gzipSync(lines.join("\n"));
  await rig.putOld("a.jsonl.gz", whole.subarray(0, whole.length >> 1));
  const broken = await run(rig, "*");
  assert.ok(broken.rows.length > 0);
  assert.equal(broken.refused, 1);
  await rig.putOld("a.jsonl.gz", whole, 5);
  const { rows, refused, said } = await run(rig, "*", broken.offsets);
  assert.deepEqual([rows, refused, said.length], [[], 0, 1]);
  assert.match(said[0] ?? "", CHANGED);
});

fileTest("many replaced files are told together", async (rig) => {
  for (let at = 0; at < 9; at += 1) await rig.putOld(`a${at}.csv`, "id\n1\n");
  const { offsets } = await run(rig, "*");
  for (let at = 0; at < 9; at += 1) await rig.putOld(`a${at}.csv`, "id\n2\n", 5);
  const { rows, said } = await run(rig, "*", offsets);
  assert.deepEqual(rows, []);
  assert.equal(said.length, 1);
  assert.match(said[0] ?? "", /: 'a0\.csv', 'a1\.csv', 'a2\.csv' and 6 others changed/);
});
