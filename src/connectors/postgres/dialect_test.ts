import assert from "node:assert/strict";
import { duckdbDialect } from "../../sql/dialect.ts";
import { postgresDialect } from "./dialect.ts";
import { databaseTest } from "./test_database_rig.ts";

/** Expressions that mean the same to Postgres and the engine, with their type. */
const SAME: readonly (readonly [sql: string, type: string, engineSql?: string])[] = [
  ["true", "BOOLEAN"],
  ["CAST(-5 AS smallint)", "SMALLINT"],
  ["CAST(9223372036854775807 AS bigint)", "BIGINT"],
  ["CAST('0.10' AS DECIMAL(10,2))", "DECIMAL(10,2)"],
  ["CAST('0.001' AS DECIMAL(3,3))", "DECIMAL(3,3)"],
  ["CAST('12345678901234567890.5' AS DECIMAL(38,4))", "DECIMAL(38,4)"],
  ["'é😀 it''s'", "VARCHAR"],
  ["''", "VARCHAR"],
  ["CAST(NULL AS varchar)", "VARCHAR"],
  ["CAST('2026-01-01 00:00:00.5+00' AS timestamptz)", "TIMESTAMP WITH TIME ZONE"],
  ["CAST('2026-01-01 10:20:30.123456+02' AS timestamptz)", "TIMESTAMP WITH TIME ZONE"],
  ["CAST('infinity' AS timestamptz)", "TIMESTAMP WITH TIME ZONE"],
  ["CAST('2026-01-01 10:00:00' AS timestamp)", "TIMESTAMP"],
  ["CAST('12026-01-01 10:00:00' AS timestamp)", "TIMESTAMP"],
  ["CAST('2026-02-28' AS date)", "DATE"],
  ["CAST('10:20:30.5' AS time)", "TIME"],
  ["CAST('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS uuid)", "UUID"],
  ["CAST('1 year 2 months 3 days 04:05:06.5' AS interval)", "INTERVAL"],
  ["CAST('1 month' AS interval)", "INTERVAL"],
];

const DOUBLES = [
  "0",
  "-0",
  "1",
  "-1",
  "0.1",
  "1e-4",
  "1.5e-4",
  "1e-5",
  "123456.5",
  "1e14",
  "1e15",
  "-1234567890123456",
  "9007199254740993",
  "1e16",
  "1.5e16",
  "1e17",
  "1.2345678901234567e22",
  "1e100",
  "5e-324",
  "1.7976931348623157e308",
  "NaN",
  "infinity",
  "-infinity",
  "3.141592653589793",
];
const FLOATS = [
  "0",
  "-0",
  "1",
  "0.1",
  "1e-4",
  "1e-5",
  "999999",
  "1000000",
  "1234567",
  "16777216",
  "1e9",
  "1.6e10",
  "1e15",
  "1e16",
  "3.4028235e38",
  "1e-45",
  "NaN",
  "infinity",
  "123456.7",
  "1234567.9",
];

databaseTest("hashes of rows are those of the engine", async (rig) => {
  const session = await rig.connect();
  const all = [
    ...SAME,
    ...DOUBLES.map((text) => [`CAST('${text}' AS double precision)`, "DOUBLE"] as const),
    ...FLOATS.map((text) => [`CAST('${text}' AS real)`, "FLOAT"] as const),
  ];
  for (const [sql, type] of all) {
    const values = [{ sql, type }, { sql: "'next'", type: "VARCHAR" }];
    const [here] = await session.rows<{ h: Uint8Array }>(
      `SELECT ${postgresDialect.rowHash(values)} AS h`,
    );
    const [there] = await rig.rig.session.rows<{ h: Uint8Array }>(
      `SELECT ${duckdbDialect.rowHash(values)} AS h`,
    );
    assert.equal(here?.h.length, 32);
    assert.equal(here?.h.toHex(), there?.h.toHex(), `${sql}`);
  }
});

const CASTS: readonly (readonly [sql: string, from: string, to: string, text: string | null])[] = [
  ["'12'", "VARCHAR", "BIGINT", "12"],
  ["' 12.00 '", "VARCHAR", "INTEGER", "12"],
  ["12.50::numeric", "VARCHAR", "DECIMAL(10,1)", "12.5"],
  ["(SELECT avg(x) FROM (VALUES (1), (3)) t (x))", "VARCHAR", "BIGINT", "2"],
  ["2.0::numeric(5,1)", "DECIMAL(5,1)", "SMALLINT", "2"],
  ["2::float8", "DOUBLE", "INTEGER", "2"],
  ["0.1::float8", "DOUBLE", "DECIMAL(10,3)", "0.100"],
  ["123456789.123456789::float8", "DOUBLE", "DECIMAL(20,8)", "123456789.12345679"],
  ["9007199254740992", "BIGINT", "DOUBLE", "9.007199254740992e+15"],
  ["127", "INTEGER", "TINYINT", "127"],
  ["18446744073709551615", "DECIMAL(38,0)", "UBIGINT", "18446744073709551615"],
  ["true", "BOOLEAN", "BIGINT", "1"],
  ["1::bigint", "BIGINT", "BOOLEAN", "true"],
  ["timetz '12:00+00'", "TIME WITH TIME ZONE", "TIME", "12:00:00"],
  ["'yes'", "VARCHAR", "BOOLEAN", "true"],
  ["'2026-01-01T10:00:00+02:00'", "VARCHAR", "TIMESTAMP", "2026-01-01 08:00:00"],
  ["'2026-01-01'", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "2026-01-01 00:00:00+00"],
  [
    "'2026-01-01T10:00:00.9999999Z'",
    "VARCHAR",
    "TIMESTAMP WITH TIME ZONE",
    "2026-01-01 10:00:00.999999+00",
  ],
  ["'-infinity'", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "-infinity"],
  ["'2026-01-01 00:00'", "VARCHAR", "DATE", "2026-01-01"],
  ["'2026-01-01 00:00:00'::timestamp", "TIMESTAMP", "DATE", "2026-01-01"],
  [
    "'2026-01-01 12:00:00+02'::timestamptz",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP",
    "2026-01-01 10:00:00",
  ],
  ["'\\x00ff'", "VARCHAR", "BLOB", "\\x00ff"],
  ["'aé'", "VARCHAR", "BLOB", "\\x61c3a9"],
  ["'\\x61c3a9'::bytea", "BLOB", "VARCHAR", "aé"],
  ["'[1,  2]'", "VARCHAR", "JSON", "[1, 2]"],
  ["5", "INTEGER", "JSON", "5"],
  ["ARRAY[1,2]", "VARCHAR", "VARCHAR", "{1,2}"],
  ["NULL::text", "VARCHAR", "BIGINT", null],
  ["NULL::float8", "DOUBLE", "DECIMAL(5,2)", null],
  ["NULL::timestamp", "TIMESTAMP", "DATE", null],
];

const REFUSED: readonly (readonly [sql: string, from: string, to: string])[] = [
  ["2::bigint", "BIGINT", "BOOLEAN"],
  ["timetz '12:00+02'", "TIME WITH TIME ZONE", "TIME"],
  ["interval '25 hours'", "INTERVAL", "TIME"],
  ["'1.5'", "VARCHAR", "BIGINT"],
  ["''", "VARCHAR", "BIGINT"],
  ["'abc'", "VARCHAR", "DECIMAL(5,2)"],
  ["1.255::numeric(10,3)", "DECIMAL(10,3)", "DECIMAL(10,2)"],
  ["'1.255'", "VARCHAR", "DECIMAL(10,2)"],
  ["1.5::float8", "DOUBLE", "BIGINT"],
  ["'NaN'::float8", "DOUBLE", "BIGINT"],
  ["'NaN'::float8", "DOUBLE", "DECIMAL(5,2)"],
  ["70000", "INTEGER", "SMALLINT"],
  ["128", "INTEGER", "TINYINT"],
  ["-1", "INTEGER", "UBIGINT"],
  ["9007199254740993", "BIGINT", "DOUBLE"],
  ["9223372036854775807", "BIGINT", "DOUBLE"],
  ["'2026-01-01 10:00'", "VARCHAR", "DATE"],
  ["'2026-01-01 10:00'::timestamp", "TIMESTAMP", "DATE"],
  ["'01/02/2026'", "VARCHAR", "TIMESTAMP WITH TIME ZONE"],
  ["'now'", "VARCHAR", "TIMESTAMP WITH TIME ZONE"],
  ["'x'", "VARCHAR", "UUID"],
];

databaseTest("casts are exact, or fail and name the value", async (rig) => {
  const session = await rig.connect();
  for (const [sql, from, to, text] of CASTS) {
    const cast = postgresDialect.cast({ sql, type: from }, to);
    const [row] = await session.rows<{ v: string | null }>(`SELECT (${cast})::text AS v`);
    assert.equal(row?.v ?? null, text, `${sql} from ${from} to ${to}`);
  }
  for (const [sql, from, to] of REFUSED) {
    const cast = postgresDialect.cast({ sql, type: from }, to);
    await assert.rejects(
      session.rows(`SELECT ${cast} AS v`),
      { code: "query_invalid" },
      `${sql} from ${from} to ${to}`,
    );
  }
  await assert.rejects(
    session.rows(
      `SELECT ${postgresDialect.cast({ sql: "1.5::float8", type: "DOUBLE" }, "BIGINT")}`,
    ),
    {
      message: /the value '1\.5' does not fit BIGINT/,
    },
  );
});

databaseTest("normalizers", async (rig) => {
  const session = await rig.connect();
  const value = async (
    sql: string,
    type: string,
    normalizer: Parameters<typeof postgresDialect.normalize>[1],
    to = type,
  ) => {
    const [row] = await session.rows<{ v: string | null }>(
      `SELECT (${postgresDialect.normalize({ sql, type }, normalizer, to)})::text AS v`,
    );
    return row?.v;
  };
  const times = "TIMESTAMP WITH TIME ZONE";
  assert.equal(
    await value("E' \\t\\n\\r\\f\\x0b a b\\x0b\\f\\r\\n\\t '", "VARCHAR", "trim"),
    "a b",
  );
  assert.equal(await value("E'\\u00a0a'", "VARCHAR", "trim"), "\u00a0a");
  assert.equal(await value("'aB'", "VARCHAR", "lower"), "ab");
  assert.equal(await value("'aB'", "VARCHAR", "upper"), "AB");
  assert.equal(await value("''", "VARCHAR", "empty_to_null"), null);
  assert.equal(await value("' '", "VARCHAR", "empty_to_null"), " ");
  assert.equal(
    await value("'2026-03-01T12:00:00.25+05:30'", "VARCHAR", "parse_timestamp", times),
    "2026-03-01 06:30:00.25+00",
  );
  assert.equal(
    await value("'2026-03-01t12:00:00z'", "VARCHAR", "parse_timestamp", "TIMESTAMP"),
    "2026-03-01 12:00:00",
  );
  assert.equal(await value("NULL::text", "VARCHAR", "parse_timestamp", times), null);
  assert.equal(
    await value("'2026-03-01'::date", "DATE", "parse_timestamp", times),
    "2026-03-01 00:00:00+00",
  );
  for (const text of ["", "soon", "now", "12", "2026-13-01", "2026-01-01 10:00 nowhere"]) {
    await assert.rejects(value(`'${text}'`, "VARCHAR", "parse_timestamp", times), {
      code: "query_invalid",
    }, text);
  }
});

databaseTest("times are bound, moved and compared", async (rig) => {
  const session = await rig.connect();
  const { timestampValue, typedParameter, addSeconds, lowestValue } = postgresDialect;
  const times = "TIMESTAMP WITH TIME ZONE";
  for (
    const micros of [
      0n,
      1_767_225_600_000_001n,
      -1n,
      -63_000_000_000_000_000n,
      300_000_000_000_000_000n,
    ]
  ) {
    const bound = typedParameter("$1", times);
    const sql = `SELECT extract(epoch FROM ${bound}) * 1000000 = ${micros} AS same`;
    assert.deepEqual(await session.rows(sql, [timestampValue(micros)]), [{ same: true }]);
  }
  const moved = addSeconds({ sql: "CAST('2026-01-01' AS timestamp)", type: "TIMESTAMP" }, "-0.5");
  assert.deepEqual(await session.rows(`SELECT ${moved} AS t`), [{ t: "2025-12-31 23:59:59.5" }]);
  for (
    const [type, lowest] of [
      [times, "'-infinity'::timestamptz"],
      ["DATE", "'-infinity'::date"],
      ["BIGINT", "(-9223372036854775808)::bigint"],
      ["DECIMAL(5,2)", "(-999.99)::numeric(5,2)"],
      ["DOUBLE", "'-infinity'::float8"],
      ["UUID", "'00000000-0000-0000-0000-000000000000'::uuid"],
      ["VARCHAR", "''::text"],
    ] as const
  ) {
    const [row] = await session.rows(`SELECT ${lowest} >= ${typedParameter("$1", type)} AS holds`, [
      lowestValue(type),
    ]);
    assert.deepEqual(row, { holds: true }, type);
  }
});

databaseTest("tables are made, changed and written as the dialect says", async (rig) => {
  const session = await rig.connect();
  const d = session.dialect;
  const schema = `${rig.rig.schema}_"x"`;
  const table = d.tableName({ schema, name: 'a "b"' });
  const create = d.createSchema(schema) ?? "";
  try {
    await session.run(create);
    await session.run(create);
    await session.run(
      `CREATE TABLE ${table} (${d.quote("id")} ${d.columnType("INTEGER")} PRIMARY KEY, ${
        d.quote("v")
      } ${d.columnType("VARCHAR", { maxLength: 3 })})`,
    );
    await session.run(d.addColumn(table, "more", d.columnType("DECIMAL(5,2)")));
    await session.run(d.widenColumn(table, "id", d.columnType("BIGINT")) ?? "");
    assert.deepEqual(
      await session.table({ schema, name: 'a "b"' }).then((found) => [
        found?.columns.map((
          { name, type, nativeType, maxLength },
        ) => [name, type, nativeType, maxLength]),
        found?.primaryKey,
        found?.uniqueKeys,
      ]),
      [
        [["id", "BIGINT", "bigint", undefined], ["v", "VARCHAR", "character varying(3)", 3], [
          "more",
          "DECIMAL(5,2)",
          "numeric(5,2)",
          undefined,
        ]],
        ["id"],
        [["id"]],
      ],
    );
    await session.run(`INSERT INTO ${table} VALUES (1, 'a'), (2, 'b'), (3, NULL)`);
    await session.run(
      d.createStage("changes", [{ name: "id", type: "BIGINT" }, { name: "v", type: "VARCHAR" }]),
    );
    await session.run(
      `INSERT INTO ${d.stageName("changes")} VALUES (1, 'a'), (2, 'B'), (3, NULL), (4, 'd')`,
    );
    await session.run(d.refreshStatistics?.(d.stageName("changes")) ?? "");
    assert.equal(
      await session.run(d.updateFrom({
        table,
        source: d.stageName("changes"),
        set: { v: 's."v"', more: "1.5" },
        on: `t."id" = s."id" AND ${d.differs('t."v"', 's."v"')}`,
      })),
      1,
    );
    assert.equal(await session.run(d.deleteWhere(table, `t."id" = 1`)), 1);
    assert.deepEqual(await session.rows(`SELECT * FROM ${table} ORDER BY 1`), [
      { id: 2n, v: "B", more: "1.50" },
      { id: 3n, v: null, more: null },
    ]);
    assert.equal(await session.run(d.emptyTable(table)), 2);
    await session.run(d.dropStage("changes"));
    await session.run(d.dropStage("changes"));
  } finally {
    await session.run(`DROP SCHEMA ${d.quote(schema)} CASCADE`);
  }
});

Deno.test("names that Postgres would cut are refused", () => {
  assert.equal(postgresDialect.quote("é".repeat(31)), `"${"é".repeat(31)}"`);
  assert.throws(() => postgresDialect.quote("é".repeat(32)), {
    code: "name_too_long",
    domain: "user",
  });
});
