import assert from "node:assert/strict";
import type { DatabaseSession } from "../../src/core/database.ts";
import type { SqlValue } from "../../src/core/session.ts";
import type { Normalizer } from "../../src/core/table_spec.ts";
import { CONVERSIONS } from "./conversions.ts";
import {
  type DatabaseCase,
  type DatabaseRig,
  databaseTest,
  hasCode,
  literal,
} from "./database_rig.ts";

const ZONED = "TIMESTAMP WITH TIME ZONE";
/** Errors of values, whichever way a database tells of them. */
const unfit = hasCode("load_rejected", "query_invalid");

const NORMALIZED: readonly (readonly [Normalizer, string | null, string | null])[] = [
  ["lower", "ÄÖ Éß ЖДУ ΔΩ I😀", "äö éß жду δω i😀"],
  ["upper", "äö é жду δω i😀", "ÄÖ É ЖДУ ΔΩ I😀"],
  ["lower", null, null],
  ["trim", " \t\n\r\f\va b\v\f\r\n\t ", "a b"],
  ["trim", " \t", ""],
  ["trim", "\u00a0x\u00a0", "\u00a0x\u00a0"],
  ["empty_to_null", "", null],
  ["empty_to_null", " ", " "],
  ["empty_to_null", "x", "x"],
];

const TIMES: readonly (readonly [text: string, utc: string])[] = [
  ["2026-01-31T12:00:00Z", "2026-01-31 12:00:00+00"],
  ["2026-01-31T12:00:00+02:00", "2026-01-31 10:00:00+00"],
  ["2026-01-31T12:00:00-0530", "2026-01-31 17:30:00+00"],
  ["2026-01-31 12:00:00.123456+00", "2026-01-31 12:00:00.123456+00"],
  ["2026-01-31T12:00:00.5Z", "2026-01-31 12:00:00.5+00"],
  ["2026-01-31T23:30:00-01:00", "2026-02-01 00:30:00+00"],
  ["2026-01-31 12:00:00", "2026-01-31 12:00:00+00"],
  ["2026-01-31", "2026-01-31 00:00:00+00"],
  ["1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999+00"],
];

/** The least value of each type that a test puts beside `lowestValue`. */
const LEAST: Readonly<Record<string, string>> = {
  SMALLINT: "-32768",
  INTEGER: "-2147483648",
  BIGINT: "-9223372036854775808",
  DOUBLE: "-1.7e308",
  "DECIMAL(18,2)": "-9999999999999999.99",
  DATE: "1000-01-01",
  TIMESTAMP: "1000-01-01 00:00:00",
  [ZONED]: "1000-01-01 00:00:00+00",
  VARCHAR: "",
};

/** What every dialect spells. */
export function dialectSuite(tested: DatabaseCase): void {
  databaseTest(tested, "names are quoted", async (rig) => {
    const session = await rig.connect();
    const odd = `o"d\`d 'näme`;
    await rig.makeTable(session, odd, [{ name: odd, type: "BIGINT" }]);
    await rig.load(session, odd, "SELECT 1::BIGINT AS v");
    const table = session.dialect.tableName({ name: odd });
    const column = session.dialect.quote(odd);
    assert.deepEqual(await rig.texts(session, `SELECT ${column} FROM ${table}`), [["1"]]);
    assert.equal((await session.table({ name: odd }))?.columns[0]?.name, odd);
  });

  databaseTest(tested, "foldName is the same for names of one column only", async (rig) => {
    const session = await rig.connect();
    const { foldName } = session.dialect;
    for (const [a, b] of [["id", "ID"], ["ä", "Ä"], ["e", "é"], ["a", "a_"], ["ж", "Ж"]] as const) {
      const columns = [a, b].map((name) => ({ name, type: "BIGINT" }));
      const isOne = await rig.makeTable(session, "pair", columns)
        .then((table) => session.run(`DROP TABLE ${table}`))
        .then(() => false, hasCode("query_invalid"));
      assert.equal(foldName(a) === foldName(b), isOne, `${a} and ${b}`);
    }
  });

  databaseTest(tested, "a kept type is one that columns come back as", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    for (const type of ["BIGINT[]", "TIMESTAMP_S", "TIMESTAMP_NS", "DECIMAL(18,2)", "VARCHAR"]) {
      const kept = dialect.keptType(type);
      await rig.makeTable(session, "kept", [{ name: "v", type: kept }]);
      assert.equal((await session.table({ name: "kept" }))?.columns[0]?.type, kept, type);
      await session.run(`DROP TABLE ${dialect.tableName({ name: "kept" })}`);
    }
  });

  databaseTest(tested, "normalizers give the same everywhere", async (rig) => {
    const session = await rig.connect();
    for (const [normalizer, value, outcome] of NORMALIZED) {
      const sql = session.dialect.normalize(rig.bound(session, "VARCHAR"), normalizer, "VARCHAR");
      const found = await rig.text(session, `SELECT ${sql} AS v`, [value], "VARCHAR");
      assert.equal(found, outcome, `${normalizer} of ${JSON.stringify(value)}`);
    }
  });

  databaseTest(tested, "parse_timestamp takes ISO-8601 with zones", async (rig) => {
    const session = await rig.connect();
    const parse = session.dialect.normalize(
      rig.bound(session, "VARCHAR"),
      "parse_timestamp",
      ZONED,
    );
    for (const [text, utc] of TIMES) {
      assert.equal(await rig.text(session, `SELECT ${parse} AS v`, [text], ZONED), utc, text);
    }
    assert.equal(await rig.text(session, `SELECT ${parse} AS v`, [null], ZONED), null);
  });

  databaseTest(tested, "parse_timestamp fails on what is no time", async (rig) => {
    const session = await rig.connect();
    await rig.makeTable(session, "times", [{ name: "v", type: ZONED }]);
    const parse = session.dialect.normalize(
      rig.bound(session, "VARCHAR"),
      "parse_timestamp",
      ZONED,
    );
    const times = session.dialect.tableName({ name: "times" });
    for (const text of ["soon", "", "2026-13-01", "2026-02-30T00:00:00Z"]) {
      await assert.rejects(
        session.run(`INSERT INTO ${times} (v) SELECT ${parse}`, [text]),
        unfit,
        JSON.stringify(text),
      );
    }
    assert.deepEqual(await rig.texts(session, `SELECT v FROM ${times}`), []);
  });

  databaseTest(tested, "casts are exact or fail", async (rig) => {
    const session = await rig.connect();
    const wrong: string[] = [];
    for (const { from, value, to, outcome } of CONVERSIONS) {
      await rig.makeTable(session, "casts", [{ name: "f", type: from }]);
      await rig.makeTable(session, "results", [{ name: "t", type: to }]);
      const [casts, results] = ["casts", "results"].map((name) =>
        session.dialect.tableName({ name })
      );
      await rig.load(session, "casts", `SELECT CAST(${literal(value)} AS ${from}) AS f`);
      const cast = session.dialect.cast({ sql: "f", type: from }, to);
      const refusal = await session.run(`INSERT INTO ${results} (t) SELECT ${cast} FROM ${casts}`)
        .then(() => undefined, (error: unknown) => error);
      if (refusal !== undefined) unfit(refusal);
      const found = await rig.text(session, `SELECT t FROM ${results}`, [], to);
      if (found !== outcome) wrong.push(`${value} from ${from} to ${to}: ${found}`);
      await session.run(`DROP TABLE ${casts}`);
      await session.run(`DROP TABLE ${results}`);
    }
    assert.deepEqual(wrong, []);
  });

  databaseTest(
    tested,
    "differs takes NULL for equal to NULL, and letters for what they are",
    async (rig) => {
      const session = await rig.connect();
      const differs = session.dialect.differs(
        rig.bound(session, "VARCHAR", 1).sql,
        rig.bound(session, "VARCHAR", 2).sql,
      );
      const found = async (left: SqlValue, right: SqlValue) => {
        const sql = `SELECT CASE WHEN ${differs} THEN 'yes' ELSE 'no' END AS v`;
        return await rig.text(session, sql, [left, right]);
      };
      assert.equal(await found(null, null), "no");
      assert.equal(await found("a", null), "yes");
      assert.equal(await found(null, "a"), "yes");
      assert.equal(await found("a", "a"), "no");
      assert.equal(await found("a", "b"), "yes");
      assert.equal(await found("", null), "yes");
    },
  );

  databaseTest(
    tested,
    "differs sees a change of case, accent or trailing space in a column",
    async (rig) => {
      const session = await rig.connect();
      await rig.makeTable(session, "pairs", [
        { name: "l", type: "VARCHAR" },
        { name: "r", type: "VARCHAR" },
      ]);
      await rig.load(
        session,
        "pairs",
        "SELECT * FROM (VALUES ('a', 'A'), ('e', 'é'), ('a', 'a '), ('a', 'a')) AS p(l, r)",
      );
      const pairs = session.dialect.tableName({ name: "pairs" });
      const rows = await rig.texts(
        session,
        `SELECT r FROM ${pairs} WHERE ${session.dialect.differs("l", "r")}`,
      );
      assert.deepEqual(rows.map(([value]) => value).sort(), ["A", "a ", "é"]);
    },
  );

  databaseTest(tested, "seconds are added to times", async (rig) => {
    const session = await rig.connect();
    await rig.makeTable(session, "times", [
      { name: "z", type: ZONED },
      { name: "l", type: "TIMESTAMP" },
    ]);
    await rig.load(
      session,
      "times",
      "SELECT TIMESTAMPTZ '2026-03-01 00:00:00.25+00' AS z, TIMESTAMP '2026-03-01 00:00:00.25' AS l",
    );
    const added = (name: string, type: string, seconds: string) =>
      `${session.dialect.addSeconds({ sql: name, type }, seconds)}`;
    const times = session.dialect.tableName({ name: "times" });
    const rows = await rig.texts(
      session,
      `SELECT ${added("z", ZONED, "-86400")} AS a, ${added("z", ZONED, "1.5")} AS b, ` +
        `${added("l", "TIMESTAMP", "2 * 30")} AS c FROM ${times}`,
      [],
      [ZONED, ZONED, "TIMESTAMP"],
    );
    assert.deepEqual(rows, [[
      "2026-02-28 00:00:00.25+00",
      "2026-03-01 00:00:01.75+00",
      "2026-03-01 00:01:00.25",
    ]]);
  });

  databaseTest(tested, "a time in microseconds compares with columns", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    await rig.makeTable(session, "times", [{ name: "v", type: ZONED }]);
    await rig.load(
      session,
      "times",
      "SELECT make_timestamptz(us) AS v FROM (VALUES (-1), (0), (1767225600000000), " +
        "(1767225600000001), (1767225600500000), (1767225601000000)) AS t(us)",
    );
    const times = dialect.tableName({ name: "times" });
    const micros = [-1n, 0n, 1767225600000000n, 1767225600000001n, 1767225600500000n];
    for (const [at, value] of micros.entries()) {
      const [row] = await session.rows<{ n: bigint }>(
        `SELECT count(*) AS n FROM ${times} WHERE v > ${rig.bound(session, ZONED).sql}`,
        [dialect.timestampValue(value)],
      );
      assert.equal(row?.n, BigInt(5 - at), String(value));
      const [same] = await session.rows<{ n: bigint }>(
        `SELECT count(*) AS n FROM ${times} WHERE v = ${rig.bound(session, ZONED).sql}`,
        [dialect.timestampValue(value)],
      );
      assert.equal(same?.n, 1n, String(value));
    }
  });

  databaseTest(tested, "the lowest value is not above the least one", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    for (const [type, least] of Object.entries(LEAST)) {
      await rig.makeTable(session, "least", [{ name: "v", type }]);
      const table = dialect.tableName({ name: "least" });
      await rig.load(session, "least", `SELECT CAST('${least}' AS ${type}) AS v`);
      const [row] = await session.rows<{ n: bigint }>(
        `SELECT count(*) AS n FROM ${table} WHERE v >= ${rig.bound(session, type).sql}`,
        [dialect.lowestValue(type)],
      );
      assert.equal(row?.n, 1n, type);
      await session.run(`DROP TABLE ${table}`);
    }
  });

  databaseTest(tested, "a typed parameter is a value of its type, or NULL", async (rig) => {
    const session = await rig.connect();
    const values: readonly (readonly [string, SqlValue, string])[] = [
      ["BIGINT", 9223372036854775807n, "9223372036854775807"],
      ["VARCHAR", "it's\n\\", "it's\n\\"],
      ["DECIMAL(18,2)", "12345678.25", "12345678.25"],
      ["DOUBLE", "0.1", "0.1"],
      ["DATE", "2026-01-31", "2026-01-31"],
      [ZONED, session.dialect.timestampValue(1767225600000001n), "2026-01-01 00:00:00.000001+00"],
      ["BLOB", new Uint8Array([0, 255]), "\\x00\\xFF"],
    ];
    for (const [type, value, text] of values) {
      const sql = `SELECT ${rig.bound(session, type).sql} AS v`;
      assert.equal(await rig.text(session, sql, [value], type), text, type);
      assert.equal(await rig.text(session, sql, [null], type), null, type);
    }
  });

  databaseTest(tested, "tables are updated from others, and rows deleted", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    const people = await makePeople(rig, session);
    const updated = await session.run(dialect.updateFrom({
      table: people,
      source: `(SELECT 2 AS id, 'Bob' AS name UNION ALL SELECT 9, 'Nobody')`,
      set: { name: "s.name" },
      on: "t.id = s.id",
    }));
    assert.equal(updated, 1);
    const same = await session.run(dialect.updateFrom({
      table: people,
      source: `(SELECT 2 AS id, 'Bob' AS name)`,
      set: { name: "s.name" },
      on: "t.id = s.id",
    }));
    assert.equal(same, 1, "rows that matched, changed or not");
    const deleted = await session.run(
      dialect.deleteWhere(people, "t.id = 1 OR (t.name IS NULL AND t.id > 2)"),
    );
    assert.equal(deleted, 2);
    const left = await rig.texts(session, `SELECT id, name FROM ${people} ORDER BY id`);
    assert.deepEqual(left, [["2", "Bob"]]);
  });

  databaseTest(
    tested,
    "emptying a table can be rolled back, and filled anew with the same keys",
    async (rig) => {
      const session = await rig.connect();
      const people = await makePeople(rig, session);
      await session.begin();
      await session.run(session.dialect.emptyTable(people));
      assert.deepEqual(await rig.texts(session, `SELECT id FROM ${people}`), []);
      await session.rollback();
      assert.equal((await rig.texts(session, `SELECT id FROM ${people}`)).length, 3);
      await session.begin();
      await session.run(session.dialect.emptyTable(people));
      await rig.load(session, "people", "SELECT 1::BIGINT AS id, 'new' AS name");
      await session.commit();
      const rows = await rig.texts(session, `SELECT id, name FROM ${people}`);
      assert.deepEqual(rows, [["1", "new"]]);
    },
  );

  databaseTest(tested, "stages are the session's own", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    const people = await makePeople(rig, session);
    await session.begin();
    await session.run(
      dialect.createStageAs(
        "picked",
        `SELECT id, name FROM ${people} WHERE id >= ${rig.bound(session, "BIGINT").sql}`,
      ),
      [2n],
    );
    const picked = dialect.stageName("picked");
    assert.deepEqual(await rig.texts(session, `SELECT id FROM ${picked} ORDER BY id`), [["2"], [
      "3",
    ]]);
    const columns = [{ name: "n", type: "BIGINT" }, { name: "t", type: ZONED }, {
      name: "d",
      type: "DECIMAL(18,2)",
    }];
    await session.run(dialect.createStage("filled", columns));
    const target = {
      table: dialect.stageName("filled"),
      columns: columns.map((column) => ({
        ...column,
        nativeType: dialect.columnType(column.type),
        nullable: true,
        hasDefault: false,
      })),
    };
    const loaded = await session.load(
      target,
      "SELECT 9223372036854775807 AS n, TIMESTAMPTZ '2026-01-01 00:00:00.5+00' AS t, 1.50::DECIMAL(18,2) AS d",
      rig.engineSession,
    );
    assert.equal(loaded, 1);
    await session.commit();
    assert.deepEqual(
      await rig.texts(
        session,
        `SELECT n, t, d FROM ${target.table}`,
        [],
        columns.map((c) => c.type),
      ),
      [["9223372036854775807", "2026-01-01 00:00:00.5+00", "1.50"]],
    );
    const other = await rig.connect();
    await assert.rejects(other.rows(`SELECT id FROM ${picked}`), hasCode("query_invalid"));
    await session.run(dialect.dropStage("picked"));
    await session.run(dialect.dropStage("filled"));
    await assert.rejects(session.rows(`SELECT id FROM ${picked}`), hasCode("query_invalid"));
  });

  databaseTest(tested, "columns are added and widened", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    await rig.makeTable(session, "wide", [{ name: "v", type: "INTEGER" }]);
    const wide = dialect.tableName({ name: "wide" });
    await rig.load(session, "wide", "SELECT 5::INTEGER AS v");
    await session.run(dialect.addColumn(wide, "more", dialect.columnType("VARCHAR")));
    assert.deepEqual(await rig.texts(session, `SELECT v, more FROM ${wide}`), [["5", null]]);
    const widen = dialect.widenColumn(wide, "v", dialect.columnType("BIGINT"));
    if (widen !== undefined) await session.run(widen);
    const target = await rig.target(session, "wide");
    assert.equal(target.columns[0]?.type, "BIGINT");
    await rig.load(session, "wide", "SELECT 9223372036854775807 AS v, 'x' AS more");
    const rows = await rig.texts(session, `SELECT v, more FROM ${wide} ORDER BY v`);
    assert.deepEqual(rows, [["5", null], ["9223372036854775807", "x"]]);
  });

  databaseTest(tested, "DDL takes part in a transaction", async (rig) => {
    const session = await rig.connect();
    assert.equal(session.dialect.transactionalDdl, true);
    await session.begin();
    await rig.makeTable(session, "gone", [{ name: "v", type: "BIGINT" }]);
    await session.rollback();
    assert.equal(await session.table({ name: "gone" }), undefined);
  });
}

/** Three people: 1 Ann, 2 Ben, 3 without a name; `id` is the key. */
export async function makePeople(rig: DatabaseRig, session: DatabaseSession): Promise<string> {
  const people = await rig.makeTable(session, "people", [
    { name: "id", type: "BIGINT", key: true },
    { name: "name", type: "VARCHAR" },
  ]);
  await rig.load(
    session,
    "people",
    "SELECT * FROM (VALUES (1::BIGINT, 'Ann'), (2, 'Ben'), (3, NULL)) AS p(id, name)",
  );
  return people;
}
