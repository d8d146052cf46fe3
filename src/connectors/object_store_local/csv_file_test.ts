import assert from "node:assert/strict";
import { fileTest, withoutSeal } from "./test_rig.ts";

fileTest("CSV columns get the narrowest type that keeps every value exactly", async (rig) => {
  const columns: Record<string, [string, string][]> = {
    "i BIGINT": [["1", "1"], ["-9223372036854775808", "-9223372036854775808"]],
    "h HUGEINT": [["1", "1"], ["9223372036854775808", "9223372036854775808"]],
    "d DOUBLE": [["1.5", "1.5"], ["0.1", "0.1"]],
    "long DECIMAL(38,18)": [
      ["0.123456789012345678", "0.123456789012345678"],
      ["12345678901234567890.5", "12345678901234567890.500000000000000000"],
    ],
    "zip VARCHAR": [["007", "007"], ["123", "123"]],
    "b BOOLEAN": [["true", "true"], ["FALSE", "false"]],
    "day DATE": [["2024-02-29", "2024-02-29"], ["1999-12-31", "1999-12-31"]],
    "t TIMESTAMP": [["2024-02-29T01:02:03", "2024-02-29 01:02:03"], [
      "2024-02-29 01:02:03.5",
      "2024-02-29 01:02:03.5",
    ]],
    "z TIMESTAMP WITH TIME ZONE": [["2024-02-29T01:02:03+02:00", "2024-02-28 23:02:03+00"], [
      "2024-02-29T01:02:03Z",
      "2024-02-29 01:02:03+00",
    ]],
    "mixed VARCHAR": [["1", "1"], ["x", "x"]],
    "empty VARCHAR": [["", "null"], ['""', ""]],
  };
  const names = Object.keys(columns).map((column) => column.split(" ")[0]);
  const line = (at: number) => Object.values(columns).map((values) => values[at]?.[0]).join(",");
  await rig.put("a.csv", `${names.join(",")}\n${line(0)}\n${line(1)}\n`);
  const [batch] = await rig.batches(await rig.source("a.csv"));
  assert.ok(batch);
  assert.deepEqual(await rig.columns(batch), Object.keys(columns));
  const texts = names.map((name) => `coalesce(${name}::VARCHAR, 'null') AS ${name}`).join(", ");
  const rows = await rig.rows(`SELECT ${texts} FROM ${batch.table} ORDER BY __flow_row`);
  for (const at of [0, 1]) {
    assert.deepEqual(Object.values(rows[at] ?? {}), Object.values(columns).map((c) => c[at]?.[1]));
  }
});

fileTest("broken CSV records are unreadable rows, all others are there", async (rig) => {
  await rig.put(
    "a.csv",
    'id,name\n0,a\n1\n2,"b\nb"\n3,c,d\n4,"e"f\n5,g\n',
  );
  await rig.put("a.csv", Uint8Array.of(0x36, 0x2c, 0xff, 0x0a), true);
  await rig.put("a.csv", '7,"open\n8,x\n', true);
  const [batch, ...more] = await rig.batches(await rig.source("a.csv"));
  assert.ok(batch?.unreadable);
  assert.equal(more.length, 0);
  assert.equal(batch.rows, 3);
  assert.deepEqual(await rig.rows(`SELECT id, name, _offset AS o FROM ${batch.table} ORDER BY o`), [
    { id: 0n, name: "a", o: 0n },
    { id: 2n, name: "b\nb", o: 2n },
    { id: 5n, name: "g", o: 5n },
  ]);
  const bad = await rig.rows(
    `SELECT _offset AS o, _payload AS p, _error AS e, _undecodable AS u, _partition AS part FROM ${batch.unreadable.table} ORDER BY o`,
  );
  assert.deepEqual(bad.map((row) => [Number(row["o"]), row["p"]]), [
    [1, "1"],
    [3, "3,c,d"],
    [4, '4,"e"f'],
    [6, null],
    [7, '7,"open\n8,x\n'],
  ]);
  assert.equal(bad[0]?.["part"], "a.csv");
  assert.deepEqual([...(bad[3]?.["u"] as Uint8Array)], [0x36, 0x2c, 0xff]);
  assert.match(String(bad[0]?.["e"]), /Columns/);
  assert.match(String(bad[4]?.["e"]), /quote is not closed/);
  assert.deepEqual(batch.ranges.map(({ to }) => withoutSeal(to)), ["8;done"]);
});

fileTest("bad records far apart keep the offsets of the good ones right", async (rig) => {
  const lines = Array.from({ length: 5000 }, (_l, at) => at % 7 === 3 ? `${at}` : `${at},x`);
  await rig.put("a.csv", `id,name\n${lines.join("\n")}`);
  const batches = await rig.batches(await rig.source("a.csv", {}, { maxBatchRows: 1500 }));
  let good = 0;
  let bad = 0;
  for (const batch of batches) {
    const [row] = await rig.rows(
      `SELECT count(*) FILTER (id <> _offset) AS wrong, count(*) AS n FROM ${batch.table}`,
    );
    assert.equal(row?.["wrong"], 0n);
    good += batch.rows;
    bad += batch.unreadable?.count ?? 0;
    assert.equal(Number(row?.["n"]), batch.rows);
  }
  assert.equal(bad, lines.filter((line) => !line.includes(",")).length);
  assert.equal(good + bad, 5000);
});

fileTest("CSV read options are honoured, in either spelling", async (rig) => {
  await rig.put("a.csv", "# a comment\n1;'it''s; ok';NA\n#x\n2;;NULL\n3;c\n");
  const read = { has_header: false, delimiter: ";", quote: "'", comment: "#" };
  const csv = { ...read, null_regex: "^(NA|NULL)$", truncated_rows_ok: true };
  for (
    const options of [{ csv_read_options: csv }, {
      read_options: { csv: { ...csv, delimiter: 59 } },
    }]
  ) {
    const [batch] = await rig.batches(await rig.source("a.csv", options));
    assert.ok(batch);
    assert.equal(batch.unreadable, undefined);
    assert.deepEqual(
      await rig.rows(
        `SELECT column_1 AS a, column_2 AS b, column_3 AS c FROM ${batch.table} ORDER BY a`,
      ),
      [
        { a: 1n, b: "it's; ok", c: null },
        { a: 2n, b: null, c: null },
        { a: 3n, b: "c", c: null },
      ],
    );
  }
  await rig.put("b.tsv", 'a\tb\n1\t"x\ty"\n');
  const [tsv] = await rig.batches(await rig.source("b.tsv"));
  assert.deepEqual(await rig.rows(`SELECT a, b FROM ${tsv?.table}`), [{ a: 1n, b: "x\ty" }]);
});

fileTest("types widen from batch to batch, or hold when they are asked to", async (rig) => {
  await rig.put("a.csv", "n,m\n1,\n2,\n3.5,\nx,7\n");
  const widening = await rig.batches(await rig.source("a.csv", {}, { maxBatchRows: 2 }));
  assert.deepEqual(await Promise.all(widening.map((batch) => rig.columns(batch))), [
    ["n BIGINT", "m VARCHAR"],
    ["n VARCHAR", "m BIGINT"],
  ]);
  const fixed = await rig.batches(
    await rig.source("a.csv", { csv_read_options: { schema_infer_max_records: 2 } }),
  );
  assert.deepEqual(fixed.map(({ rows, unreadable }) => [rows, unreadable?.count]), [[2, 2]]);
  const errors = await rig.rows(
    `SELECT _error AS e, _payload AS p FROM ${fixed[0]?.unreadable?.table}`,
  );
  assert.deepEqual(errors, [
    { e: "column n: '3.5' is not BIGINT", p: "3.5," },
    { e: "column n: 'x' is not BIGINT", p: "x,7" },
  ]);
});

fileTest("headers of all kinds become usable columns", async (rig) => {
  await rig.put(
    "a.csv",
    '\uFEFFid,"a ""b""",ID,,_offset,_event_ts\n1,2,3,4,5,2024-01-01T00:00:00Z\n',
  );
  const [batch] = await rig.batches(await rig.source("a.csv"));
  assert.ok(batch);
  assert.deepEqual(await rig.columns(batch), [
    "id BIGINT",
    'a "b" BIGINT',
    "ID_1 BIGINT",
    "column_4 BIGINT",
    "_offset_1 BIGINT",
  ]);
  assert.deepEqual(
    await rig.rows(`SELECT epoch_ms(_event_ts) AS t, _offset AS o FROM ${batch.table}`),
    [
      { t: BigInt(Date.UTC(2024, 0, 1)), o: 0n },
    ],
  );
});

fileTest("a file of one column keeps its NULLs, empty files give nothing", async (rig) => {
  await rig.put("in/a.csv", 'v\n1\n\n""\n');
  await rig.put("in/b.csv", "");
  await rig.put("in/c.csv", "only,a,header\n");
  const batches = await rig.batches(await rig.source("in"));
  assert.equal(batches.length, 1);
  assert.deepEqual(
    await rig.rows(`SELECT v FROM ${batches[0]?.table} ORDER BY _offset`),
    [{ v: "1" }, { v: null }, { v: "" }],
  );
});
