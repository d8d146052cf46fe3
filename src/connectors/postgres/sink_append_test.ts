import assert from "node:assert/strict";
import { Secret } from "../../core/secret.ts";
import { serviceTest } from "./test_rig.ts";

serviceTest("a missing table is created with types that hold every value", async (rig) => {
  const sink = await rig.sink({ table: { schema: `${rig.schema}_new`, name: "events" } });
  await rig.writeEpoch(
    sink,
    `SELECT 9223372036854775807 AS big, -170141183460469231731687303715884105727::HUGEINT AS huge,
     18446744073709551615::UBIGINT AS ubig, 123456789012345678.901::DECIMAL(38,3) AS dec,
     'nan'::DOUBLE AS nan, '-inf'::DOUBLE AS ninf, -0.0::DOUBLE AS negzero, 0.1::FLOAT AS real32, 5e-324::DOUBLE AS tiny,
     '' AS empty, NULL::VARCHAR AS nothing, 'a"b\\c' || chr(10) || 'd,é😀' || chr(13) AS text,
     TIMESTAMPTZ '2024-02-29 12:00:00.000001+00' AS tstz, TIMESTAMP '0044-03-15 (BC) 01:02:03' AS bc,
     TIMESTAMPTZ 'infinity' AS inf, DATE '2024-02-29' AS day, TIME '23:59:59.999999' AS clock,
     INTERVAL '-1 month 3 days -04:05:06.1' AS span, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID AS id,
     '\\x00\\xFF'::BLOB AS bytes, true AS flag,
     {'a': 12345678901234567, 'b': ['x', NULL], 'c': 'nan'::DOUBLE, 't': TIMESTAMPTZ '2024-01-01 00:00:00+00'} AS nested,
     MAP {'k': 1.50::DECIMAL(5,2)} AS map, 7::TINYINT AS tiny_int, '{"z": 1}'::JSON AS js`,
  );
  const [row] = await rig.select(`SELECT * FROM ${rig.schema}_new.events`);
  await rig.execute(`DROP SCHEMA ${rig.schema}_new CASCADE`);
  assert.deepEqual({ ...row }, {
    big: "9223372036854775807",
    huge: "-170141183460469231731687303715884105727",
    ubig: "18446744073709551615",
    dec: "123456789012345678.901",
    nan: "NaN",
    ninf: "-Infinity",
    negzero: "-0",
    real32: "0.1",
    tiny: "5e-324",
    empty: "",
    nothing: null,
    text: 'a"b\\c\nd,é😀\r',
    tstz: "2024-02-29 12:00:00.000001+00",
    bc: "0044-03-15 01:02:03 BC",
    inf: "infinity",
    day: "2024-02-29",
    clock: "23:59:59.999999",
    span: "-1 mons +3 days -04:05:06.1",
    id: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    bytes: "\\x00ff",
    flag: "t",
    nested: '{"a": 12345678901234567, "b": ["x", null], "c": null, "t": "2024-01-01T00:00:00Z"}',
    map: '{"k": 1.50}',
    tiny_int: "7",
    js: '{"z": 1}',
  });
  const notices = rig.observations.filter((observation) => observation.kind === "notice");
  assert.match(JSON.stringify(notices), /created the table/);
});

serviceTest("a lone text column keeps backslash-dot, empty and NULL apart", async (rig) => {
  const sink = await rig.sink();
  await rig.writeEpoch(
    sink,
    "SELECT * FROM (VALUES ('\\.'), (''), (NULL), ('a\\b'), ('x')) AS t(only_text)",
  );
  const rows = await rig.select(`SELECT only_text FROM ${rig.schema}.events`);
  assert.deepEqual(rows.map((row) => row["only_text"]), ["\\.", "", null, "a\\b", "x"]);
});

serviceTest("columns go by name, exactly or by their only spelling", async (rig) => {
  await rig.execute(
    "CREATE TABLE events (id bigint, \"Name\" text, note text DEFAULT 'd', extra int)",
  );
  const sink = await rig.sink();
  await rig.writeEpoch(sink, "SELECT 'n' AS name, 5 AS id");
  const [row] = await rig.select(`SELECT * FROM ${rig.schema}.events`);
  assert.deepEqual({ ...row }, { id: "5", Name: "n", note: "d", extra: null });
});

serviceTest("an unknown column at first contact is an error with the nearest name", async (rig) => {
  await rig.execute("CREATE TABLE events (id bigint, amount numeric)");
  const sink = await rig.sink();
  await sink.begin(1);
  const batch = await rig.batch("SELECT 1 AS id, 2 AS amonut");
  await assert.rejects(sink.write(batch, rig.session, new AbortController().signal), {
    code: "target_column_unknown",
    domain: "user",
    message: `the target table ${rig.schema}.events has no column "amonut"`,
    hint: /did you mean "amount"\?/,
  });
  await sink.abort();
});

serviceTest("a new column in mid-stream is added within the transaction", async (rig) => {
  const sink = await rig.sink();
  await rig.writeEpoch(sink, "SELECT 1 AS id");
  await sink.begin(2);
  const wider = "SELECT 2 AS id, 'x' AS label, [1, 2] AS list";
  await sink.write(await rig.batch(wider), rig.session, new AbortController().signal);
  await sink.abort();
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 1);
  await rig.writeEpoch(sink, wider);
  // A batch of the old shape still fits.
  await rig.writeEpoch(sink, "SELECT 3 AS id");
  const rows = await rig.select(`SELECT * FROM ${rig.schema}.events ORDER BY id`);
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { id: "1", label: null, list: null },
    { id: "2", label: "x", list: "[1, 2]" },
    { id: "3", label: null, list: null },
  ]);
});

serviceTest("with create = false nothing is created or added", async (rig) => {
  const sink = await rig.sink({ create: false });
  await sink.begin(1);
  const signal = new AbortController().signal;
  const batch = await rig.batch("SELECT 1 AS id");
  await assert.rejects(sink.write(batch, rig.session, signal), { code: "target_table_missing" });
  await sink.abort();
  await rig.execute("CREATE TABLE events (id int)");
  await rig.writeEpoch(sink, "SELECT 1 AS id");
  await sink.begin(2);
  const wider = await rig.batch("SELECT 2 AS id, 3 AS more");
  await assert.rejects(sink.write(wider, rig.session, signal), { code: "target_column_unknown" });
  await sink.abort();
});

serviceTest("a required column that the rows lack is named once, before any row", async (rig) => {
  await rig.execute("CREATE TABLE events (id int, customer text NOT NULL)");
  const sink = await rig.sink();
  await sink.begin(1);
  const batch = await rig.batch("SELECT 1 AS id, 'x' AS custmer");
  await assert.rejects(sink.write(batch, rig.session, new AbortController().signal), {
    code: "target_column_unknown",
  });
  const short = await rig.batch("SELECT 1 AS id");
  await assert.rejects(sink.write(short, rig.session, new AbortController().signal), {
    code: "target_column_required",
    message: /requires a value in "customer"/,
  });
});

serviceTest("types that cannot fit are an error naming the column", async (rig) => {
  await rig.execute("CREATE TABLE events (id int, tags text[], at timestamptz, n numeric)");
  const sink = await rig.sink();
  const signal = new AbortController().signal;
  for (const query of ["SELECT ['a'] AS tags", "SELECT 5 AS at", "SELECT true AS n"]) {
    await sink.begin(1);
    await assert.rejects(sink.write(await rig.batch(query), rig.session, signal), {
      code: "target_type_mismatch",
      message: new RegExp(`column "${/AS (\w+)/.exec(query)?.[1]}"`),
    });
    await sink.abort();
  }
});

serviceTest(
  "exotic types are left to the server, domains and generated columns respected",
  async (rig) => {
    await rig.execute(
      `CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> 'bad');
     CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, m mood, ip inet, tags text[], s short, n numeric,
       twice int GENERATED ALWAYS AS (1 + 1) STORED)`,
    );
    const sink = await rig.sink();
    const rejected = await rig.writeEpoch(
      sink,
      `SELECT * FROM (VALUES ('happy', '10.0.0.1', '{a,b}', 'abc', 123456789012345678901234567890.5),
       ('angry', '10.0.0.1', '{}', 'abc', 1), ('sad', 'nowhere', '{}', 'abc', 1),
       ('sad', '::1', '{}', 'abcd', 1), ('sad', '::1', '{}', 'bad', 1)) AS t(m, ip, tags, s, n)`,
    );
    assert.deepEqual(await rig.reasons(rejected), [
      '1: column "m": invalid input value for enum mood: "angry" [SQLSTATE 22P02]',
      '2: column "ip": invalid input syntax for type inet: "nowhere" [SQLSTATE 22P02]',
      '3: column "s" has 4 characters, too many for short',
      '4: value for domain short violates check constraint "short_check" [SQLSTATE 23514]',
    ]);
    const rows = await rig.select(`SELECT m, ip, tags, s, n, twice FROM ${rig.schema}.events`);
    assert.deepEqual(rows.map((row) => ({ ...row })), [{
      m: "happy",
      ip: "10.0.0.1",
      tags: "{a,b}",
      s: "abc",
      n: "123456789012345678901234567890.5",
      twice: "2",
    }]);
    await sink.begin(2);
    const batch = await rig.batch("SELECT 5 AS twice");
    await assert.rejects(sink.write(batch, rig.session, new AbortController().signal), {
      code: "target_column_generated",
    });
  },
);
serviceTest(
  "times with a zone are the same instants, whatever the role's own zone",
  async (rig) => {
    const times = [
      "2024-01-02 03:04:05.678901+02",
      "0001-01-01 00:00:00+00",
      "9999-12-31 23:59:59.999999+00",
      "12024-01-01 00:00:00+00",
      "infinity",
      "-infinity",
    ];
    const values = times.map((time, at) => `(${at}, TIMESTAMPTZ '${time}')`).join(", ");
    const sink = await rig.sink({
      options: { url: new Secret(`${rig.url()}%20-cTimeZone%3DAsia/Tokyo`) },
    });
    const query = `SELECT * FROM (VALUES ${values}, (6, NULL)) v(id, t)`;
    assert.deepEqual(await rig.reasons(await rig.writeEpoch(sink, query)), []);
    await rig.execute("SET TimeZone = 'UTC'");
    assert.deepEqual(
      (await rig.select("SELECT t FROM events ORDER BY id")).map(({ t }) => t),
      [
        "2024-01-02 01:04:05.678901+00",
        "0001-01-01 00:00:00+00",
        "9999-12-31 23:59:59.999999+00",
        "12024-01-01 00:00:00+00",
        "infinity",
        "-infinity",
        null,
      ],
    );
  },
);
