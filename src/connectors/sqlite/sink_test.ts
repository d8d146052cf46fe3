import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type Batch, type RejectedRows, ROW_COLUMN } from "../../core/batch.ts";
import { OffsetName } from "../../core/offset_name.ts";
import { systemClock } from "../../core/clock.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { type Column, quoteIdentifier } from "../../core/schema.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import type { Sink, SinkContext } from "../../core/sink.ts";
import { createEngine } from "../../sql/engine.ts";
import { sqliteConnector } from "./connector.ts";
import { SqliteSink } from "./sink.ts";

const never = new AbortController().signal;

interface Rig {
  readonly path: string;
  readonly engine: Engine;
  readonly session: Session;
  sink(options?: { mode?: "append" | "merge"; keys?: string[]; create?: boolean }): Sink;
  context(change?: Partial<SinkContext>): SinkContext;
  /** A batch of the rows of a query. */
  batch(sql: string, numbered?: boolean): Promise<Batch>;
  /** Runs SQL on the target file by itself; integers come as bigint. */
  target(sql: string): Record<string, unknown>[];
  /** One epoch with one batch. */
  write(sink: Sink, batch: Batch): Promise<RejectedRows | undefined>;
  rejected(found: RejectedRows | undefined): Promise<Record<string, SqlValue>[]>;
}

async function withRig(work: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const scratchDir = `${dir}/scratch`;
  await Deno.mkdir(scratchDir);
  const engine = await createEngine({ scratchDir });
  const session = await engine.connect();
  const path = `${dir}/out.db`;
  const sinks: Sink[] = [];
  let epoch = 0;
  const rig: Rig = {
    path,
    engine,
    session,
    sink({ mode = "append", keys = [], create = true } = {}) {
      const table = { name: "events" };
      const sink = sqliteConnector.createSink?.({ options: { path }, table, mode, keys, create });
      assert.ok(sink);
      sinks.push(sink);
      return sink;
    },
    context: (change = {}) => ({
      pipeline: "p",
      offsetName: OffsetName.ofOnly("p"),
      engine,
      clock: systemClock,
      observe: () => {},
      exactlyOnce: true,
      ...change,
    }),
    async batch(sql, numbered = true) {
      const table = engine.newName("batch");
      const number = numbered ? `, row_number() OVER () - 1 AS ${ROW_COLUMN}` : "";
      await session.run(`CREATE TABLE ${table} AS SELECT *${number} FROM (${sql})`);
      const columns = await session.rows<Column & Record<string, SqlValue>>(
        "SELECT column_name AS name, data_type AS type FROM duckdb_columns() " +
          `WHERE table_name = $1 AND column_name <> '${ROW_COLUMN}' ORDER BY column_index`,
        [table],
      );
      const [count] = await session.rows<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`);
      return { table, columns, hasRowColumn: numbered, rows: Number(count?.n) };
    },
    target(sql) {
      const database = new DatabaseSync(path);
      try {
        const statement = database.prepare(sql);
        statement.setReadBigInts(true);
        return statement.all().map((row) => ({ ...row }));
      } finally {
        database.close();
      }
    },
    async write(sink, batch) {
      await sink.begin(epoch += 1);
      const rejected = await sink.write(batch, session, never);
      await sink.commit([]);
      return rejected;
    },
    async rejected(found) {
      if (found === undefined) return [];
      const rows = await session.rows(`SELECT * FROM ${quoteIdentifier(found.table)} ORDER BY ALL`);
      assert.equal(rows.length, found.count);
      return rows;
    },
  };
  try {
    await work(rig);
  } finally {
    for (const sink of sinks) await sink.close();
    await engine.close();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Engine value, what SQLite holds, and the type that flow declares. */
const VALUES: readonly (readonly [sql: string, held: unknown, declared: string])[] = [
  ["9223372036854775807::BIGINT", 9223372036854775807n, "INTEGER"],
  ["(-9223372036854775808)::BIGINT", -9223372036854775808n, "INTEGER"],
  ["4294967295::UINTEGER", 4294967295n, "INTEGER"],
  ["18446744073709551615::UBIGINT", "18446744073709551615", "DECIMAL_TEXT(20,0)"],
  [
    "170141183460469231731687303715884105727::HUGEINT",
    "170141183460469231731687303715884105727",
    "HUGE_TEXT",
  ],
  [
    "12345678901234567890123456789012345.670::DECIMAL(38,3)",
    "12345678901234567890123456789012345.670",
    "DECIMAL_TEXT(38,3)",
  ],
  ["1.10::DECIMAL(4,2)", "1.10", "DECIMAL_TEXT(4,2)"],
  ["0.1::DOUBLE", 0.1, "REAL"],
  ["5e-324::DOUBLE", 5e-324, "REAL"],
  ["1.7976931348623157e308::DOUBLE", 1.7976931348623157e308, "REAL"],
  ["'inf'::DOUBLE", Infinity, "REAL"],
  ["'-inf'::FLOAT", -Infinity, "REAL"],
  ["'nan'::DOUBLE", null, "REAL"],
  ["0.1::FLOAT", 0.1, "REAL"],
  ["true", 1n, "BOOLEAN"],
  ["''::VARCHAR", "", "TEXT"],
  ["'007'::VARCHAR", "007", "TEXT"],
  ["('é😀' || chr(10) || '\"]')::VARCHAR", 'é😀\n"]', "TEXT"],
  ["('a' || chr(0) || 'b')::VARCHAR", "610062", "TEXT"],
  ["'\\x00\\xFF'::BLOB", new Uint8Array([0, 255]), "BLOB"],
  ["''::BLOB", new Uint8Array(), "BLOB"],
  ["'0101'::BIT", "0101", "TEXT"],
  ["DATE '0001-01-01'", "0001-01-01", "DATE"],
  ["TIME '23:59:59.999999'", "23:59:59.999999", "TIME"],
  ["TIMESTAMP '1969-12-31 23:59:59.999999'", "1969-12-31T23:59:59.999999", "TIMESTAMP"],
  ["TIMESTAMP_NS '2024-01-01 00:00:01.123456789'", "2024-01-01T00:00:01.123456789", "TIMESTAMP_NS"],
  ["TIMESTAMPTZ '2024-01-01 00:00:01+02'", "2023-12-31T22:00:01.000000Z", "TIMESTAMPTZ"],
  ["TIMESTAMPTZ '2024-01-01 00:00:01.5+00'", "2024-01-01T00:00:01.500000Z", "TIMESTAMPTZ"],
  ["INTERVAL '1 month'", "1 month", "TEXT"],
  [
    "'00000000-0000-0000-0000-00000000000f'::UUID",
    "00000000-0000-0000-0000-00000000000f",
    "TEXT",
  ],
  ["'{\"a\": 1.10}'::JSON", '{"a": 1.10}', "JSON_TEXT"],
  ["'b'::ENUM('a', 'b')", "b", "TEXT"],
  ["[1, NULL]", "[1,null]", "JSON_TEXT"],
  ["{'a': 1, 'n': NULL::VARCHAR}", '{"a":1,"n":null}', "JSON_TEXT"],
  ["MAP {'k': 1}", '{"k":1}', "JSON_TEXT"],
];

Deno.test("sqlite: a new table keeps every value", () =>
  withRig(async (rig) => {
    const items = VALUES.map(([value], at) => `${value} AS c${at}`);
    const nulls = VALUES.map(() => "NULL");
    const batch = await rig.batch(
      `SELECT 1 AS id, ${items.join(", ")} UNION ALL SELECT 2, ${nulls.join(", ")}`,
    );
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    assert.equal(await sink.columns(), undefined);
    assert.equal(await rig.write(sink, batch), undefined);
    assert.deepEqual(
      (await sink.columns())?.slice(1).map(({ nativeType }) => nativeType),
      VALUES.map(([, , declared]) => declared),
    );
    // The client reads a text up to the first NUL.
    const nul = VALUES.findIndex(([sql]) => sql.includes("chr(0)"));
    const [values, empties] = rig.target(
      `SELECT *, iif(c${nul} IS NULL, NULL, hex(c${nul})) AS c${nul} FROM events ORDER BY id`,
    );
    VALUES.forEach(([sql, held], at) => assert.deepEqual(values?.[`c${at}`], held, sql));
    VALUES.forEach(([sql], at) => assert.equal(empties?.[`c${at}`], null, sql));
    // What flow has declared takes the same values again.
    assert.equal(await rig.write(sink, batch), undefined);
  }));

Deno.test("sqlite: a column without type keeps the sign of zero", () =>
  withRig(async (rig) => {
    rig.target("CREATE TABLE events (d, i, t, x)");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    await rig.write(
      sink,
      await rig.batch("SELECT '-0.0'::DOUBLE AS d, 5 AS i, '5' AS t, [1] AS x"),
    );
    const [row] = rig.target("SELECT *, typeof(i) AS ti, typeof(t) AS tt FROM events");
    assert.ok(Object.is(row?.["d"], -0));
    assert.deepEqual([row?.["ti"], row?.["tt"], row?.["x"]], ["integer", "text", "[1]"]);
  }));

Deno.test("sqlite: rows and offsets are there together; readers are not in the way", () =>
  withRig(async (rig) => {
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    assert.deepEqual(await sink.storedOffsets(), []);
    await sink.begin(1);
    await sink.write(await rig.batch("SELECT 1 AS id"), rig.session, never);
    const move = { sourceId: "t", partition: "0" };
    await sink.commit([{ ...move, expected: null, to: "1" }]);
    assert.deepEqual(await sink.storedOffsets(), [{ ...move, position: "1" }]);

    await sink.begin(2);
    await sink.write(await rig.batch("SELECT 2 AS id"), rig.session, never);
    assert.deepEqual(rig.target("SELECT id FROM events"), [{ id: 1n }]);
    assert.deepEqual(await sink.storedOffsets(), [{ ...move, position: "1" }]);
    assert.equal((await sink.columns())?.length, 1);
    await sink.abort();
    await sink.begin(3);
    await sink.write(await rig.batch("SELECT 3 AS id"), rig.session, never);
    await assert.rejects(sink.commit([{ ...move, expected: "7", to: "9" }]), {
      code: "offset_fenced",
      retryable: true,
    });
    await sink.abort();
    assert.deepEqual(rig.target("SELECT id FROM events"), [{ id: 1n }]);
    await sink.begin(4);
    await sink.commit([{ ...move, expected: "1", to: "5" }]);
    await sink.close();
    await sink.close();
    const again = rig.sink();
    await again.open(rig.context(), never);
    assert.deepEqual(await again.storedOffsets(), [{ ...move, position: "5" }]);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(rig.engine.scratchDir)), []);
  }));

Deno.test("sqlite: rows that break a rule come back, all others are written", () =>
  withRig(async (rig) => {
    rig.target(
      "CREATE TABLE events (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, u TEXT UNIQUE ON CONFLICT REPLACE, " +
        "d DECIMAL(20,2), j JSON_TEXT, CHECK (n < 100)) ",
    );
    rig.target("INSERT INTO events VALUES (1, 1, 'taken', NULL, NULL)");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    const rejected = await rig.write(
      sink,
      await rig.batch(`SELECT * FROM (VALUES
        ('2', '7', 'a', '1.5', '{"x":1}'), ('x', '7', 'b', NULL, NULL), ('3', NULL, 'c', NULL, NULL),
        ('4', '9223372036854775808', 'd', NULL, NULL), ('5', '1.5', 'e', NULL, NULL),
        ('6', '200', 'f', NULL, NULL), ('1', '8', 'g', NULL, NULL), ('7', '8', 'taken', NULL, NULL),
        ('8', '8', 'h', '123456789012345.67', NULL), ('8', '9', 'i', '1234567890123.5', NULL),
        ('8', '9', 'j', NULL, NULL), ('9', '9', 'k', '123456789012345678.00', '{x'),
        ('10', '9', 'l', '123456789012345678.00', NULL)) AS v(id, n, u, d, j)`),
    );
    const rows = await rig.rejected(rejected);
    const reasons = new Map(rows.map((row) => [Number(row[ROW_COLUMN]), String(row["_error"])]));
    assert.deepEqual([...reasons.keys()].sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
    assert.match(reasons.get(1) ?? "", /column "id": x does not fit INTEGER/);
    assert.match(reasons.get(5) ?? "", /CHECK constraint failed/);
    assert.match(reasons.get(6) ?? "", /UNIQUE constraint failed: events.id/);
    assert.match(reasons.get(8) ?? "", /would be changed by SQLite/);
    assert.deepEqual(rig.target("SELECT id, d FROM events ORDER BY id"), [
      { id: 1n, d: null },
      { id: 2n, d: 1.5 },
      { id: 8n, d: 1234567890123.5 },
      { id: 10n, d: 123456789012345678n },
    ]);
  }));

Deno.test("sqlite: many rows with a few bad ones among them", () =>
  withRig(async (rig) => {
    rig.target("CREATE TABLE events (id INTEGER PRIMARY KEY, t TEXT) STRICT");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    const rejected = await rig.write(
      sink,
      await rig.batch(
        "SELECT CASE WHEN i % 10000 = 9999 THEN i - 1 ELSE i END AS id, " +
          "repeat('é', (i % 50)::INTEGER) AS t FROM range(50000) r(i)",
      ),
    );
    assert.deepEqual(
      (await rig.rejected(rejected)).map((row) => row[ROW_COLUMN]),
      [9999n, 19999n, 29999n, 39999n, 49999n],
    );
    assert.deepEqual(rig.target("SELECT count(*) AS n, sum(length(t)) AS l FROM events"), [
      { n: 49995n, l: 50000n / 50n * 1225n - 5n * 49n },
    ]);
  }));

Deno.test("sqlite: a row longer than a piece arrives", () =>
  withRig(async (rig) => {
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    await rig.write(
      sink,
      await rig.batch("SELECT i AS id, repeat('x', 3000000) AS t FROM range(3) r(i)"),
    );
    assert.deepEqual(rig.target("SELECT count(*) AS n, min(length(t)) AS l FROM events"), [
      { n: 3n, l: 3000000n },
    ]);
  }));

Deno.test("sqlite: rows that lost their number come back as JSON", () =>
  withRig(async (rig) => {
    rig.target("CREATE TABLE events (id INTEGER, t TEXT UNIQUE)");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    const rejected = await rig.write(
      sink,
      await rig.batch("SELECT * FROM (VALUES ('1', 'a'), ('x', 'b'), ('3', 'a')) v(id, t)", false),
    );
    assert.equal(rejected?.by, "row_json");
    assert.deepEqual((await rig.rejected(rejected)).map((row) => row["_row_json"]).sort(), [
      '{"id":"3","t":"a"}',
      '{"id":"x","t":"b"}',
    ]);
    assert.deepEqual(rig.target("SELECT * FROM events"), [{ id: 1n, t: "a" }]);
  }));

Deno.test("sqlite: merge takes the last row of a key and touches nothing that stays the same", () =>
  withRig(async (rig) => {
    rig.target("CREATE TABLE audit (id, what)");
    rig.target("CREATE TABLE events (id INTEGER PRIMARY KEY, t TEXT COLLATE NOCASE, d REAL)");
    rig.target(
      "CREATE TRIGGER updated AFTER UPDATE ON events BEGIN INSERT INTO audit VALUES (new.id, 'u'); END",
    );
    rig.target("INSERT INTO events VALUES (1, 'same', 1.5), (2, 'case', NULL), (3, 'old', 1)");
    const sink = rig.sink({ mode: "merge", keys: ["id"] });
    await sink.open(rig.context(), never);
    const rejected = await rig.write(
      sink,
      await rig.batch(`SELECT * FROM (VALUES (3, 'x', 0), (1, 'same', 1.5), (2, 'CASE', NULL),
        (3, 'y', 0), (NULL, 'n', 0), (4, 'new', 0), (3, 'last', 2)) v(id, t, d)`),
    );
    assert.deepEqual(
      (await rig.rejected(rejected)).map((row) => [row[ROW_COLUMN], row["_error"]]),
      [[4n, 'column "id": NULL in a key of the merge']],
    );
    assert.deepEqual(rig.target("SELECT * FROM events ORDER BY id"), [
      { id: 1n, t: "same", d: 1.5 },
      { id: 2n, t: "CASE", d: null },
      { id: 3n, t: "last", d: 2 },
      { id: 4n, t: "new", d: 0 },
    ]);
    assert.deepEqual(rig.target("SELECT id FROM audit ORDER BY id"), [{ id: 2n }, { id: 3n }]);
  }));

Deno.test("sqlite: a merge makes a table with its key, and wants a unique one", () =>
  withRig(async (rig) => {
    const sink = rig.sink({ mode: "merge", keys: ["a", "b"] });
    await sink.open(rig.context(), never);
    const rows = "SELECT * FROM (VALUES ('x', 1, 1), ('x', 1, 2), ('x', 2, 3)) v(a, b, n)";
    await rig.write(sink, await rig.batch(rows));
    await rig.write(sink, await rig.batch("SELECT 'x' AS a, 1 AS b"));
    assert.deepEqual(rig.target("SELECT * FROM events ORDER BY b"), [
      { a: "x", b: 1n, n: 2n },
      { a: "x", b: 2n, n: 3n },
    ]);
    const other = rig.sink({ mode: "merge", keys: ["n"] });
    await other.open(rig.context(), never);
    await other.begin(1);
    await assert.rejects(other.write(await rig.batch(rows), rig.session, never), {
      code: "target_key_not_unique",
    });
    await other.abort();
  }));

Deno.test("sqlite: columns are unknown at first contact and added later", () =>
  withRig(async (rig) => {
    rig.target("CREATE TABLE events (customer INTEGER) STRICT");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    await sink.begin(1);
    await assert.rejects(
      sink.write(await rig.batch("SELECT 1 AS custmer"), rig.session, never),
      { code: "target_column_unknown", hint: /did you mean "customer"/ },
    );
    await sink.abort();
    await rig.write(sink, await rig.batch("SELECT 1 AS customer"));
    await rig.write(sink, await rig.batch("SELECT 2 AS customer, now() AS at, true AS b"));
    await sink.begin(9);
    await sink.commit([{ sourceId: "t", partition: "0", expected: null, to: "4" }]);
    await sink.close();
    const again = rig.sink();
    await again.open(rig.context(), never);
    await rig.write(again, await rig.batch("SELECT 5 AS customer, 1.50::DECIMAL(9,2) AS later"));
    assert.deepEqual(rig.target("SELECT customer, b, later FROM events ORDER BY customer"), [
      { customer: 1n, b: null, later: null },
      { customer: 2n, b: 1n, later: null },
      { customer: 5n, b: null, later: "1.50" },
    ]);
  }));

Deno.test("sqlite: what can never fit is an error that names the column", () =>
  withRig(async (rig) => {
    rig.target(
      "CREATE TABLE events (id INTEGER, at TIMESTAMP, need TEXT NOT NULL, g INTEGER AS (id + 1))",
    );
    const sink = rig.sink({ create: false });
    await sink.open(rig.context(), never);
    for (
      const [sql, code, column] of [
        ["SELECT {'a': 1} AS id, 'x' AS need", "target_type_mismatch", "id"],
        ["SELECT true AS \"at\", 'x' AS need", "target_type_mismatch", "at"],
        ["SELECT 1 AS id", "target_column_required", "need"],
        ["SELECT 1 AS g, 'x' AS need", "target_column_generated", "g"],
      ] as const
    ) {
      await sink.begin(1);
      await assert.rejects(sink.write(await rig.batch(sql), rig.session, never), (error) => {
        assert.equal((error as { code?: string }).code, code);
        assert.match(String(error), new RegExp(`"${column}"`));
        return true;
      });
      await sink.abort();
    }
    rig.target("DROP TABLE events");
    await sink.begin(2);
    await assert.rejects(sink.write(await rig.batch("SELECT 1 AS id"), rig.session, never), {
      code: "target_table_missing",
    });
    await sink.abort();
    assert.throws(
      () =>
        sqliteConnector.createSink?.({
          options: { path: rig.path },
          table: { schema: "public", name: "events" },
          mode: "append",
          keys: [],
          create: true,
        }),
      { code: "target_schema_unknown" },
    );
  }));

Deno.test("sqlite: another writer makes an epoch wait, and then fail", () =>
  withRig(async (rig) => {
    const sink = new SqliteSink({
      path: rig.path,
      table: "events",
      mode: "append",
      keys: [],
      create: true,
      busyMs: 100,
    });
    await sink.open(rig.context(), never);
    const other = new DatabaseSync(rig.path);
    try {
      other.exec("BEGIN IMMEDIATE");
      await assert.rejects(sink.begin(1), { code: "sqlite_busy", retryable: true });
      other.exec("ROLLBACK");
      await rig.write(sink, await rig.batch("SELECT 1 AS id"));
      assert.deepEqual(rig.target("SELECT id FROM events"), [{ id: 1n }]);
    } finally {
      other.close();
      await sink.close();
    }
  }));

Deno.test("sqlite: dead letters go into a table of the same transaction", () =>
  withRig(async (rig) => {
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    const letter: DeadLetter = {
      id: "t/0/17",
      pipeline: "p",
      stage: "write",
      error: "not 'good'",
      sourceId: "t",
      partition: "0",
      offset: 9007199254740993n,
      attempt: 1,
      failedAtMs: 1_700_000_000_000,
      eventTimeMicros: null,
      payloadFormat: "json",
      payload: new Uint8Array([0, 255, 39]),
      key: "k",
    };
    await sink.begin(1);
    await sink.writeDeadLetters?.("ematix_dlq_records", [letter]);
    await sink.abort();
    await sink.begin(2);
    await sink.writeDeadLetters?.("ematix_dlq_records", [letter, { ...letter, id: "t/0/18" }]);
    await sink.writeDeadLetters?.("main.ematix_dlq_records", [{ ...letter, attempt: 2 }]);
    await sink.commit([]);
    assert.deepEqual(
      rig.target(
        "SELECT id, error, source_offset, attempt, payload, event_ts, status FROM ematix_dlq_records ORDER BY id",
      ),
      [2n, 1n].map((attempt, at) => ({
        id: `t/0/${17 + at}`,
        error: "not 'good'",
        source_offset: 9007199254740993n,
        attempt,
        payload: new Uint8Array([0, 255, 39]),
        event_ts: null,
        status: "pending",
      })),
    );
  }));

Deno.test("sqlite: check opens and makes nothing", () =>
  withRig(async (rig) => {
    await assert.rejects(async () => await sqliteConnector.check?.({ path: rig.path }, never), {
      code: "sqlite_file_missing",
    });
    await assert.rejects(Deno.stat(rig.path), Deno.errors.NotFound);
    rig.target("CREATE TABLE events (id INTEGER)");
    const found = await sqliteConnector.check?.({ dsn: `sqlite://${rig.path}` }, never);
    assert.match(found?.detail ?? "", /^SQLite 3\./);
    await Deno.writeTextFile(`${rig.path}.txt`, "no database at all, but long enough\n".repeat(99));
    await assert.rejects(
      async () => await sqliteConnector.check?.({ path: `${rig.path}.txt` }, never),
      {
        code: "sqlite_file_invalid",
      },
    );
  }));
