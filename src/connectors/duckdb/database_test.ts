import assert from "node:assert/strict";
import { systemClock } from "../../core/clock.ts";
import type { Database } from "../../core/database.ts";
import type { FlowError } from "../../core/error.ts";
import { createEngine } from "../../sql/engine.ts";
import { duckdbConnector } from "./connector.ts";

const signal = () => new AbortController().signal;

async function withDatabase(
  work: (database: Database, folder: string) => Promise<void>,
  options: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const database = duckdbConnector.openDatabase?.({ ...options, path: `${folder}/a.duckdb` }, {
    scratchDir: folder,
    clock: systemClock,
  });
  assert.ok(database !== undefined);
  try {
    await work(database, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Types that Parquet or CSV would change on the way. */
const COLUMNS: Readonly<Record<string, string>> = {
  e: "'b'::ENUM('a', 'b')",
  h: "'-170141183460469231731687303715884105728'::HUGEINT",
  i: "INTERVAL '1 month 2 days 3 microseconds'",
  z: "'12:00:00+02'::TIMETZ",
  b: "'0101'::BIT",
  n: "{'a': [1, NULL], 'b': MAP {'k': 'é'}}",
  j: `'{"a":1}'::JSON`,
  ns: "'2026-01-01 00:00:00.123456789'::TIMESTAMP_NS",
};

Deno.test("duckdb database: every type goes through the engine and back as it is", () =>
  withDatabase(async (database, folder) => {
    const session = await database.connect(signal());
    const engine = await createEngine({ scratchDir: folder, threads: 1 });
    const engineSession = await engine.connect();
    try {
      const items = Object.entries(COLUMNS).map(([name, sql]) => `${sql} AS ${name}`);
      await session.run(`CREATE TABLE one AS SELECT ${items.join(", ")}`);
      const types = (await session.describe("SELECT * FROM one")).map(({ type }) => type);
      await session.run("CREATE TABLE two AS SELECT * FROM one LIMIT 0");
      const columns = (await session.table({ name: "two" }))?.columns ?? [];
      for await (const piece of session.read("SELECT * FROM one;", [], engine, engineSession)) {
        const described = await engineSession.describe(`SELECT * FROM ${piece.relation}`);
        assert.deepEqual(described.map(({ type }) => type), types);
        const query = `SELECT * FROM ${piece.relation}`;
        assert.equal(
          await session.load({ table: "two", columns }, query, engineSession)
            .catch((error) => error.code),
          "database_session_busy",
        );
        await piece.release();
      }
      await session.load({ table: "two", columns }, `SELECT ${items.join(", ")}`, engineSession);
      const [found] = await session.rows<{ n: bigint }>(
        "SELECT count(*) AS n FROM (SELECT * FROM one EXCEPT SELECT * FROM two)",
      );
      assert.equal(found?.n, 0n);
    } finally {
      await engine.close();
      await session.close();
    }
  }));

Deno.test("duckdb database: two transactions on one row, and the second is told at once", () =>
  withDatabase(async (database) => {
    const [one, two] = [await database.connect(signal()), await database.connect(signal())];
    try {
      await one.run("CREATE TABLE t AS SELECT 1 AS a");
      await one.begin();
      await two.begin();
      await one.run("UPDATE t SET a = 2");
      await assert.rejects(two.run("UPDATE t SET a = 3"), {
        code: "database_busy",
        retryable: true,
      });
      await two.rollback();
      await one.commit();
    } finally {
      await one.close();
      await two.close();
    }
  }));

Deno.test("duckdb database: a column of a key cannot be widened, another one can", () =>
  withDatabase(async (database) => {
    const session = await database.connect(signal());
    const widen = (name: string) =>
      session.run(session.dialect.widenColumn("t", name, "BIGINT") ?? "");
    try {
      await session.run("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER)");
      await widen("v");
      await assert.rejects(widen("k"), { code: "query_invalid" });
    } finally {
      await session.close();
    }
  }));

Deno.test("duckdb database: a session that only reads needs the file, and writes nothing", () =>
  withDatabase(async (database) => {
    await assert.rejects(database.connect(signal(), { readOnly: true }), {
      code: "duckdb_file_missing",
    });
    await (await database.connect(signal())).close();
    const reader = await database.connect(signal(), { readOnly: true });
    await assert.rejects(reader.run("CREATE TABLE t (a INTEGER)"), { code: "permission_denied" });
    await reader.close();
  }));

Deno.test("duckdb database: a query that fails shows its place, a statement of flow does not", () =>
  withDatabase(async (database, folder) => {
    const session = await database.connect(signal());
    const engine = await createEngine({ scratchDir: folder, threads: 1 });
    const engineSession = await engine.connect();
    try {
      await session.run("CREATE TABLE t (v VARCHAR)");
      await session.run("INSERT INTO t VALUES ('x')");
      await session.run("CREATE TABLE n (v BIGINT)");
      const pieces = session.read("SELECT CAST(v AS BIGINT) FROM t", [], engine, engineSession);
      await assert.rejects(Array.fromAsync(pieces), (error: FlowError) => {
        assert.equal(error.code, "query_invalid");
        assert.match(
          error.message,
          /^a query of the DuckDB file .*'x' to INT64.*\n\nLINE 1: SELECT CAST/,
        );
        assert.match(error.hint ?? "", /TRY_CAST/);
        return true;
      });
      await assert.rejects(session.describe("SELECT v FRM\n  t"), (error: FlowError) => {
        assert.match(error.message, /\n\nLINE 2: {3}t\n/);
        assert.doesNotMatch(error.message, /DESCRIBE/);
        return true;
      });
      await assert.rejects(session.describe("INSERT INTO n VALUES (1) RETURNING v"), {
        code: "query_invalid",
        message: "the statement is no query whose rows can be read",
      });
      const write = "INSERT INTO n SELECT CAST(v AS BIGINT) FROM t";
      await assert.rejects(session.run(write), (error: FlowError) => {
        assert.equal(error.code, "load_rejected");
        assert.match(error.message, /does not take a value: .*'x' to INT64[^\n]*$/);
        return true;
      });
    } finally {
      await session.close();
      await engine.close();
    }
  }));

Deno.test("duckdb database: a statement that needs more memory than it may have says what to raise", () =>
  withDatabase(async (database) => {
    const session = await database.connect(signal());
    try {
      await session.run("CREATE TABLE t (id VARCHAR PRIMARY KEY)");
      await assert.rejects(
        session.run("INSERT INTO t SELECT repeat(md5(range::VARCHAR), 3) FROM range(3000000)"),
        (error: FlowError) => {
          assert.deepEqual([error.code, error.domain], ["duckdb_out_of_memory", "user"]);
          assert.match(error.hint ?? "", /max_memory_mib/);
          return true;
        },
      );
    } finally {
      await session.close();
    }
  }, { max_memory_mib: 128 }));
