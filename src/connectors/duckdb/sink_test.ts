import assert from "node:assert/strict";
import { type Batch, type RejectedRows, ROW_COLUMN } from "../../core/batch.ts";
import { OffsetName } from "../../core/offset_name.ts";
import { systemClock } from "../../core/clock.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { type Column, quoteIdentifier } from "../../core/schema.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import type { Sink, SinkContext } from "../../core/sink.ts";
import { FILE_DATABASE, openDuckdbFile } from "../../sql/duckdb_file.ts";
import { createEngine } from "../../sql/engine.ts";
import { duckdbConnector } from "./connector.ts";
import { writeStatement } from "./stage.ts";

const never = new AbortController().signal;

interface Rig {
  readonly path: string;
  readonly engine: Engine;
  readonly session: Session;
  sink(options?: { mode?: "append" | "merge"; keys?: string[]; create?: boolean }): Sink;
  context(change?: Partial<SinkContext>): SinkContext;
  /** A batch of the rows of a query. */
  batch(sql: string, numbered?: boolean): Promise<Batch>;
  /** Runs SQL on the target file by itself; the table's schema is `flow_file.main`. */
  target(sql: string): Promise<Record<string, SqlValue>[]>;
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
  const path = `${dir}/out.duckdb`;
  const sinks: Sink[] = [];
  let epoch = 0;
  const rig: Rig = {
    path,
    engine,
    session,
    sink({ mode = "append", keys = [], create = true } = {}) {
      const table = { name: "events" };
      const sink = duckdbConnector.createSink?.({ options: { path }, table, mode, keys, create });
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
    async target(sql) {
      const file = await openDuckdbFile({
        path,
        access: "create",
        scratchDir,
        clock: systemClock,
        signal: never,
      });
      try {
        const found = await (await file.connect()).rows(
          sql.replaceAll("main.", `${FILE_DATABASE}.main.`),
        );
        return found.map((row) => ({ ...row }));
      } finally {
        await file.close();
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

/** One value per DuckDB type that is easily changed on the way; NULL stands beside each. */
const ODD_VALUES = [
  "9223372036854775807::BIGINT",
  "170141183460469231731687303715884105727::HUGEINT",
  "340282366920938463463374607431768211455::UHUGEINT",
  "18446744073709551615::UBIGINT",
  "(-128)::TINYINT",
  "255::UTINYINT",
  "12345678901234567890123456789012345.678::DECIMAL(38,3)",
  "123456789012345678901234567890123456789012345678901234567890::BIGNUM",
  "'-0.0'::DOUBLE",
  "'nan'::DOUBLE",
  "'-inf'::FLOAT",
  "0.1::FLOAT",
  "true",
  "''::VARCHAR",
  "('é😀' || chr(0) || chr(10))::VARCHAR",
  "'\\x00\\xFF'::BLOB",
  "''::BLOB",
  "'0101'::BIT",
  "DATE '0001-01-01'",
  "DATE 'infinity'",
  "DATE '-4000-01-01'",
  "TIME '23:59:59.999999'",
  "'12:00:00.123456+05:30'::TIMETZ",
  "TIMESTAMP '1969-12-31 23:59:59.999999'",
  "TIMESTAMP 'infinity'",
  "TIMESTAMP_S '2024-01-01 00:00:01'",
  "TIMESTAMP_MS '2024-01-01 00:00:01.123'",
  "TIMESTAMP_NS '2024-01-01 00:00:01.123456789'",
  "TIMESTAMPTZ '2024-01-01 00:00:01.123456+02'",
  "INTERVAL '1 year 2 months -3 days 00:00:00.000001'",
  "'00000000-0000-0000-0000-00000000000f'::UUID",
  "'{\"a\": 1.10}'::JSON",
  "'b'::ENUM('a', 'b')",
  "[1, NULL, 3]",
  "[]::INTEGER[]",
  "[1, 2, 3]::INTEGER[3]",
  "{'a b': 170141183460469231731687303715884105727::HUGEINT, 'i': INTERVAL '1 month', 'n': NULL::TIMESTAMP_NS}",
  "[{'t': '12:00:00+01'::TIMETZ, 'b': '01'::BIT, 'e': 'x'::ENUM('x', 'y')}]",
  "MAP {'k': TIMESTAMP_NS '2024-01-01 00:00:01.123456789', 'n': NULL}",
  "MAP {1: 'x'}",
  "union_value(num := 1)::UNION(num INTEGER, str VARCHAR)",
];

Deno.test("duckdb: a new table has exactly the batch's types and values", () =>
  withRig(async (rig) => {
    const items = ODD_VALUES.map((value, at) => `${value} AS c${at}`);
    const nulls = ODD_VALUES.map(() => "NULL");
    const batch = await rig.batch(
      `SELECT ${items.join(", ")} UNION ALL SELECT ${nulls.join(", ")}`,
    );
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    assert.equal(await sink.columns(), undefined);
    assert.equal(await rig.write(sink, batch), undefined);
    const columns = await sink.columns();
    assert.deepEqual(
      columns?.map(({ name, type }) => ({ name, type })),
      batch.columns.map(({ name, type }) => ({ name, type })),
    );
    // Texts show every digit and zone; signs of zero and NaN too.
    const texts = batch.columns.map(({ name }) => `${name}::VARCHAR AS ${name}`).join(", ");
    assert.deepEqual(
      await rig.target(`SELECT ${texts} FROM main.events ORDER BY c0`),
      (await rig.session.rows(`SELECT ${texts} FROM ${batch.table} ORDER BY c0`)).map((row) => ({
        ...row,
      })),
    );
  }));

Deno.test("duckdb: rows and offsets are there together or not at all", () =>
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
    await sink.abort();
    await sink.begin(3);
    await sink.write(await rig.batch("SELECT 3 AS id"), rig.session, never);
    await assert.rejects(sink.commit([{ ...move, expected: "7", to: "9" }]), {
      code: "offset_fenced",
      retryable: true,
    });
    await sink.abort();
    assert.deepEqual(await rig.target("SELECT id FROM main.events"), [{ id: 1 }]);
    assert.deepEqual(await sink.storedOffsets(), [{ ...move, position: "1" }]);

    await sink.begin(4);
    await sink.commit([{ ...move, expected: "1", to: "5" }]);
    await sink.close();
    await sink.close();
    const again = rig.sink();
    await again.open(rig.context(), never);
    assert.deepEqual(await again.storedOffsets(), [{ ...move, position: "5" }]);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(rig.engine.scratchDir)), []);
  }));

Deno.test("duckdb: offsets of many partitions move at once, whatever their names", () =>
  withRig(async (rig) => {
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    const moves = Array.from({ length: 1203 }, (_, at) => ({
      sourceId: `it's "$1" \\ ${at % 3}`,
      partition: `p'${at}`,
      to: `${at};'x'`,
    }));
    await sink.begin(1);
    await sink.commit(moves.map((move) => ({ ...move, expected: null })));
    await sink.begin(2);
    await sink.commit(moves.map((move) => ({ ...move, expected: move.to, to: `${move.to}+` })));
    const stored = await sink.storedOffsets();
    const kept = new Map(stored.map((one) => [`${one.sourceId}|${one.partition}`, one.position]));
    assert.equal(stored.length, moves.length);
    for (const { sourceId, partition, to } of moves) {
      assert.equal(kept.get(`${sourceId}|${partition}`), `${to}+`);
    }
    await sink.close();
  }));

Deno.test("duckdb: rows that break a rule come back, all others are written", () =>
  withRig(async (rig) => {
    await rig.target(
      "CREATE TABLE main.events (id BIGINT PRIMARY KEY, n INTEGER NOT NULL, u VARCHAR UNIQUE, " +
        "j JSON, CHECK (n < 100))",
    );
    await rig.target("CREATE UNIQUE INDEX low ON main.events (lower(u))");
    await rig.target("INSERT INTO main.events VALUES (1, 1, 'taken', NULL)");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    await sink.begin(1);
    assert.equal(
      await sink.write(await rig.batch("SELECT 100 AS id, 5 AS n"), rig.session, never),
      undefined,
    );
    const rejected = await sink.write(
      await rig.batch(`SELECT * FROM (VALUES
        ('2', '7', 'a', '{"x":1}'), ('x', '7', 'b', NULL), ('3', NULL, 'c', NULL),
        ('4', '3000000000', 'd', NULL), ('5', '1.5', 'e', NULL), ('6', '200', 'f', NULL),
        ('1', '8', 'g', NULL), ('7', '8', 'taken', NULL), ('8', '8', 'h', NULL),
        ('8', '9', 'i', NULL), ('9', '9', 'j', '{x'), ('10', '9', 'TAKEN', NULL),
        (NULL, '1', 'k', NULL), ('100', '1', 'l', NULL)) AS v(id, n, u, j)`),
      rig.session,
      never,
    );
    await sink.commit([]);
    const rows = await rig.rejected(rejected);
    assert.deepEqual(
      rows.map((row) => Number(row[ROW_COLUMN])).sort((a, b) => a - b),
      [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13],
    );
    const reasons = new Map(rows.map((row) => [Number(row[ROW_COLUMN]), String(row["_error"])]));
    assert.match(reasons.get(1) ?? "", /column "id": x does not fit BIGINT/);
    assert.match(reasons.get(2) ?? "", /column "n": NULL/);
    assert.match(reasons.get(5) ?? "", /CHECK/);
    assert.match(reasons.get(6) ?? "", /PRIMARY KEY\(id\): there is a row with 1/);
    assert.match(reasons.get(11) ?? "", /unique index low/);
    assert.deepEqual(await rig.target("SELECT id, n FROM main.events ORDER BY id"), [
      { id: 1n, n: 1 },
      { id: 2n, n: 7 },
      { id: 8n, n: 8 },
      { id: 100n, n: 5 },
    ]);
  }));

Deno.test("duckdb: a rule that no query foresees is found by halves", () =>
  withRig(async (rig) => {
    await rig.target("CREATE SEQUENCE main.numbers MAXVALUE 1000");
    // The default is not computed beforehand, so that the check on it is seen only by the table itself.
    await rig.target(
      "CREATE TABLE main.events (id BIGINT, d BIGINT DEFAULT nextval('main.numbers') * 0 + 5, " +
        "CHECK (id <> d))",
    );
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    const rejected = await rig.write(sink, await rig.batch("SELECT i AS id FROM range(20) r(i)"));
    const [row, ...more] = await rig.rejected(rejected);
    assert.equal(more.length, 0);
    assert.equal(row?.[ROW_COLUMN], 5n);
    assert.match(String(row?.["_error"]), /CHECK constraint failed/);
    assert.deepEqual(await rig.target("SELECT count(*) AS n FROM main.events"), [{ n: 19n }]);
  }));

Deno.test("duckdb: rows that lost their number come back as JSON", () =>
  withRig(async (rig) => {
    await rig.target("CREATE TABLE main.events (id INTEGER, t VARCHAR NOT NULL)");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    const rejected = await rig.write(
      sink,
      await rig.batch(
        "SELECT * FROM (VALUES (1, 'a'), (3000000000, 'b'), (3, NULL)) v(id, t)",
        false,
      ),
    );
    assert.equal(rejected?.by, "row_json");
    assert.deepEqual((await rig.rejected(rejected)).map((row) => row["_row_json"]).sort(), [
      '{"id":3,"t":null}',
      '{"id":3000000000,"t":"b"}',
    ]);
    assert.deepEqual(await rig.target("SELECT * FROM main.events"), [{ id: 1, t: "a" }]);
  }));

Deno.test("duckdb: merge takes the last row of a key and touches nothing that stays the same", () =>
  withRig(async (rig) => {
    const sink = rig.sink({ mode: "merge", keys: ["id"] });
    await sink.open(rig.context(), never);
    await rig.write(
      sink,
      await rig.batch(
        "SELECT * FROM (VALUES (1, 'a', [1]), (2, 'b', NULL), (1, 'c', [2])) v(id, t, l)",
      ),
    );
    assert.deepEqual(
      await rig.target("SELECT id, t, l::VARCHAR AS l FROM main.events ORDER BY id"),
      [
        { id: 1, t: "c", l: "[2]" },
        { id: 2, t: "b", l: null },
      ],
    );
    await sink.begin(2);
    const rejected = await sink.write(
      await rig.batch(
        "SELECT * FROM (VALUES (2, 'b2', [5]), (NULL, 'x', NULL), (3, 'n', [])) v(id, t, l)",
      ),
      rig.session,
      never,
    );
    await sink.write(await rig.batch("SELECT 2 AS id, 'b3' AS t"), rig.session, never);
    await sink.commit([]);
    assert.deepEqual(
      (await rig.rejected(rejected)).map((row) => [row[ROW_COLUMN], row["_error"]]),
      [[1n, 'column "id": NULL in a key of the merge']],
    );
    assert.deepEqual(
      await rig.target("SELECT id, t, l::VARCHAR AS l FROM main.events ORDER BY id"),
      [
        { id: 1, t: "c", l: "[2]" },
        { id: 2, t: "b3", l: "[5]" },
        { id: 3, t: "n", l: "[]" },
      ],
    );
  }));

Deno.test("duckdb: a merge writes only rows that are new or change", () =>
  withRig(async ({ session }) => {
    await session.run("CREATE TABLE target (id INTEGER PRIMARY KEY, t VARCHAR, l INTEGER[])");
    await session.run(
      "INSERT INTO target VALUES (1, 'same', [1]), (2, 'old', NULL), (3, NULL, [])",
    );
    await session.run(
      "CREATE TABLE staged AS SELECT * FROM (VALUES (1, 'same', [1]), (2, 'new', NULL), (3, NULL, []), " +
        "(4, 'x', NULL)) v(c0, c1, c2)",
    );
    const columns = ["id", "t", "l"].map((target, at) => ({ staged: `c${at}`, target }));
    const rows = { sql: "staged", columns, keys: ["id"], mode: "merge" } as const;
    const touched = await session.rows<{ id: number; merge_action: string }>(
      `${writeStatement("target", rows, "true")} RETURNING id, merge_action`,
    );
    assert.deepEqual(
      touched.map(({ id, merge_action }) => `${id} ${merge_action}`).sort(),
      ["2 UPDATE", "4 INSERT"],
    );
  }));

Deno.test("duckdb: columns are unknown at first contact and added later, fields of structs too", () =>
  withRig(async (rig) => {
    await rig.target("CREATE TABLE main.events (customer INTEGER)");
    const sink = rig.sink();
    await sink.open(rig.context(), never);
    await sink.begin(1);
    await assert.rejects(
      sink.write(await rig.batch("SELECT 1 AS custmer"), rig.session, never),
      { code: "target_column_unknown", hint: /did you mean "customer"/ },
    );
    await sink.abort();
    await rig.write(sink, await rig.batch("SELECT 1 AS customer"));
    await rig.write(sink, await rig.batch("SELECT 2 AS customer, {'a': 1} AS s, [{'x': 1}] AS l"));
    await rig.write(
      sink,
      await rig.batch("SELECT 3 AS customer, {'b': 'z', 'a': 2} AS s, [{'x': 1, 'y': 2}] AS l"),
    );
    await rig.write(sink, await rig.batch("SELECT {'b': 'q'} AS s"));
    assert.deepEqual(
      await rig.target(
        "SELECT customer, s::VARCHAR AS s, l::VARCHAR AS l FROM main.events ORDER BY customer",
      ),
      [
        { customer: 1, s: null, l: null },
        { customer: 2, s: "{'a': 1, 'b': NULL}", l: "[{'x': 1, 'y': NULL}]" },
        { customer: 3, s: "{'a': 2, 'b': z}", l: "[{'x': 1, 'y': 2}]" },
        { customer: null, s: "{'a': NULL, 'b': q}", l: null },
      ],
    );
    // After a restart the stored offsets say that this is no first contact.
    await sink.begin(9);
    await sink.commit([{ sourceId: "t", partition: "0", expected: null, to: "4" }]);
    await sink.close();
    const again = rig.sink();
    await again.open(rig.context(), never);
    await rig.write(again, await rig.batch("SELECT 5 AS customer, DATE '2024-01-01' AS later"));
    assert.deepEqual(
      await rig.target("SELECT later::VARCHAR AS d FROM main.events WHERE customer = 5"),
      [
        { d: "2024-01-01" },
      ],
    );
  }));

Deno.test("duckdb: what can never fit is an error that names the column", () =>
  withRig(async (rig) => {
    await rig.target(
      "CREATE TABLE main.events (id INTEGER, happened TIMESTAMP, need VARCHAR NOT NULL)",
    );
    const sink = rig.sink({ create: false });
    await sink.open(rig.context(), never);
    for (
      const [sql, code, column] of [
        ["SELECT {'a': 1} AS id, 'x' AS need", "target_type_mismatch", "id"],
        ["SELECT true AS happened, 'x' AS need", "target_type_mismatch", "happened"],
        ["SELECT 1 AS id", "target_column_required", "need"],
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
    await rig.target("DROP TABLE main.events");
    await sink.begin(2);
    await assert.rejects(sink.write(await rig.batch("SELECT 1 AS id"), rig.session, never), {
      code: "target_table_missing",
    });
    await sink.abort();
  }));

Deno.test("duckdb: dead letters go into a table of the same transaction", () =>
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
    await sink.writeDeadLetters?.("ematix_dlq_records", [{ ...letter, attempt: 2 }]);
    await sink.commit([]);
    assert.deepEqual(
      await rig.target(
        "SELECT id, error, source_offset, attempt, hex(payload) AS payload, event_ts, status, " +
          "decode(offset_bytes) AS o FROM main.ematix_dlq_records ORDER BY id",
      ),
      [2, 1].map((attempt, at) => ({
        id: `t/0/${17 + at}`,
        error: "not 'good'",
        source_offset: 9007199254740993n,
        attempt,
        payload: "00FF27",
        event_ts: null,
        status: "pending",
        o: '{"v":1,"partitions":{"0":9007199254740993}}',
      })),
    );
  }));

Deno.test("duckdb: check opens and makes nothing", () =>
  withRig(async (rig) => {
    await assert.rejects(async () => await duckdbConnector.check?.({ path: rig.path }, never), {
      code: "duckdb_file_missing",
    });
    await assert.rejects(Deno.stat(rig.path), Deno.errors.NotFound);
    await rig.target("CREATE TABLE main.events (id INTEGER)");
    const found = await duckdbConnector.check?.({ url: `duckdb://${rig.path}` }, never);
    assert.match(found?.detail ?? "", /^DuckDB v1\./);
    await Deno.writeTextFile(`${rig.path}.txt`, "no database at all, but long enough\n".repeat(99));
    await assert.rejects(
      async () => await duckdbConnector.check?.({ path: `${rig.path}.txt` }, never),
      {
        code: "duckdb_file_invalid",
      },
    );
  }));
