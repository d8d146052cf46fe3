import assert from "node:assert/strict";
import { basename, relative } from "node:path";
import { objectStoreLocalConnector } from "./connector.ts";
import { fileTest, withoutSeal } from "./test_rig.ts";

fileTest("takes files in name order, passes over what is no data", async (rig) => {
  for (const path of ["b.jsonl", "a.jsonl", "a/x.jsonl", "a-b.jsonl"]) {
    await rig.put(path, `{"p":"${path}"}\n`);
  }
  for (
    const path of [".hidden.jsonl", "_temp/x.jsonl", "x.jsonl.tmp", "x.part", "notes.xml", "t.orc"]
  ) {
    await rig.put(path, `{"p":"no"}\n`);
  }
  const payloads = await rig.payloads("");
  assert.deepEqual(payloads.map((text) => JSON.parse(text).p), [
    "a-b.jsonl",
    "a.jsonl",
    "a/x.jsonl",
    "b.jsonl",
  ]);
  assert.equal(rig.notices.length, 2);
  assert.match(rig.notices.join(" "), /'notes\.xml' is not read: its name tells no format/);
});

fileTest("does not follow links that lead out of the base, nor round in a circle", async (rig) => {
  await rig.put("in/a.jsonl", '{"a":1}\n');
  await Deno.writeTextFile(`${rig.base}/../secret.jsonl`, '{"secret":1}\n');
  await Deno.symlink(`${rig.base}/../secret.jsonl`, `${rig.base}/in/out.jsonl`);
  await Deno.symlink("/etc", `${rig.base}/in/etc`);
  await Deno.symlink(`${rig.base}/in`, `${rig.base}/in/loop`);
  await Deno.symlink(`${rig.base}/in/a.jsonl`, `${rig.base}/in/alias.jsonl`);
  await Deno.symlink(`${rig.base}/nowhere`, `${rig.base}/in/dangling.jsonl`);
  assert.deepEqual([...new Set(await rig.payloads("in"))], ['{"a":1}']);
  assert.equal(rig.notices.filter((notice) => /leads out/.test(notice)).length, 2);
  await assert.rejects(rig.source("../*"), { code: "definition_invalid" });
});

fileTest("a last line without its end waits until the file is at rest", async (rig) => {
  await rig.put("a.jsonl", '{"n":1}\n{"n":');
  const source = await rig.source("a.jsonl", { poll_interval_ms: 30 }, { untilEnd: false });
  const seen: string[] = [];
  for await (const batch of source.read(AbortSignal.timeout(20_000))) {
    if (batch === undefined) continue;
    const rows = await rig.rows(
      `SELECT _payload AS p, _offset AS o FROM ${batch.table} ORDER BY o`,
    );
    seen.push(...rows.map((row) => `${row["o"]} ${row["p"]}`));
    if (seen.length === 1) await rig.put("a.jsonl", '2}\n{"n":3}', true);
    if (seen.length === 3) break;
  }
  await source.close();
  assert.deepEqual(seen, ['0 {"n":1}', '1 {"n":2}', '2 {"n":3}']);
});

fileTest(
  "a writer may rest in the midst of a line; a last line that is whole counts",
  async (rig) => {
    await rig.put("a.jsonl", '{"n":1}\n{"n":');
    const source = await rig.source("a.jsonl", { poll_interval_ms: 20 }, { untilEnd: false });
    const seen: string[] = [];
    let idle = 0;
    for await (const batch of source.read(AbortSignal.timeout(20_000))) {
      if (batch === undefined) {
        // The file has been at rest for long.
        idle += 1;
        if (idle === 1) await rig.put("a.jsonl", '2}\n{"n":3}', true);
        continue;
      }
      const rows = await rig.rows(`SELECT _payload AS p FROM ${batch.table} ORDER BY _offset`);
      seen.push(...rows.map((row) => String(row["p"])));
      if (seen.length >= 3) break;
    }
    await source.close();
    assert.equal(idle > 0, true);
    assert.deepEqual(seen, ['{"n":1}', '{"n":2}', '{"n":3}']);
    await rig.put("b.jsonl", '{"n":1}\n{"n":');
    assert.deepEqual(await rig.payloads("b.jsonl"), ['{"n":1}', '{"n":']);
  },
);

fileTest("says when no file is meant, and nothing of links that are not", async (rig) => {
  await rig.put("a.jsonl", '{"a":1}\n');
  await Deno.symlink("/etc/hostname", `${rig.base}/out.csv`);
  assert.deepEqual(await rig.payloads("*.jsonl"), ['{"a":1}']);
  assert.deepEqual(rig.notices, []);
  await rig.payloads("*.ndjson");
  assert.equal(rig.notices.length, 1);
  assert.match(rig.notices[0] ?? "", /^\*\.ndjson: there is no such file below '.*files'$/);
});

fileTest("knows what a target would write for it", async (rig) => {
  const knows = async (query: string, options: Record<string, unknown>) => {
    const source = await rig.source(query);
    const sink = await rig.sink(options);
    await source.close();
    await sink.close();
    return source.reads?.(sink.place ?? "");
  };
  assert.equal(await knows("**/*.jsonl", { format: "json", prefix: "out" }), true);
  assert.equal(await knows("", { format: "parquet" }), true);
  assert.equal(await knows("in/*.jsonl", { format: "json", prefix: "out" }), false);
  assert.equal(await knows("*.csv", { format: "json" }), false);
  assert.equal(await knows("**", { format: "json", prefix: "_out" }), false);
  // The same folder, spelled from the working directory on.
  const fromHere = relative(Deno.cwd(), rig.base);
  const spelled = { format: "parquet", path: `./${fromHere}/../${basename(rig.base)}` };
  assert.equal(await knows("", spelled), true);
  const source = await rig.source("*.jsonl");
  await source.close();
  const letters = (name: string) =>
    objectStoreLocalConnector.createDeadLetters?.({}, `${rig.base}/${name}`).place ?? "";
  assert.equal(source.reads?.(letters("dead.jsonl")), true);
  assert.equal(source.reads?.(letters("dead.ndjson")), false);
});

fileTest("finds out how the values of a .json file stand", async (rig) => {
  for (
    const [content, expected] of [
      ['[{"a":1},\n {"a":2}]', ['{"a":1}', '{"a":2}']],
      ["\uFEFF[]", []],
      ["", []],
      ['{"a":1}\n{"a":2}', ['{"a":1}', '{"a":2}']],
      ['{"a":\n1}\n', ['{"a":\n1}']],
      ['{\n "a": 1\n}\n{\n "a": 2\n}', ['{\n "a": 1\n}', '{\n "a": 2\n}']],
      ['{"a":1}{"a":2}', ['{"a":1}', '{"a":2}']],
      ['{"a":1,\n{"a":2}\n', ['{"a":1,', '{"a":2}']],
      ['{"a":1} x\n{"a":2}\n', ['{"a":1} x', '{"a":2}']],
      ['[{"a":1},{"a":', ['{"a":1}', '{"a":']],
    ] as const
  ) {
    await rig.put("a.json", content);
    assert.deepEqual(await rig.payloads("a.json"), expected, content);
  }
});

fileTest("reads zstd", async (rig) => {
  const { zstdCompressSync } = await import("node:zlib");
  const lines = Array.from({ length: 1000 }, (_l, at) => `{"id":${at}}`);
  await rig.put("a.jsonl.zst", zstdCompressSync(new TextEncoder().encode(lines.join("\n"))));
  assert.deepEqual(await rig.payloads("a.jsonl.zst"), lines);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(rig.engine.scratchDir)), []);
});

fileTest("reads the flight records of vega-datasets, one big array", async (rig) => {
  const path = new URL("../data/flights-20k.json", import.meta.resolve("vega-datasets"));
  const text = await Deno.readTextFile(path);
  await rig.put("flights.json", text);
  const batches = await rig.batches(await rig.source("flights.json", {}, { maxBatchRows: 6000 }));
  assert.deepEqual(batches.map(({ rows }) => rows), [6000, 6000, 6000, 2000]);
  let delay = 0;
  for (const { table } of batches) {
    const [row] = await rig.rows(
      `SELECT sum((_payload->>'delay')::BIGINT)::BIGINT AS d FROM ${table}`,
    );
    delay += Number(row?.["d"]);
  }
  const flights = JSON.parse(text) as { delay: number }[];
  assert.equal(delay, flights.reduce((sum, flight) => sum + flight.delay, 0));
});

fileTest("Parquet columns keep their types, and may bring the event time", async (rig) => {
  const exported = await rig.session.exportParquet(
    "SELECT i::DECIMAL(38,2) AS d, {'a': [i]} AS s, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS _event_ts, " +
      "i AS _offset FROM range(10) r(i)",
    "snappy",
  );
  await Deno.rename(exported, `${rig.base}/a.parquet`);
  const batches = await rig.batches(await rig.source("*.parquet", {}, { maxBatchRows: 4 }));
  assert.deepEqual(batches.map(({ ranges }) => withoutSeal(ranges[0]?.to)), [
    "4",
    "8",
    "10;done",
  ]);
  const [first] = batches;
  assert.ok(first);
  assert.deepEqual(
    await rig.columns(first),
    [
      "d DECIMAL(38,2)",
      "STRUCT(a BIGINT[])",
      "_offset_1 BIGINT",
    ].map((column, at) => at === 1 ? `s ${column}` : column),
  );
  const [row] = await rig.rows(`SELECT epoch_ms(max(_event_ts)) AS t FROM ${first.table}`);
  assert.equal(row?.["t"], BigInt(Date.UTC(2024, 0, 1)));
});

fileTest("a missing base is an error that names it", async (rig) => {
  await assert.rejects(rig.source("*", { path: `${rig.base}/nope` }), {
    code: "file_unreadable",
    message: /nope/,
  });
});
