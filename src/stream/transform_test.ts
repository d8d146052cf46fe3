import assert from "node:assert/strict";
import { type Batch, ROW_COLUMN } from "../core/batch.ts";
import { FlowError } from "../core/error.ts";
import type { Engine, Session } from "../core/session.ts";
import { createEngine } from "../sql/engine.ts";
import { SqlTransform } from "./transform.ts";

type Options = ConstructorParameters<typeof SqlTransform>[3];

async function withTransform(
  work: (
    tools: {
      engine: Engine;
      session: Session;
      transform: (sql: string, options?: Partial<Options>) => SqlTransform;
      batch: (select: string, rows: number) => Promise<Batch>;
    },
  ) => Promise<void>,
): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  const session = await engine.connect();
  try {
    await work({
      engine,
      session,
      transform: (sql, options = {}) =>
        new SqlTransform(engine, session, sql, {
          otherColumns: () => [],
          mayMiss: () => false,
          keepsOthers: true,
          ...options,
        }),
      batch: async (select, rows) => {
        const table = engine.newName("decoded");
        await session.run(
          `CREATE TABLE ${table} AS SELECT ${select}, i AS ${ROW_COLUMN} FROM range(${rows}) t(i)`,
        );
        const columns = (await session.describe(`SELECT * FROM ${table}`))
          .filter(({ name }) => name !== ROW_COLUMN);
        return { table, columns, hasRowColumn: true, rows };
      },
    });
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

Deno.test("rows keep their number through a statement that maps rows to rows", () =>
  withTransform(async ({ session, transform, batch }) => {
    for (
      const [sql, numbered] of [
        ["SELECT a * 2 AS b FROM source WHERE a > 1;", true],
        ["SELECT * FROM source s", true],
        [`SELECT s.a FROM "source" s JOIN (VALUES (2)) t(x) ON s.a = t.x`, true],
        ["SELECT sum(a) AS s FROM source", false],
        ["SELECT DISTINCT a FROM source", false],
        ["SELECT a FROM source UNION ALL SELECT a FROM source", false],
        ["SELECT a, row_number() OVER (ORDER BY a) AS r FROM source", true],
      ] as const
    ) {
      const { batch: out } = await transform(sql).apply(await batch("i AS a", 5));
      assert.equal(out.hasRowColumn, numbered, sql);
      assert.ok(out.columns.every(({ name }) => name !== ROW_COLUMN), sql);
      if (!numbered) continue;
      const wrong = await session.rows<{ n: bigint }>(
        `SELECT count(*) AS n FROM ${out.table} WHERE ${ROW_COLUMN} IS NULL`,
      );
      assert.equal(wrong[0]?.n, 0n, sql);
    }
  }));

Deno.test("rows that make the statement fail are found, the others are transformed", () =>
  withTransform(async ({ session, transform, batch }) => {
    const input = await batch("CASE WHEN i % 100 = 7 THEN 'x' ELSE i::VARCHAR END AS a", 1000);
    for (
      const sql of ["SELECT a::INTEGER AS n FROM source", "SELECT sum(a::INTEGER) AS n FROM source"]
    ) {
      const { batch: out, rejected } = await transform(sql).apply(input);
      assert.equal(rejected?.count, 10, sql);
      const rows = await session.rows<{ row: bigint; error: string }>(
        `SELECT ${ROW_COLUMN} AS row, _error AS error FROM ${rejected?.table} ORDER BY 1`,
      );
      assert.deepEqual(rows.map(({ row }) => Number(row) % 100), Array(10).fill(7));
      assert.match(rows[0]?.error ?? "", /Could not convert string 'x'/);
      const total = await session.rows<{ s: bigint }>(
        `SELECT sum(n)::BIGINT AS s FROM ${out.table}`,
      );
      let expected = 0;
      for (let i = 0; i < 1000; i += 1) if (i % 100 !== 7) expected += i;
      assert.equal(total[0]?.s, BigInt(expected), sql);
    }
  }));

Deno.test("a statement that does not fit is the user's error, with the reason", () =>
  withTransform(async ({ transform, batch }) => {
    const input = await batch("i AS amount", 1);
    const failing = async (sql: string): Promise<FlowError> => {
      try {
        await transform(sql).apply(input);
      } catch (error) {
        if (error instanceof FlowError) return error;
        throw error;
      }
      return assert.fail(`no error: ${sql}`);
    };
    assert.match((await failing("SELECT amuont FROM source")).message, /amuont[\s\S]*amount/);
    assert.match((await failing("SELECT amuont FROM source")).hint ?? "", /declare it/);
    for (
      const sql of [
        "DELETE FROM source",
        "SELECT 1; SELECT 2",
        "SELEC 1",
        "COPY source TO 'x.csv'",
        "",
      ]
    ) assert.equal((await failing(sql)).code, "transform_invalid", sql);
    assert.equal((await failing("SELECT * FROM read_text('/etc/hostname')")).code, "sql_denied");
  }));

Deno.test("in a fan-in, columns of other sources are NULL until they come", () =>
  withTransform(async ({ session, transform, batch }) => {
    const input = await batch("i AS a", 2);
    const early = await transform("SELECT a, b FROM source", { mayMiss: () => true }).apply(input);
    assert.deepEqual(
      await session.rows(`SELECT a, b FROM ${early.batch.table}`),
      [{ a: 0n, b: null }, { a: 1n, b: null }],
    );
    const known = await transform("SELECT b + 1 AS b FROM source", {
      otherColumns: () => [{ name: "b", type: "BIGINT" }],
    }).apply(input);
    assert.deepEqual(known.batch.columns, [{ name: "b", type: "BIGINT" }]);
  }));

Deno.test("metadata columns are there, NULL where the source has none", () =>
  withTransform(async ({ session, transform, batch }) => {
    const { batch: out } = await transform("SELECT _partition, _key, _event_ts FROM source")
      .apply(await batch("i AS a, i::INTEGER AS _partition", 1));
    assert.deepEqual(await session.rows(`SELECT _partition, _key FROM ${out.table}`), [
      { _partition: 0, _key: null },
    ]);
  }));

Deno.test("rows that functions refuse are found, whatever the engine calls their errors", () =>
  withTransform(async ({ session, transform, batch }) => {
    const input = await batch(
      "CASE WHEN i = 3 THEN 'x' ELSE '2026-01-0' || (i + 1) END AS day, " +
        `CASE WHEN i = 3 THEN '{' ELSE '{"a":1}' END AS doc, i AS n`,
      8,
    );
    for (
      const sql of [
        "SELECT strptime(day, '%Y-%m-%d') AS t FROM source",
        "SELECT json_extract(doc, '$.a') AS a FROM source",
        "SELECT CASE WHEN n = 3 THEN error('no') END AS e FROM source",
        "SELECT count(strptime(day, '%Y-%m-%d')) AS t FROM source",
      ]
    ) {
      const { rejected } = await transform(sql).apply(input);
      const rows = await session.rows<{ row: bigint; error: string }>(
        `SELECT ${ROW_COLUMN} AS row, _error AS error FROM ${rejected?.table}`,
      );
      assert.deepEqual(rows.map(({ row }) => row), [3n], sql);
      assert.match(rows[0]?.error ?? "", /^Invalid Input Error/, sql);
    }
  }));

Deno.test("many failing rows are found, in conditions and replaced columns too, and only those that the statement comes to", () =>
  withTransform(async ({ engine, session, transform, batch }) => {
    const input = await batch(
      "CASE WHEN i % 10 = 7 THEN 'x' || i ELSE i::VARCHAR END AS a, i AS b",
      4000,
    );
    for (
      const [sql, condition, fewRuns] of [
        ["SELECT a::INTEGER AS n FROM source", "i % 10 = 7", true],
        [
          "SELECT a::INTEGER AS n, b FROM source WHERE b < 1000 ORDER BY b",
          "i % 10 = 7 AND i < 1000",
          true,
        ],
        ["SELECT b FROM source AS s WHERE s.a::INTEGER >= 0", "i % 10 = 7", true],
        ["SELECT * REPLACE (a::INTEGER AS a) FROM source", "i % 10 = 7", true],
        ["SELECT COLUMNS('a')::INTEGER FROM source WHERE b < 100", "i % 10 = 7 AND i < 100", false],
        [
          "SELECT CASE WHEN b % 800 = 7 THEN error('no ' || b) END AS e FROM source",
          "i % 800 = 7",
          false,
        ],
        [
          "SELECT a::INTEGER AS n, n + 1 AS m FROM source WHERE b < 100",
          "i % 10 = 7 AND i < 100",
          false,
        ],
      ] as const
    ) {
      const before = Number(/\d+$/.exec(engine.newName("run"))?.[0]);
      const { batch: out, rejected } = await transform(sql).apply(input);
      const runs = Number(/\d+$/.exec(engine.newName("run"))?.[0]) - before;
      const [expected] = await session.rows<{ rows: string }>(
        `SELECT string_agg(i, ',' ORDER BY i) AS rows FROM range(4000) t(i) WHERE ${condition}`,
      );
      const [found] = await session.rows<{ rows: string }>(
        `SELECT string_agg(${ROW_COLUMN}, ',' ORDER BY ${ROW_COLUMN}) AS rows FROM ${rejected?.table}`,
      );
      assert.equal(found?.rows, expected?.rows, sql);
      const [both] = await session.rows<{ n: bigint }>(
        `SELECT count(*) AS n FROM ${out.table} SEMI JOIN ${rejected?.table} USING (${ROW_COLUMN})`,
      );
      assert.equal(both?.n, 0n, sql);
      const few = (rejected?.count ?? 0) + 10;
      if (fewRuns) assert(runs < few, `${sql}: ${runs} runs, where ${few} would do`);
    }
  }));

Deno.test("a run that ends with the first failing row looks for no other", () =>
  withTransform(async ({ session, transform, batch }) => {
    const input = await batch("CASE WHEN i > 20 THEN 'x' ELSE i::VARCHAR END AS a, i", 5000);
    for (
      const sql of [
        "SELECT a::INTEGER AS n FROM source",
        "SELECT sum(a::INTEGER) AS n FROM source",
        "SELECT CASE WHEN i > 20 THEN error('no') END FROM source",
      ]
    ) {
      const { batch: out, rejected } = await transform(sql, { keepsOthers: false }).apply(input);
      assert.equal(rejected?.count, 1);
      const rows = await session.rows(`SELECT ${ROW_COLUMN} AS row FROM ${rejected?.table}`);
      assert.deepEqual(rows, [{ row: 21n }], sql);
      if (out.hasRowColumn) assert.equal(out.rows, 0);
    }
  }));

Deno.test("a statement that fails on several rows together, and on none by itself, is told as such", () =>
  withTransform(async ({ transform, batch }) => {
    const input = await batch("i AS a", 4);
    const sql = "SELECT a, (SELECT o.a FROM source o WHERE o.a <> source.a) AS b FROM source";
    await assert.rejects(() => transform(sql).apply(input), {
      code: "transform_failed",
      message: /^transform\.sql fails on a batch: Invalid Input Error: More than one row/,
    });
  }));

Deno.test("a metadata column beside a star stands in the result once", () =>
  withTransform(async ({ transform, batch }) => {
    const input = await batch("i AS a, i AS _offset, 'k' AS _key", 2);
    for (
      const [sql, expected] of [
        ["SELECT *, _offset FROM source", ["_key", "_offset", "a"]],
        ["SELECT s.*, s._offset, upper(_key) AS _key FROM source s", ["_key", "_offset", "a"]],
        ["SELECT DISTINCT _offset, * FROM source", ["_key", "_offset", "a"]],
        ["SELECT * FROM (SELECT *, _offset FROM source)", ["_key", "_offset", "a"]],
        ["SELECT *, _offset AS place FROM source", ["_key", "_offset", "a", "place"]],
        ["SELECT * REPLACE (7 AS _offset) FROM source", ["_key", "_offset", "a"]],
      ] as const
    ) {
      const { batch: out } = await transform(sql).apply(input);
      const names = out.columns.map(({ name }) => name)
        .filter((name) => !["_event_ts", "_partition", "_headers"].includes(name));
      assert.deepEqual(names.sort(), expected, sql);
    }
  }));
