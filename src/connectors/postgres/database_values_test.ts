import assert from "node:assert/strict";
import fc from "fast-check";
import { FlowError } from "../../core/error.ts";
import type { SqlValue } from "../../core/session.ts";
import { databaseTest } from "./test_database_rig.ts";

/** Values that are easily changed on their way: in Postgres, and how the engine writes them. */
const VALUES: readonly (readonly [sql: string, engine: string | null])[] = [
  ["9223372036854775807::bigint", "9223372036854775807"],
  ["(-32768)::smallint", "-32768"],
  [
    "12345678901234567890123456.789012345678::numeric(38,12)",
    "12345678901234567890123456.789012345678",
  ],
  ["0.10::numeric(10,2)", "0.10"],
  ["123456789012345678901234567890.5::numeric", "123456789012345678901234567890.5"],
  ["'NaN'::numeric", "NaN"],
  ["5e-324::float8", "5e-324"],
  ["'-0'::float8", "-0.0"],
  ["'NaN'::float8", "nan"],
  ["'-Infinity'::float8", "-inf"],
  ["1.1::float4", "1.1"],
  ["true", "true"],
  ["false", "false"],
  ["''::text", ""],
  ["NULL::text", null],
  ["NULL::int", null],
  ["NULL::bytea", null],
  ["'NULL'::text", "NULL"],
  ["'\\N'::text", "\\N"],
  ["'\\.'::text", "\\."],
  [
    "' \"a\"\",b;' || chr(9) || chr(10) || chr(13) || '|\\x' || chr(13) || chr(10)",
    ' "a"",b;\t\n\r|\\x\r\n',
  ],
  ["'é😀'::text", "é😀"],
  ["'ab'::char(5)", "ab"],
  ["'\\x00ff410a5c'::bytea", "\\x00\\xFFA\\x0A\\x5C"],
  ["'\\x'::bytea", ""],
  ["'infinity'::timestamptz", "infinity"],
  ["'-infinity'::timestamp", "-infinity"],
  ["'infinity'::date", "infinity"],
  ["'2024-02-29 23:59:59.123456+05:30'::timestamptz", "2024-02-29 18:29:59.123456+00"],
  ["'0044-03-15 BC'::date", "0044-03-15 (BC)"],
  ["'0044-03-15 01:02:03.5+00 BC'::timestamptz", "0044-03-15 (BC) 01:02:03.5+00"],
  ["'0044-03-15 01:02:03 BC'::timestamp", "0044-03-15 (BC) 01:02:03"],
  ["'12000-01-01 00:00:00.000001'::timestamp", "12000-01-01 00:00:00.000001"],
  ["'24:00:00'::time", "24:00:00"],
  ["'12:00:00.5+05:30'::timetz", "12:00:00.5+05:30"],
  ["interval '1 year 2 mons -3 days 04:05:06.789'", "1 year 2 months -3 days 04:05:06.789"],
  ["interval '-1 years +3 days -04:05:06.000001'", "-1 year 3 days -04:05:06.000001"],
  ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  [`'{"a": 1e400, "b": "\\u00e9\\"\\n"}'::json`, '{"a": 1e400, "b": "\\u00e9\\"\\n"}'],
  [`'{"a": [1, null]}'::jsonb`, '{"a": [1, null]}'],
  ["ARRAY['a,b', NULL, '\"']", '{"a,b",NULL,"\\""}'],
  ["'::1/64'::inet", "::1/64"],
];

const ALL = VALUES.map(([sql], at) => `${sql} AS v${at}`).join(", ");
const EXPECTED = Object.fromEntries(VALUES.map(([, text], at) => [`v${at}`, text]));

databaseTest("values arrive in the engine as they are", async (rig) => {
  const session = await rig.connect();
  assert.deepEqual(await rig.texts(session, `SELECT ${ALL}`), [EXPECTED]);
});

databaseTest("a lone column arrives, too", async (rig) => {
  const session = await rig.connect();
  for (const [sql, text] of VALUES) {
    const rows = await rig.texts(session, `SELECT ${sql} AS v FROM generate_series(1, 3)`);
    assert.deepEqual(rows.map((row) => row["v"]), [text, text, text], sql);
  }
});

databaseTest("a query without rows gives no piece", async (rig) => {
  const session = await rig.connect();
  assert.deepEqual(await rig.texts(session, "SELECT 1 AS a WHERE false -- nothing"), []);
});

databaseTest(
  "values are bound to queries that are copied, with the types that the query asks for",
  async (rig) => {
    const session = await rig.connect();
    await session.run("CREATE TYPE mood AS ENUM ('good', 'bad')");
    const params: readonly SqlValue[] = [
      7n,
      'it\'s $1 \\ "x"',
      new Uint8Array([0, 39, 255]),
      null,
      true,
      "bad",
      "2026-01-01T00:00:00+02:00",
      "",
      null,
    ];
    const query =
      "SELECT $1 + 1::bigint AS a, $2::text AS b, $3::bytea AS c, $4::int AS d, $5 AND true AS e, " +
      "($6::mood)::text AS f, $7::timestamptz AS g, $8::text AS h, '$9' AS i, $9 IS NULL AS j -- $1";
    const expected = {
      a: "8",
      b: 'it\'s $1 \\ "x"',
      c: "\\x00'\\xFF".replace("'", "\\x27"),
      d: null,
      e: "true",
      f: "bad",
      g: "2025-12-31 22:00:00+00",
      h: "",
      i: "$9",
      j: "true",
    };
    assert.deepEqual(await rig.texts(session, query, params), [expected]);
    await session.begin();
    assert.deepEqual(await rig.texts(session, query, params), [expected]);
    await session.commit();
  },
);

databaseTest("rows come in pieces, long ones and all", async (rig) => {
  const session = await rig.connect();
  const query =
    "SELECT i, repeat(chr(65 + i % 26), CASE i WHEN 500 THEN 9000000 ELSE 100000 END) " +
    "|| CASE WHEN i % 7 = 0 THEN E'\\n\"' ELSE '' END AS x FROM generate_series(1, 1000) i";
  const pieces = await rig.readInto(session, "long_rows", query);
  assert.ok(pieces >= 3, `${pieces} pieces`);
  const [engine] = await rig.rig.session.rows(
    "SELECT count(*) AS n, CAST(sum(length(x)) AS BIGINT) AS l, md5(string_agg(md5(x), '' ORDER BY i)) AS h FROM long_rows",
  );
  const [server] = await session.rows(
    `SELECT count(*) AS n, sum(length(x)) AS l, md5(string_agg(md5(x), '' ORDER BY i)) AS h FROM (${query}) q`,
  );
  assert.deepEqual(engine, server);
});

databaseTest("what was read is loaded as it was", async (rig) => {
  const session = await rig.connect();
  await session.run(
    `CREATE TABLE a AS SELECT 1 AS id, ${ALL} UNION ALL SELECT 2, ${
      VALUES.map(() => "NULL").join(", ")
    }`.replaceAll(/::char\(5\)/g, "::text"),
  );
  await session.run("CREATE TABLE b (LIKE a)");
  await rig.readInto(session, "copied", "TABLE a");
  const rows = await session.load(
    await rig.target(session, "b"),
    "SELECT * FROM copied",
    rig.rig.session,
  );
  assert.equal(rows, 2);
  const text = (table: string) =>
    session.rows(`SELECT t::text AS row FROM ${table} AS t ORDER BY id`);
  assert.deepEqual(await text("b"), await text("a"));
});

databaseTest("a lone text column is loaded as it is", async (rig) => {
  const session = await rig.connect();
  await session.run("CREATE TABLE t (x text)");
  const values = ["\\.", "", "a\\b", "\\N", "x,y", "'\"", "\n"];
  await rig.rig.session.run(
    "CREATE TABLE lone AS SELECT unnest(from_json($1, '[\"VARCHAR\"]')) AS x UNION ALL SELECT NULL",
    [
      JSON.stringify(values),
    ],
  );
  assert.equal(
    await session.load(await rig.target(session, "t"), "SELECT * FROM lone", rig.rig.session),
    values.length + 1,
  );
  const found = await session.rows<{ x: string | null }>("SELECT x FROM t");
  assert.deepEqual(found.map(({ x }) => x).toSorted(), [...values, null].toSorted());
});

databaseTest("many rows are loaded in order, slice by slice", async (rig) => {
  const session = await rig.connect();
  await session.run("CREATE TABLE t (i bigint, x text)");
  const rows = 200_001;
  const query = `SELECT i, 'row ' || i AS x FROM range(${rows}) r (i)`;
  assert.equal(await session.load(await rig.target(session, "t"), query, rig.rig.session), rows);
  assert.deepEqual(
    await session.rows("SELECT count(*) AS n, sum(i) AS s, count(DISTINCT x) AS d FROM t"),
    [{ n: BigInt(rows), s: String(rows * (rows - 1) / 2), d: BigInt(rows) }],
  );
  assert.equal(
    await session.load(await rig.target(session, "t"), `${query} LIMIT 0`, rig.rig.session),
    0,
  );
});

databaseTest(
  "a value or constraint that does not fit is load_rejected, with column and value",
  async (rig) => {
    const session = await rig.connect();
    const engine = rig.rig.session;
    await session.run(
      "CREATE TYPE mood AS ENUM ('good'); " +
        "CREATE TABLE t (id int PRIMARY KEY, small int CHECK (small > 0), must text NOT NULL, amount numeric(5,2), code varchar(2), m mood)",
    );
    const target = await rig.target(session, "t");
    const load = (values: string) =>
      session.load(
        target,
        `SELECT * FROM (VALUES (${values})) v (id, small, must, amount, code, m)`,
        engine,
      );
    const fine = "1, 1, 'x', 1.25, 'ab', 'good'";
    for (
      const [values, message, details] of [
        ["1, 1, NULL, 1, 'ab', 'good'", /"must".*not-null/, { column: "must", table: "t" }],
        ["1, 0, 'x', 1, 'ab', 'good'", /t_small_check/, { constraint: "t_small_check" }],
        [
          "1, 1, 'x', 1.255, 'ab', 'good'",
          /"amount": the value '1\.255' does not fit numeric\(5,2\)/,
          {},
        ],
        ["1, 1, 'x', 1, 'abc', 'good'", /too long for type character varying\(2\)/, {
          column: "code",
        }],
        ["1, 1, 'x', 1, 'ab', 'worse'", /enum mood: "worse"/, { column: "m" }],
        [
          "5000000000, 1, 'x', 1, 'ab', 'good'",
          /"id": the value '5000000000' does not fit integer/,
          {},
        ],
        [`${fine}), (${fine}`, /t_pkey.*\(id\)=\(1\)/, { constraint: "t_pkey" }],
      ] as const
    ) {
      const error = await load(values).then(() => undefined, (error: unknown) => error);
      assert.ok(error instanceof FlowError, values);
      assert.deepEqual([error.code, error.domain, error.retryable], [
        "load_rejected",
        "user",
        false,
      ]);
      assert.match(error.message, message);
      assert.partialDeepStrictEqual(error.details, details);
    }
    assert.equal(await load(fine), 1);
    await assert.rejects(
      session.load(target, "SELECT 1 AS id, 1, 'x', {'a': 1}, 'ab', 'good'", engine),
      { code: "target_type_mismatch" },
    );
  },
);

databaseTest("rows go from one session to another as they are", async (rig) => {
  const [from, to] = [await rig.connect(), await rig.connect()];
  await from.run(`CREATE TABLE a AS SELECT i AS id, ${ALL} FROM generate_series(1, 5000) i`);
  await from.run("CREATE TABLE b (LIKE a)");
  assert.ok(from.native && to.native);
  await from.begin();
  await to.begin();
  const target = await rig.target(to, "b");
  const rows = await to.native.loadIn(
    target,
    await from.native.readOut("SELECT * FROM a WHERE id > $1 OR $2 IS NULL", [10n, "x"], target),
  );
  assert.equal(rows, 4990);
  await to.commit();
  await from.commit();
  assert.deepEqual(
    await from.rows("SELECT a::text AS row FROM a WHERE id > 10 EXCEPT ALL SELECT b::text FROM b"),
    [],
  );
});

databaseTest(
  "values of every type go from one session to another, in binary or as text",
  async (rig) => {
    const [from, to] = [await rig.connect(), await rig.connect()];
    const formats = new Set<string>();
    for (const [at, [sql]] of VALUES.entries()) {
      await from.run(`CREATE TABLE a${at} AS SELECT ${sql} AS v UNION ALL SELECT NULL`);
      await from.run(`CREATE TABLE b${at} (LIKE a${at})`);
      const target = await rig.target(to, `b${at}`);
      const rows = await from.native?.readOut(`SELECT v FROM a${at}`, [], target) ?? assert.fail();
      formats.add(rows.format);
      assert.equal(await to.native?.loadIn(target, rows), 2, sql);
      assert.deepEqual(
        await from.rows(`SELECT v::text AS v FROM b${at}`),
        await from.rows(`SELECT v::text AS v FROM a${at}`),
        sql,
      );
    }
    assert.deepEqual([...formats].sort(), ["binary", "text"]);
  },
);

databaseTest("lengths are checked by the target, whatever the format", async (rig) => {
  const [from, to] = [await rig.connect(), await rig.connect()];
  await from.run("CREATE TABLE t (a varchar(3), b numeric(6,2))");
  const target = await rig.target(to, "t");
  const copy = async (query: string) => {
    const rows = await from.native?.readOut(query, [], target) ?? assert.fail();
    assert.equal(rows.format, "binary");
    return await to.native?.loadIn(target, rows);
  };
  assert.equal(await copy("SELECT 'abc'::text, 1.5::numeric"), 1);
  await assert.rejects(copy("SELECT 'abcd'::varchar, 1.5::numeric"), { code: "load_rejected" });
  await assert.rejects(copy("SELECT 'abc'::text, 12345.5::numeric"), { code: "load_rejected" });
  assert.deepEqual(await from.rows("SELECT a, b::text AS b FROM t"), [{ a: "abc", b: "1.50" }]);
});

databaseTest("a failure on either side of a native copy ends both and is told", async (rig) => {
  const [from, to] = [await rig.connect(), await rig.connect()];
  await from.run("CREATE TABLE t (a int)");
  assert.ok(from.native && to.native);
  const target = await rig.target(to, "t");
  const copy = async (query: string) =>
    await to.native?.loadIn(target, await from.native?.readOut(query, [], target) ?? assert.fail());
  const failing = "SELECT 1 / (i - 300000) FROM generate_series(1, 1000000) i";
  await assert.rejects(copy(failing), {
    code: "query_invalid",
    message: /division by zero/,
  });
  const unfit =
    "SELECT CASE i WHEN 5 THEN 'five' ELSE i::text END FROM generate_series(1, 3000000) i";
  await assert.rejects(copy(unfit), {
    code: "load_rejected",
    message: /invalid input syntax for type integer: "five"/,
  });
  assert.deepEqual(await from.rows("SELECT count(*) AS n FROM t"), [{ n: 0n }]);
  assert.equal(await copy("SELECT 1"), 1);
});

databaseTest("any text arrives, between others and alone, and goes back", async (rig) => {
  const session = await rig.connect();
  await session.run("CREATE TABLE t (id int, a text, b text)");
  const target = await rig.target(session, "t");
  const piece = fc.constantFrom(
    '"',
    ",",
    "\n",
    "\r",
    "\\",
    ".",
    "N",
    "'",
    " ",
    "\t",
    "$1",
    "é",
    "😀",
    "\u2028",
  );
  const text = fc.option(fc.array(piece, { maxLength: 6 }).map((parts) => parts.join("")));
  const rows = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(rows, async (pairs) => {
      const made =
        "SELECT CAST(j->>0 AS int) AS id, j->>1 AS a, j->>2 AS b FROM json_array_elements($1::json) AS j";
      const json = JSON.stringify(pairs.map(([a, b], at) => [at, a, b]));
      const expected = pairs.map(([a, b], at) => ({ id: String(at), a, b }));
      assert.deepEqual(await rig.texts(session, made, [json]), expected);
      assert.deepEqual(
        await rig.texts(session, `SELECT a FROM (${made}) AS q`, [json]),
        pairs.map(([a]) => ({ a })),
      );
      await rig.readInto(session, "any_text", made, [json]);
      await session.load(target, "SELECT * FROM any_text", rig.rig.session);
      assert.deepEqual(
        await session.rows("SELECT id::text AS id, a, b FROM t ORDER BY t.id"),
        expected,
      );
      await session.run("TRUNCATE t");
    }),
    { numRuns: 60, seed: 7 },
  );
});
