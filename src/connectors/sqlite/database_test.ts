import assert from "node:assert/strict";
import { systemClock } from "../../core/clock.ts";
import type { Database, DatabaseSession } from "../../core/database.ts";
import { createEngine } from "../../sql/engine.ts";
import { sqliteConnector } from "./connector.ts";

const signal = () => new AbortController().signal;

async function withDatabase(
  work: (database: Database, session: DatabaseSession, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const database = sqliteConnector.openDatabase?.({ path: `${folder}/a.db` }, {
    scratchDir: folder,
    clock: systemClock,
  });
  assert.ok(database !== undefined);
  const session = await database.connect(signal());
  try {
    await work(database, session, folder);
  } finally {
    await session.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("sqlite database: an error in the middle of a query is not its end", () =>
  withDatabase(async (_database, session, folder) => {
    await session.run("CREATE TABLE texts (v TEXT)");
    await session.run(`INSERT INTO texts VALUES ('1'), ('bad'), ('2')`);
    const engine = await createEngine({ scratchDir: folder, threads: 1 });
    const engineSession = await engine.connect();
    const read = async () => {
      for await (
        const piece of session.read("SELECT json(v) AS j FROM texts", [], engine, engineSession)
      ) {
        await piece.release();
      }
    };
    try {
      await assert.rejects(read(), { code: "query_invalid", message: /malformed JSON/ });
    } finally {
      await engine.close();
    }
  }));

Deno.test("sqlite database: a function that fails ends its statement, and nothing is written", () =>
  withDatabase(async (_database, session) => {
    await session.run("CREATE TABLE times (v TEXT)");
    const parse = (sql: string) =>
      session.dialect.normalize(
        { sql, type: "VARCHAR" },
        "parse_timestamp",
        "TIMESTAMP WITH TIME ZONE",
      );
    const rejected = { code: "load_rejected", message: /the value 'soon' does not fit/ };
    const values = "(SELECT '2026-01-01' AS x UNION ALL SELECT 'soon')";
    await assert.rejects(
      session.run(`INSERT INTO times SELECT ${parse("x")} FROM ${values}`),
      rejected,
    );
    await assert.rejects(session.rows(`SELECT ${parse("x")} AS v FROM ${values}`), rejected);
    await assert.rejects(
      session.rows(`INSERT INTO times SELECT ${parse("x")} FROM ${values} RETURNING v`),
      rejected,
    );
    assert.deepEqual(await session.rows("SELECT * FROM times"), []);
    assert.deepEqual(
      await session.rows(`INSERT INTO times SELECT ${parse("'2026-01-01'")} RETURNING v`),
      [{ v: "2026-01-01T00:00:00.000000Z" }],
    );
  }));

Deno.test("sqlite database: zoned times have one form, in whose order they are", () =>
  withDatabase(async (_database, session) => {
    await session.run("CREATE TABLE times (n INTEGER, v TIMESTAMPTZ)");
    const texts = [
      "0999-12-31T23:59:59Z",
      "1969-12-31T23:59:59.999999Z",
      "2026-01-01T00:00:00Z",
      "2026-01-01T00:00:00.5Z",
      "2026-01-01T00:00:01Z",
    ];
    const parse = session.dialect.cast(
      { sql: "?2", type: "VARCHAR" },
      "TIMESTAMP WITH TIME ZONE",
    );
    for (const [at, text] of texts.entries()) {
      await session.run(`INSERT INTO times VALUES (?1, ${parse})`, [BigInt(at), text]);
    }
    const rows = await session.rows<{ n: bigint }>("SELECT n FROM times ORDER BY v");
    assert.deepEqual(rows.map(({ n }) => n), [0n, 1n, 2n, 3n, 4n]);
  }));

Deno.test("sqlite database: a session that only reads makes no file and writes nothing", () =>
  withDatabase(async (database, session, folder) => {
    await session.run("CREATE TABLE t (a INTEGER)");
    const reader = await database.connect(signal(), { readOnly: true });
    try {
      await assert.rejects(reader.run("INSERT INTO t VALUES (1)"), { code: "permission_denied" });
    } finally {
      await reader.close();
    }
    const missing = sqliteConnector.openDatabase?.({ path: `${folder}/none.db` }, {
      scratchDir: folder,
      clock: systemClock,
    });
    await assert.rejects(
      async () => await missing?.connect(signal(), { readOnly: true }),
      { code: "sqlite_file_missing" },
    );
  }));

Deno.test("sqlite database: computed columns are typed by their cast, or by what they hold", () =>
  withDatabase(async (_database, session) => {
    await session.run("CREATE TABLE t (a INTEGER, b DECIMAL(10,2), c DATE)");
    const query =
      "SELECT a, b, c, CAST(a AS REAL) AS r, count(*) AS n, a || 'x' AS s FROM t GROUP BY a";
    const types = async () => (await session.describe(query)).map(({ type }) => type);
    assert.deepEqual(await types(), [
      "BIGINT",
      "DECIMAL(10,2)",
      "DATE",
      "DOUBLE",
      "VARCHAR",
      "VARCHAR",
    ]);
    await session.run("INSERT INTO t VALUES (1, 2.5, '2026-01-01')");
    assert.deepEqual(await types(), [
      "BIGINT",
      "DECIMAL(10,2)",
      "DATE",
      "DOUBLE",
      "BIGINT",
      "VARCHAR",
    ]);
  }));

Deno.test("sqlite database: a lock is left no longer than its holder, and leaves no file", () =>
  withDatabase(async (database, session, folder) => {
    assert.equal(await session.lock("a pipeline/with an odd name"), true);
    const other = await database.connect(signal());
    assert.equal(await other.lock("a pipeline/with an odd name"), false);
    await session.close();
    assert.equal(await other.lock("a pipeline/with an odd name"), true);
    await other.close();
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert.deepEqual(left.filter((name) => name.includes("lock")), []);
  }));
