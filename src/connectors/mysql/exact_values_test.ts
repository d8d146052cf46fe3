import assert from "node:assert/strict";
import type { LoadTarget } from "../../core/database.ts";
import { mysqlAddress } from "./address.ts";
import { MysqlConnection } from "./connection.ts";
import { loadPlan } from "./load_text.ts";
import { insertArrays } from "./loader.ts";
import { serviceTest, type TestRig } from "./test_rig.ts";

const COLUMNS = [
  { name: "id", type: "BIGINT", nullable: false },
  { name: "u", type: "UBIGINT", nullable: true },
  { name: "d", type: "DECIMAL(38,10)", nullable: true },
  { name: "f", type: "FLOAT", nullable: true },
  { name: "x", type: "DOUBLE", nullable: true },
  { name: "b", type: "BOOLEAN", nullable: true },
  { name: "t", type: "VARCHAR", nullable: true },
  { name: "z", type: "TIMESTAMP WITH TIME ZONE", nullable: true },
  { name: "n", type: "TIMESTAMP", nullable: true },
  { name: "day", type: "DATE", nullable: true },
  { name: "clock", type: "TIME", nullable: true },
  { name: "uu", type: "UUID", nullable: true },
  { name: "j", type: "JSON", nullable: true },
  { name: "bytes", type: "BLOB", nullable: true },
  { name: "h", type: "HUGEINT", nullable: true },
];

const ROWS = `
SELECT 9223372036854775807::BIGINT, 18446744073709551615::UBIGINT,
  1234567890123456789012345678.0123456789::DECIMAL(38,10), 16777217::FLOAT, 0.1::DOUBLE, true,
  'a "quote", \\ back' || chr(9) || chr(10) || chr(13) || chr(10) || chr(0) || '😀' || chr(31) || chr(1) || ',' || chr(1) || '\\N',
  TIMESTAMPTZ '2026-01-31 12:00:00.123456+02', TIMESTAMP '1999-12-31 23:59:59.000001', DATE '1000-01-01',
  TIME '23:59:59.999999', '00112233-4455-6677-8899-aabbccddeeff'::UUID, '{"a": [1, "x\\ny"]}'::JSON,
  '\\x00\\xFF\\x0A\\x5C'::BLOB, 99999999999999999999999999999999999999::HUGEINT
UNION ALL SELECT -9223372036854775808, 0, -0.0000000001, 0.1, 1.7976931348623157e308, false, '',
  TIMESTAMPTZ '0001-01-01 00:00:00+00', TIMESTAMP '9999-12-31 23:59:59.999999', DATE '9999-12-31', TIME '00:00:00',
  'ffffffff-ffff-ffff-ffff-ffffffffffff', '[]', ''::BLOB, -1
UNION ALL SELECT 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
UNION ALL SELECT 1, 1, 1, -3.4028235e38, 5e-324, NULL, 'NULL', NULL, NULL, NULL, NULL, NULL, '"\\\\"', NULL, 0`;

/** What `load` does where the server refuses LOAD DATA LOCAL (a global setting, which tests leave alone). */
async function loadByInserts(rig: TestRig, into: LoadTarget): Promise<number> {
  const { signal } = new AbortController();
  const connection = await MysqlConnection.connect(mysqlAddress(rig.options), signal);
  try {
    const given = await rig.engineSession.describe(ROWS);
    const plan = loadPlan(into.table, into.columns, ROWS, given);
    return await insertArrays(connection, plan, rig.engineSession, signal);
  } finally {
    await connection.close();
  }
}

for (const way of ["a file", "inserts"] as const) {
  serviceTest(`values come back exactly, loaded by ${way}`, async (rig) => {
    const { db, engineSession, engine } = rig;
    const definitions = COLUMNS.map(({ name, type, nullable }) =>
      `${db.dialect.quote(name)} ${db.dialect.columnType(type)}${nullable ? "" : " NOT NULL"}`
    );
    await db.run(`CREATE TABLE v (${definitions.join(", ")})`);
    const table = await db.table({ name: "v" });
    assert.deepEqual(
      table?.columns.map(({ name, type }) => `${name} ${type}`),
      COLUMNS.map(({ name, type }) => `${name} ${type === "HUGEINT" ? "DECIMAL(38,0)" : type}`),
    );
    const into = { table: db.dialect.tableName({ name: "v" }), columns: table?.columns ?? [] };
    if (way === "a file") assert.equal(await db.load(into, ROWS, engineSession), 4);
    else assert.equal(await loadByInserts(rig, into), 4);
    const names = COLUMNS.map(({ name }) => name).join(", ");
    await engineSession.run(
      `CREATE TABLE sent AS SELECT * FROM (${ROWS}) AS s(${names})`,
    );
    const pieces = [];
    for await (const piece of db.read("SELECT * FROM v;", [], engine, engineSession)) {
      pieces.push(piece);
    }
    assert.equal(pieces.length, 1);
    const relation = pieces[0]?.relation ?? "";
    // JSON is text to MariaDB; all other types come back as what they were.
    const types = await engineSession.describe(`SELECT * FROM ${relation} AS r`);
    assert.deepEqual(
      types.map(({ type }) => type),
      COLUMNS.map(({ type }) => type === "HUGEINT" ? "DECIMAL(38,0)" : type),
    );
    const lists = await Promise.all(
      ["sent", relation].map((from) =>
        engineSession.rows(
          `SELECT CAST(COLUMNS(*) AS VARCHAR), encode(t)::VARCHAR AS hex FROM ${from} AS r ORDER BY id`,
        )
      ),
    );
    assert.deepEqual(lists[1], lists[0]);
    await pieces[0]?.release();
  });
}
