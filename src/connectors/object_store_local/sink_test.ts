import assert from "node:assert/strict";
import { ROW_COLUMN } from "../../core/batch.ts";
import { quoteLiteral } from "../../core/schema.ts";
import { objectStoreLocalConnector } from "./connector.ts";
import { fileError } from "./byte_stream.ts";
import { uuidV7 } from "./durable_file.ts";
import { type FileRig, fileTest } from "./test_rig.ts";

const never = new AbortController().signal;

async function write(rig: FileRig, options: Record<string, unknown>, query: string) {
  const sink = await rig.sink(options);
  const table = rig.engine.newName("batch");
  await rig.session.run(
    `CREATE TABLE ${table} AS SELECT *, row_number() OVER () - 1 AS ${ROW_COLUMN} FROM (${query})`,
  );
  const described = await rig.session.rows<{ column_name: string; column_type: string }>(
    `DESCRIBE SELECT * EXCLUDE (${ROW_COLUMN}) FROM ${table}`,
  );
  const columns = described.map((c) => ({ name: c.column_name, type: c.column_type }));
  const [count] = await rig.session.rows<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`);
  await sink.begin(1);
  const rejected = await sink.write(
    { table, columns, hasRowColumn: true, rows: Number(count?.n) },
    rig.session,
    never,
  );
  await sink.commit([]);
  await sink.close();
  return rejected;
}

/** Paths of all files below the base, with their contents as text. */
async function files(rig: FileRig, folder = ""): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for await (const entry of Deno.readDir(`${rig.base}/${folder}`)) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) found.push(...await files(rig, `${path}/`));
    else found.push([path, await Deno.readTextFile(`${rig.base}/${path}`)]);
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

fileTest("writes a file per batch, named by a UUID of version 7, and nothing else", async (rig) => {
  await write(rig, { prefix: "out/raw", format: "json" }, "SELECT 1 AS z, 'x' AS a, NULL AS m");
  await write(rig, { prefix: "out/raw/", format: "json_lines" }, "SELECT 2 AS z");
  const found = await files(rig);
  assert.equal(found.length, 2);
  for (const [path] of found) assert.match(path, new RegExp(`^out/raw/${UUID}\\.jsonl$`));
  assert.deepEqual(found.map(([, text]) => text), ['{"z":1,"a":"x","m":null}\n', '{"z":2}\n']);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(rig.engine.scratchDir)), []);
});

fileTest("CSV is written in the dialect asked for", async (rig) => {
  const query = "SELECT 1 AS id, 'a;b''c' AS t, NULL AS n, '' AS e, [1] AS l, " +
    "TIMESTAMPTZ '2024-01-01 00:00:00+00' AS at, '\\xAB'::BLOB AS b";
  await write(rig, { format: "csv", prefix: "a" }, query);
  await write(rig, {
    format: "csv",
    prefix: "b",
    csv_delimiter: ";",
    csv_header: false,
    csv_quote: "'",
    csv_escape: "\\",
    csv_null_value: "\\N",
  }, query);
  assert.deepEqual((await files(rig)).map(([, text]) => text), [
    'id,t,n,e,l,at,b\n1,a;b\'c,,"",[1],2024-01-01T00:00:00Z,ab\n',
    "1;'a;b\\'c';\\N;'';[1];2024-01-01T00:00:00Z;ab\n",
  ]);
});

fileTest("what one dialect has written is read back in the same dialect", async (rig) => {
  const texts = [
    "",
    "a",
    "it's",
    "'",
    "\\",
    "\\'",
    "'\\",
    "a\nb",
    "a\r\nb",
    ";",
    '"',
    "#x",
    " a ",
    "é😀",
  ];
  const values = texts.map((text, at) => `(${at}, ${quoteLiteral(text)})`).join(", ");
  const dialects: { write: Record<string, unknown>; read: Record<string, unknown> }[] = [
    { write: {}, read: {} },
    {
      write: { csv_quote: "'", csv_escape: "\\", csv_null_value: "\\N", csv_delimiter: ";" },
      read: { quote: "'", escape: "\\", null_regex: "^\\\\N$", delimiter: ";" },
    },
    { write: { csv_quote: "'" }, read: { quote: "'" } },
  ];
  for (const [at, { write: options, read }] of dialects.entries()) {
    const prefix = `d${at}`;
    await write(
      rig,
      { format: "csv", prefix, ...options },
      `SELECT * FROM (VALUES ${values}, (99, NULL)) v(id, "the; 'text'")`,
    );
    const [batch] = await rig.batches(await rig.source(prefix, { csv_read_options: read }));
    assert.equal(batch?.unreadable, undefined);
    assert.deepEqual(
      await rig.rows(`SELECT "the; 'text'" AS t FROM ${batch?.table} ORDER BY id`),
      [...texts, null].map((t) => ({ t })),
    );
  }
});

fileTest("a value that is too long for a folder's name refuses its row", async (rig) => {
  // 'day=' and 251 bytes are just short enough; an ü takes six.
  const rejected = await write(
    rig,
    { format: "json_lines", partition_by: ["day"] },
    "SELECT * FROM (VALUES (1, repeat('x', 251)), (2, repeat('x', 252)), (3, repeat('ü', 42)), (4, NULL)) AS t(id, day)",
  );
  const reasons = await rig.session.rows(
    `SELECT ${ROW_COLUMN} AS r, _error AS e FROM ${rejected?.table} ORDER BY r`,
  );
  const e =
    "column day: the value is too long for the name of a folder, which has 255 bytes at most";
  assert.deepEqual(reasons, [{ r: 1n, e }, { r: 2n, e }]);
  assert.deepEqual((await files(rig)).map(([, text]) => text).sort(), ['{"id":1}\n', '{"id":4}\n']);
});

fileTest("partition_by makes folders", async (rig) => {
  await write(
    rig,
    { format: "json_lines", partition_by: ["day", "country"] },
    "SELECT * FROM (VALUES (1, DATE '2024-01-01', 'DE'), (2, DATE '2024-01-01', 'a/b '), " +
      "(3, DATE '2024-01-02', NULL), (4, DATE '2024-01-01', 'DE')) v(id, day, country)",
  );
  const found = await files(rig);
  assert.deepEqual(found.map(([path, text]) => [path.replace(/[^/]*$/, ""), text]), [
    ["day=2024-01-01/country=DE/", '{"id":1}\n{"id":4}\n'],
    ["day=2024-01-01/country=a%2Fb%20/", '{"id":2}\n'],
    ["day=2024-01-02/country=__HIVE_DEFAULT_PARTITION__/", '{"id":3}\n'],
  ]);
  await assert.rejects(
    write(rig, { format: "csv", partition_by: ["nope"] }, "SELECT 1 AS id"),
    { code: "target_column_unknown", message: /nope/ },
  );
});

fileTest(
  "rows of which no column is left for the file are refused, with the reason",
  async (rig) => {
    const reasons = async (rejected: Awaited<ReturnType<typeof write>>) =>
      await rig.rows(
        `SELECT _error AS e, ${ROW_COLUMN}::INT AS r FROM ${rejected?.table} ORDER BY r`,
      );
    const partitioned = await write(
      rig,
      { format: "csv", partition_by: ["day"] },
      "SELECT 1 AS day UNION ALL SELECT 2",
    );
    assert.equal(partitioned?.count, 2);
    assert.deepEqual(await reasons(partitioned), [
      { e: "partition_by leaves no column for the file", r: 0 },
      { e: "partition_by leaves no column for the file", r: 1 },
    ]);
    await rig.session.run(`CREATE TABLE bare AS SELECT 0::BIGINT AS ${ROW_COLUMN}`);
    for (const format of ["parquet", "csv", "json"]) {
      const sink = await rig.sink({ format });
      await sink.begin(1);
      const batch = { table: "bare", columns: [], hasRowColumn: true, rows: 1 };
      const rejected = await sink.write(batch, rig.session, never);
      const expected = format === "json"
        ? undefined
        : [{ e: `the row has no fields, which ${format} cannot hold`, r: 0 }];
      assert.deepEqual(rejected && await reasons(rejected), expected);
      await sink.close();
    }
    assert.deepEqual((await files(rig)).map(([, text]) => text), ["{}\n"]);
  },
);

fileTest("Parquet keeps long integers, and returns those that it cannot hold", async (rig) => {
  const rejected = await write(
    rig,
    { format: "parquet", parquet_compression: "zstd" },
    "SELECT * FROM (VALUES (99999999999999999999999999999999999999::HUGEINT, {'a': 1::HUGEINT}), " +
      "(170141183460469231731687303715884105727::HUGEINT, NULL)) v(h, s)",
  );
  assert.deepEqual(await rig.rows(`SELECT * FROM ${rejected?.table}`), [{
    _error:
      "column h: 170141183460469231731687303715884105727 has more than 38 digits, which Parquet cannot hold",
    [ROW_COLUMN]: 1n,
  }]);
  const [batch] = await rig.batches(await rig.source(""));
  assert.ok(batch);
  assert.deepEqual(await rig.columns(batch), ["h DECIMAL(38,0)", "s STRUCT(a DECIMAL(38,0))"]);
  assert.deepEqual(await rig.rows(`SELECT h::VARCHAR AS h FROM ${batch.table}`), [
    { h: "99999999999999999999999999999999999999" },
  ]);
});

fileTest("what an abort leaves is gone, and what a crash leaves is not read", async (rig) => {
  await rig.put("out/.018f-dead.jsonl.tmp", '{"half":');
  await write(rig, { prefix: "out", format: "json" }, "SELECT 1 AS id");
  assert.deepEqual(await rig.payloads("out"), ['{"id":1}']);
});

Deno.test("options that do not go with the format are refused", () => {
  const sink = (options: Record<string, unknown>) => () =>
    objectStoreLocalConnector.createSink?.({
      options: { path: "x", prefix: "", partition_by: [], ...options },
      mode: "append",
      keys: [],
      create: true,
    });
  for (
    const [options, message] of [
      [
        { format: "csv", parquet_compression: "zstd" },
        "parquet_compression='zstd' only applies when format='parquet'; got format='csv'",
      ],
      [
        { format: "json", csv_delimiter: ";" },
        "csv_delimiter=';' only applies when format='csv'; got format='json'",
      ],
      [
        { format: "csv", json_read_options: { batch_size: 3 } },
        "json_read_options only applies when format='json' or 'json_lines'; got format='csv'",
      ],
      [
        { read_options: { csv: {} } },
        "csv_read_options only applies when format='csv'; got format='parquet'",
      ],
    ] as const
  ) assert.throws(sink(options), { message, code: "definition_invalid" });
  assert.throws(
    () =>
      objectStoreLocalConnector.createSink?.({
        options: { path: "x", prefix: "", partition_by: [] },
        mode: "merge",
        keys: [],
        create: true,
      }),
    { code: "definition_invalid", message: /merge/ },
  );
});

Deno.test("uuidV7 sorts by time, also within a millisecond and when the clock goes back", () => {
  const made = Array.from({ length: 10_000 }, (_id, at) => uuidV7(1_700_000_000_000 - at % 3));
  assert.equal(new Set(made).size, made.length);
  assert.deepEqual(made, made.toSorted());
  assert.match(made[0] ?? "", new RegExp(`^${UUID}$`));
});

Deno.test("a file that may not be read is told with flow's own flag only", () => {
  const advice = 'Requires read access to "/x", specify the required permissions during ' +
    "compilation using `deno compile --allow-read`";
  const { message, hint } = fileError("/x", new Deno.errors.NotCapable(advice));
  assert.equal(message, "cannot use '/x': flow is not permitted to");
  assert.equal(hint, "start flow with --allow-read=/x");
});
