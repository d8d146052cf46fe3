/** Types that only one database knows, in the queries and tables of people who did not make them for flow. */
import assert from "node:assert/strict";
import { readWatermark } from "../../src/batch/watermark.ts";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { validatePipeline } from "../../src/batch/validate_pipeline.ts";
import type { BatchTarget } from "../../src/core/batch_spec.ts";
import type { DatabaseKind } from "../../src/core/database.ts";
import { FlowError } from "../../src/core/error.ts";
import {
  availableKinds,
  batchSpec,
  batchTarget,
  column,
  declaredTable,
  dependencies,
  newPlace,
  type Place,
  withScratch,
} from "./rig.ts";

type Dependencies = ReturnType<typeof dependencies>;

/** Runs a test with a fresh database of each kind that is named; the same kind twice gives two databases, and one kind one database for both sides. */
function withPlaces(
  name: string,
  kinds: readonly DatabaseKind[],
  work: (places: readonly [Place, Place], deps: Dependencies) => Promise<void>,
): void {
  if (!kinds.every((kind) => KINDS.includes(kind))) return;
  Deno.test(name, () =>
    withScratch(async (scratchDir) => {
      const places: Place[] = [];
      try {
        for (const kind of kinds) places.push(await newPlace(kind, scratchDir));
        const [from, to = from] = places;
        assert(from !== undefined && to !== undefined);
        // Makes the file, where a database is one.
        await from.run("SELECT 1");
        await work([from, to], dependencies(scratchDir));
      } finally {
        for (const place of places) await place.remove();
      }
    }));
}

const KINDS = availableKinds();

/** Loads a query into the table `dst`; gives the figures of the run as `inserted/updated/closed`. */
async function load(
  deps: Dependencies,
  [from, to]: readonly [Place, Place],
  sql: string,
  options: Partial<Omit<BatchTarget, "connection">> = {},
): Promise<string> {
  const { table = declaredTable("dst", []), ...rest } = options;
  const spec = batchSpec(from, sql, [batchTarget(to, table, { keys: ["id"], ...rest })]);
  const { targets: [outcome] } = await runPipeline(spec, deps);
  return `${outcome?.rowsInserted}/${outcome?.rowsUpdated ?? 0}/${outcome?.rowsClosed ?? 0}`;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof FlowError, String(error));
    return `${error.code}: ${error.message}`;
  }
  return "none";
}

const MANY = `SELECT 1 AS id, 123456789012345678901234567890.123456789 AS n,
  sum(x) AS total, avg(x) AS mean, array_agg(x) AS list, '10.0.0.1/8'::inet AS net, '12.34'::numeric(50,20) AS long,
  'a'::citext AS ci, 'new'::state AS state, '<a/>'::xml AS doc
  FROM (VALUES (1::bigint), (2), (4)) AS v(x)`;

const TYPES =
  `SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS t
  FROM pg_attribute WHERE attrelid = 'dst'::regclass AND attnum > 0 AND attname !~ '^_|^valid|^is_|^row_'`;

withPlaces(
  "postgres keeps its own types where the target is a Postgres, in all modes",
  ["postgres", "postgres"],
  async (places, deps) => {
    const [from, other] = places;
    await from.run("CREATE EXTENSION IF NOT EXISTS citext", "CREATE TYPE state AS ENUM ('new')");
    for (const to of [from, other]) {
      for (const mode of ["append", "merge", "scd2"] as const) {
        await to.run("DROP TABLE IF EXISTS dst");
        const run = (): Promise<string> => load(deps, [from, to], MANY, { mode });
        assert.equal(await run(), "1/0/0", mode);
        assert.equal(await run(), mode === "append" ? "1/0/0" : "0/0/0", mode);
        const local = to === from ? ["citext", "state"] : ["text", "text"];
        assert.deepEqual(await to.rows(TYPES), [{
          t: "id integer, n numeric, total numeric, mean numeric, list bigint[], net inet, long numeric(50,20), " +
            `ci ${local[0]}, state ${local[1]}, doc xml`,
        }]);
        const [row] = await to.rows(
          "SELECT n::text AS n, total::text AS t, mean::text AS m, list::text AS l FROM dst LIMIT 1",
        );
        assert.deepEqual(row, {
          n: "123456789012345678901234567890.123456789",
          t: "7",
          m: "2.3333333333333333",
          l: "{1,2,4}",
        });
      }
    }
  },
);

withPlaces(
  "tables of a Postgres with columns of its own types are merged into",
  ["postgres", "postgres"],
  async (places, deps) => {
    const [from, other] = places;
    for (const to of [from, other]) {
      await to.run(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TABLE dst (id numeric PRIMARY KEY, n numeric, m mood, a int[], x xml, p point)",
      );
      const rows = (mood: string, list: string) =>
        `SELECT 10.5 AS id, 1.50 AS n, '${mood}' AS m, '${list}' AS a, '<a/>' AS x, '(1,2)' AS p`;
      const merge = (mood: string, list: string): Promise<string> =>
        load(deps, [from, to], rows(mood, list), { mode: "merge" });
      assert.equal(await merge("sad", "{1}"), "1/0/0");
      assert.equal(await merge("sad", "{1}"), "0/0/0");
      assert.equal(await merge("ok", "{1,2}"), "0/1/0");
      const found = await to.rows("SELECT m::text AS m, a::text AS a FROM dst");
      assert.deepEqual(found, [{ m: "ok", a: "{1,2}" }]);
      assert.match(await refusal(merge("odd", "{1}")), /^(load_rejected|query_invalid): .*"odd"/);
    }
  },
);

withPlaces(
  "declared numbers fit a column of numbers without precision, and the sums of a query fit them",
  ["postgres"],
  async ([place], deps) => {
    await place.run("CREATE TABLE dst (id numeric PRIMARY KEY, total numeric)");
    const table = declaredTable("dst", [
      column("id", "BIGINT", { nullable: false }),
      column("total", "DECIMAL(38,10)"),
    ], { primaryKey: ["id"] });
    const sql = "SELECT 1 AS id, sum(x) AS total FROM (VALUES (1.5), (2.25)) AS v(x)";
    const spec = batchSpec(place, sql, [
      batchTarget(place, table, { mode: "merge", keys: ["id"] }),
    ]);
    assert.deepEqual(await validatePipeline(spec, deps), []);
    assert.equal(await load(deps, [place, place], sql, { mode: "merge", table }), "1/0/0");
    assert.equal(await load(deps, [place, place], sql, { mode: "merge", table }), "0/0/0");
  },
);

withPlaces(
  "$watermark of a number without precision reads everything on a first run",
  ["postgres"],
  async ([place], deps) => {
    await place.run(
      "CREATE TABLE src (id numeric)",
      "INSERT INTO src VALUES (-5), (9), (10)",
    );
    const sql = "SELECT id FROM src WHERE id > $watermark";
    const run = (): Promise<string> =>
      load(deps, [place, place], sql, { mode: "append", incrementalColumn: "id" });
    assert.equal(await run(), "3/0/0");
    await place.run("INSERT INTO src VALUES (100)");
    assert.equal(await run(), "1/0/0");
    const session = await place.database.connect(deps.signal);
    assert.equal((await readWatermark(session, "test_pipeline", "id"))?.value, "100");
    await session.close();
  },
);

withPlaces(
  "a number without precision stays exact as text elsewhere, and the run says so",
  ["postgres", "duckdb"],
  async ([from, to], deps) => {
    assert.equal(await load(deps, [from, to], "SELECT 1 AS id, 0.1::numeric AS n"), "1/0/0");
    assert.deepEqual(await to.rows("SELECT n, typeof(n) AS t FROM dst"), [{
      n: "0.1",
      t: "VARCHAR",
    }]);
    assert.match(
      JSON.stringify(deps.observed),
      /column `n` is numeric, which duckdb has no type for/,
    );
  },
);

withPlaces("partitioned tables are merged into", ["postgres"], async ([place], deps) => {
  await place.run(
    "CREATE TABLE dst (id int PRIMARY KEY, v text) PARTITION BY HASH (id)",
    "CREATE TABLE dst_0 PARTITION OF dst FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
  );
  const merge = (v: string) =>
    load(deps, [place, place], `SELECT 1 AS id, '${v}' AS v`, { mode: "merge" });
  assert.equal(await merge("a"), "1/0/0");
  assert.equal(await merge("b"), "0/1/0");
  assert.equal(await merge("b"), "0/0/0");
});

withPlaces(
  "a change of case is seen under a collation that overlooks it; keys that only the table takes for equal are told",
  ["postgres"],
  async ([place], deps) => {
    await place.run(
      "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
      "CREATE TABLE dst (id int PRIMARY KEY, v text COLLATE loose)",
      "CREATE TABLE codes (id char(3) PRIMARY KEY, v int)",
    );
    const merge = (v: string) =>
      load(deps, [place, place], `SELECT 1 AS id, '${v}' AS v`, { mode: "merge" });
    assert.equal(await merge("a"), "1/0/0");
    assert.equal(await merge("A"), "0/1/0");
    const same = await load(
      deps,
      [place, place],
      "SELECT 'a' AS id, 1 AS v UNION ALL SELECT 'a ', 2",
      {
        mode: "merge",
        table: declaredTable("codes", []),
      },
    ).catch((error: unknown) => error);
    assert(same instanceof FlowError && same.code === "load_rejected", String(same));
    assert.match(same.hint ?? "", /takes some keys for equal/);
  },
);

for (const kind of KINDS) {
  withPlaces(
    `a table that flow made is a source like any other, on ${kind}`,
    [kind],
    async ([place], deps) => {
      await place.run("CREATE TABLE src (id INTEGER)", "INSERT INTO src VALUES (1)");
      const both = [place, place] as const;
      await load(deps, both, "SELECT * FROM src", { table: declaredTable("first", []) });
      for (const mode of ["append", "merge", "scd2"] as const) {
        const table = declaredTable(`dst_${mode}`, []);
        assert.equal(await load(deps, both, "SELECT * FROM first", { mode, table }), "1/0/0", mode);
      }
      // Versions of versions: their times are flow's to make.
      const table = declaredTable("dst_again", []);
      assert.equal(
        await load(deps, both, "SELECT * FROM dst_scd2", { mode: "scd2", table }),
        "1/0/0",
      );
    },
  );
}

withPlaces(
  "columns of MySQL's own types are compared with what a run brings",
  ["mysql"],
  async ([place], deps) => {
    const columns =
      "id BIGINT UNSIGNED PRIMARY KEY, d DATETIME, t TIME, ts TIMESTAMP NULL, n DECIMAL(65,30), " +
      "p DECIMAL(10,2), b BIT(9), f BIT(1), e ENUM('a','b'), s SET('x','y'), c CHAR(5), y YEAR, bi BINARY(4), r FLOAT";
    await place.run(
      `CREATE TABLE src (${columns})`,
      `CREATE TABLE dst (${columns})`,
      "INSERT INTO src VALUES (18446744073709551615, '2024-03-31 02:30:00', '12:00:00', '2024-01-01 00:00:00', " +
        "0.000000000000000000000000000001, 1.5, b'101010101', b'1', 'b', 'x,y', 'ab', 2024, 0x01, 1.1)",
    );
    const merge = () => load(deps, [place, place], "SELECT * FROM src", { mode: "merge" });
    assert.equal(await merge(), "1/0/0");
    assert.equal(await merge(), "0/0/0");
    for (
      const change of [
        "d = d + INTERVAL 1 SECOND",
        "n = n * 2",
        "p = 1.51",
        "b = b'1'",
        "e = 'a'",
        "c = 'AB'",
        "r = 1.2",
      ]
    ) {
      await place.run(`UPDATE src SET ${change}`);
      assert.equal(await merge(), "0/1/0", change);
    }
    const table = declaredTable("dst", [
      column("id", "UBIGINT", { nullable: false }),
      column("p", "DECIMAL(8,1)"),
    ], { primaryKey: ["id"] });
    const narrow = () =>
      load(deps, [place, place], "SELECT id, 2.5 AS p FROM src", { mode: "merge", table });
    assert.equal(await narrow(), "0/1/0");
    assert.equal(await narrow(), "0/0/0");
  },
);

withPlaces(
  "a column of MySQL that is widened keeps its collation, default, AUTO_INCREMENT and comment",
  ["mysql"],
  async (places, deps) => {
    const [place] = places;
    await place.run(
      "CREATE TABLE dst (id INT NOT NULL AUTO_INCREMENT COMMENT 'it''s', n SMALLINT NOT NULL DEFAULT 7, " +
        "s VARCHAR(3) CHARACTER SET latin1 COLLATE latin1_german2_ci DEFAULT 'a-b', " +
        "t DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), PRIMARY KEY (id))",
    );
    const table = declaredTable("dst", [
      column("id", "BIGINT", { nullable: false }),
      column("n", "INTEGER", { nullable: false }),
      column("s", "VARCHAR", { maxLength: 5 }),
    ], { primaryKey: ["id"] });
    const sql = "SELECT 1 AS id, 70000 AS n, 'abcde' AS s";
    assert.equal(await load(deps, places, sql, { mode: "merge", table }), "1/0/0");
    const rows = await place.rows(
      "SELECT CONCAT_WS(' ', data_type, collation_name, TRIM(BOTH CHAR(39) FROM column_default), extra, column_comment) AS t " +
        "FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'dst' " +
        "ORDER BY ordinal_position LIMIT 3",
    );
    assert.deepEqual(rows.map(({ t }) => String(t).trim()), [
      "bigint auto_increment it's",
      "int 7",
      "varchar latin1_german2_ci a-b",
    ]);
  },
);

withPlaces(
  "a value of MySQL that is none elsewhere is told by its column, without the row",
  ["mysql", "duckdb"],
  async ([from, to], deps) => {
    await from.run(
      "CREATE TABLE src (secret TEXT, flag TINYINT(1), t TIME)",
      "INSERT INTO src VALUES ('secret', 2, '838:00:00')",
    );
    const told = (name: string) =>
      refusal(load(deps, [from, to], `SELECT secret, ${name} FROM src`, { keys: [] }));
    assert.equal(
      await told("flag"),
      `load_rejected: column "flag" of the query: the value '2' does not fit BOOLEAN`,
    );
    assert.equal(
      await told("t"),
      `load_rejected: column "t" of the query: the value '838:00:00' does not fit TIME`,
    );
  },
);

withPlaces(
  "a value of Postgres that is none elsewhere is told by its column, whatever its name",
  ["postgres", "duckdb"],
  async (places, deps) => {
    const sql = `SELECT 'secret' AS secret, timestamp '294276-12-31' AS "o,' ""d"`;
    assert.equal(
      await refusal(load(deps, places, sql, { keys: [] })),
      `load_rejected: column "o,' "d" of the query: the value '294276-12-31 00:00:00' does not fit TIMESTAMP`,
    );
  },
);

const NESTED =
  `SELECT 1 AS id, [1, NULL, 3] AS li, {'a': 1, 'b': [{'c': NULL}]} AS st, map {'k': 1} AS ma,
  timestamp_s '2024-01-01 00:00:01' AS s, 'nan'::float AS f, 'inf'::float AS g`;

for (const kind of KINDS.filter((one) => one !== "duckdb")) {
  withPlaces(
    `lists, structs and maps of DuckDB become documents, on ${kind}`,
    ["duckdb", kind],
    async ([from, to], deps) => {
      // MySQL's numbers are all finite.
      const sql = kind === "mysql" ? NESTED.replace(/,\s*'nan'.*/, "") : NESTED;
      for (const mode of ["append", "merge", "scd2"] as const) {
        const table = declaredTable(`dst_${mode}`, []);
        const run = (): Promise<string> => load(deps, [from, to], sql, { mode, table });
        assert.equal(await run(), "1/0/0", mode);
        assert.equal(await run(), mode === "append" ? "1/0/0" : "0/0/0", mode);
        const [row] = await to.rows(`SELECT li, st, ma FROM dst_${mode}`);
        const texts = Object.values(row ?? {}).map((value) =>
          JSON.stringify(JSON.parse(String(value)))
        );
        assert.deepEqual(texts, ["[1,null,3]", '{"a":1,"b":[{"c":null}]}', '{"k":1}']);
      }
    },
  );
}

withPlaces(
  "nanoseconds are refused by a server rather than rounded, in all modes",
  ["duckdb", "postgres"],
  async ([from, to], deps) => {
    const sql = "SELECT 1 AS id, timestamp_ns '2024-01-01 00:00:00.123456789' AS t";
    for (const mode of ["append", "merge", "scd2"] as const) {
      assert.match(
        await refusal(load(deps, [from, to], sql, { mode })),
        /^load_rejected: .*2024-01-01 00:00:00.123456789' does not fit/,
        mode,
      );
    }
  },
);

withPlaces(
  "a value of SQLite that is not of its column's type is told with the column",
  ["sqlite", "duckdb"],
  async (places, deps) => {
    const [from] = places;
    await from.run("CREATE TABLE src (price REAL)", "INSERT INTO src VALUES (1.5), ('much')");
    assert.match(
      await refusal(load(deps, places, "SELECT price FROM src", { keys: [] })),
      /^query_invalid: .*'much'.* column "?price/,
    );
    await from.run("CREATE TABLE numbers (n BIGINT)", "INSERT INTO numbers VALUES ('abc')");
    assert.match(
      await refusal(load(deps, places, "SELECT n FROM numbers", { keys: [] })),
      /^query_invalid: .*the value 'abc' of column "n" does not fit BIGINT/,
    );
  },
);
