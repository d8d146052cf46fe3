import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { FlowError } from "../../src/core/error.ts";
import {
  type DatabaseCase,
  type DatabaseRig,
  databaseTest,
  hasCode,
  literal,
} from "./database_rig.ts";

const TEXTS: readonly (string | null)[] = [
  "plain",
  "",
  null,
  "Ärger 😀 \u{10FFFF}",
  `'single' "double" \`back\``,
  "line\nend\r\nand\ttab\vand\f",
  "back\\slash \\N \\t \\",
  "\\N",
  "NULL",
  "a,b;c",
  " padded ",
];

/** Values of every type, as the engine's text of them. */
const VALUES: Readonly<Record<string, readonly (string | null)[]>> = {
  VARCHAR: TEXTS,
  BIGINT: ["9223372036854775807", "-9223372036854775808", "0", null],
  INTEGER: ["2147483647", "-2147483648", null],
  SMALLINT: ["32767", "-32768", null],
  "DECIMAL(18,2)": ["9999999999999999.99", "-0.01", "1.50", "0.00", null],
  "DECIMAL(38,10)": ["1234567890123456789012345678.0123456789", "-1.0000000000", null],
  DOUBLE: ["0.1", "-1e+300", "2.2250738585072014e-308", "123456789.125", "1e+16", "0.0", null],
  FLOAT: ["0.1", "-1.5", null],
  BOOLEAN: ["true", "false", null],
  DATE: ["1900-01-01", "1000-01-01", "9999-12-31", "1969-12-31", null],
  TIME: ["23:59:59.999999", "00:00:00", null],
  TIMESTAMP: [
    "1969-12-31 23:59:59.999999",
    "1000-01-01 00:00:00",
    "9999-12-31 23:59:59.999999",
    "2026-03-29 02:30:00.5",
    null,
  ],
  "TIMESTAMP WITH TIME ZONE": [
    "1969-12-31 23:59:59.999999+00",
    "2026-03-29 01:30:00.000001+00",
    "9999-12-31 23:59:59+00",
    "1000-01-01 00:00:00+00",
    null,
  ],
  BLOB: ["\\x00\\xFF\\x0A\\x5C", "", "abc", null],
  UUID: ["123e4567-e89b-12d3-a456-426614174000", null],
};

/** Loads one column of values, and gives the session. */
async function loaded(rig: DatabaseRig, type: string, values: readonly (string | null)[]) {
  const session = await rig.connect();
  await rig.makeTable(session, "kept", [{ name: "n", type: "BIGINT" }, { name: "v", type }]);
  const rows = values.map((value, at) => `(${at}, CAST(${literal(value)} AS ${type}))`);
  const count = await rig.load(
    session,
    "kept",
    `SELECT * FROM (VALUES ${rows.join(", ")}) AS given(n, v)`,
  );
  assert.equal(count, values.length);
  return session;
}

/** Every value of every type, in and out. */
export function valuesSuite(tested: DatabaseCase): void {
  for (const [type, values] of Object.entries(VALUES)) {
    databaseTest(tested, `${type} comes back as it went in`, async (rig) => {
      const session = await loaded(rig, type, values);
      const kept = session.dialect.tableName({ name: "kept" });
      const described = await session.describe(`SELECT v FROM ${kept}`);
      assert.deepEqual(described, [{ name: "v", type: tested.otherTypes?.[type] ?? type }]);
      const rows = await rig.texts(session, `SELECT v FROM ${kept} ORDER BY n`, [], [type]);
      assert.deepEqual(rows.map(([value]) => value), values);
    });
  }

  databaseTest(tested, "JSON comes back with the same meaning", async (rig) => {
    const values = ['{"a": [1, null, "é😀"], "b": {"c": "x\\"y"}}', "[]", '"text"', "1.5", null];
    const session = await loaded(rig, "JSON", values);
    const kept = session.dialect.tableName({ name: "kept" });
    const rows = await rig.texts(session, `SELECT v FROM ${kept} ORDER BY n`);
    assert.deepEqual(
      rows.map(([value]) => value === null || value === undefined ? null : JSON.parse(value)),
      values.map((value) => value === null ? null : JSON.parse(value)),
    );
  });

  databaseTest(tested, "text with NUL comes back", async (rig) => {
    const session = await rig.connect();
    await rig.makeTable(session, "kept", [{ name: "v", type: "VARCHAR" }]);
    await rig.load(session, "kept", "SELECT 'a' || chr(0) || 'b' AS v");
    const kept = session.dialect.tableName({ name: "kept" });
    assert.equal(await rig.text(session, `SELECT v FROM ${kept}`), "a\0b");
  });

  databaseTest(tested, "NaN comes back", async (rig) => {
    const session = await loaded(rig, "DOUBLE", ["nan"]);
    const kept = session.dialect.tableName({ name: "kept" });
    assert.equal(await rig.text(session, `SELECT v FROM ${kept}`), "nan");
  });

  databaseTest(tested, "infinite numbers come back", async (rig) => {
    const session = await loaded(rig, "DOUBLE", ["inf", "-inf"]);
    const kept = session.dialect.tableName({ name: "kept" });
    const rows = await rig.texts(session, `SELECT v FROM ${kept} ORDER BY n`);
    assert.deepEqual(rows, [["inf"], ["-inf"]]);
  });

  databaseTest(tested, "infinite times come back", async (rig) => {
    const type = "TIMESTAMP WITH TIME ZONE";
    const session = await loaded(rig, type, ["infinity", "-infinity"]);
    const kept = session.dialect.tableName({ name: "kept" });
    const rows = await rig.texts(session, `SELECT v FROM ${kept} ORDER BY n`);
    assert.deepEqual(rows, [["infinity"], ["-infinity"]]);
  });

  databaseTest(tested, "a value that does not fit is an error of the load", async (rig) => {
    const session = await rig.connect();
    await rig.makeTable(session, "kept", [{ name: "v", type: "SMALLINT", notNull: true }]);
    const unfit = ["1.5::DOUBLE", "'x'", "NULL::SMALLINT"];
    // Where there is but one type of integers, 40000 is one.
    if (tested.otherTypes?.["SMALLINT"] === undefined) unfit.push("40000");
    for (const value of unfit) {
      await session.begin();
      await assert.rejects(
        rig.load(session, "kept", `SELECT ${value} AS v`),
        hasCode("load_rejected"),
        value,
      );
      await session.rollback();
    }
    await session.begin();
    const failing = "SELECT CAST(v AS SMALLINT) AS v FROM (VALUES ('1'), ('x')) AS t(v)";
    await assert.rejects(rig.load(session, "kept", failing), refusesX);
    await session.rollback();
    const kept = session.dialect.tableName({ name: "kept" });
    assert.deepEqual(await rig.texts(session, `SELECT v FROM ${kept}`), []);
  });

  databaseTest(tested, "a large result comes in pieces", async (rig) => {
    const session = await rig.connect();
    await rig.makeTable(session, "kept", [
      { name: "n", type: "BIGINT" },
      { name: "v", type: "VARCHAR" },
    ]);
    const rows = 45_000;
    const made = await rig.load(
      session,
      "kept",
      `SELECT i AS n, repeat('é"', 350) || i AS v FROM range(${rows}) AS r(i)`,
    );
    assert.equal(made, rows);
    const kept = session.dialect.tableName({ name: "kept" });
    let pieces = 0;
    let seen = 0;
    for await (
      const piece of session.read(
        `SELECT n, v FROM ${kept}`,
        [],
        rig.engine,
        rig.engineSession,
      )
    ) {
      const [counted] = await rig.engineSession.rows<{ good: bigint }>(
        `SELECT count(*) AS good FROM ${piece.relation} AS q WHERE v = repeat('é"', 350) || n`,
      );
      seen += Number(counted?.good ?? 0n);
      pieces += 1;
      await piece.release();
    }
    assert.equal(seen, rows);
    assert.ok(pieces > 1, `${pieces} piece`);
  });

  databaseTest(tested, "nothing comes of an empty result, and goes in", async (rig) => {
    const session = await rig.connect();
    await rig.makeTable(session, "kept", [{ name: "v", type: "BIGINT" }]);
    assert.equal(await rig.load(session, "kept", "SELECT 1::BIGINT AS v WHERE false"), 0);
    await session.begin();
    const failing = "SELECT CAST(v AS SMALLINT) AS v FROM (VALUES ('1'), ('x')) AS t(v)";
    await assert.rejects(rig.load(session, "kept", failing), refusesX);
    await session.rollback();
    const kept = session.dialect.tableName({ name: "kept" });
    assert.deepEqual(await rig.texts(session, `SELECT v FROM ${kept}`), []);
  });

  hashSuite(tested);
}

/** What a hash is made over, by its definition. */
function reference(values: readonly (string | null)[]): string {
  const text = values.map((value) =>
    value === null ? "N" : `${new TextEncoder().encode(value).length}:${value}`
  ).join("");
  return createHash("sha256").update(text).digest("hex").toUpperCase();
}

function hashSuite(tested: DatabaseCase): void {
  for (const [type, values] of Object.entries(VALUES)) {
    databaseTest(tested, `the hash of ${type} is that of the engine's text`, async (rig) => {
      const session = await loaded(rig, type, values);
      const kept = session.dialect.tableName({ name: "kept" });
      const hash = session.dialect.rowHash([{ sql: "v", type }]);
      const rows = await rig.texts(session, `SELECT ${hash} AS h FROM ${kept} ORDER BY n`);
      assert.deepEqual(
        rows.map(([bytes]) => hexOf(bytes)),
        values.map((value) => reference([value])),
      );
    });
  }

  databaseTest(tested, "a hash is 32 bytes, and unambiguous", async (rig) => {
    const session = await rig.connect();
    const { dialect } = session;
    const hash = async (...values: readonly (string | null)[]) => {
      const expressions = values.map((_, at) => rig.bound(session, "VARCHAR", at + 1));
      const text = await rig.text(
        session,
        `SELECT ${dialect.rowHash(expressions)} AS h`,
        values,
      );
      const found = hexOf(text ?? "");
      assert.equal(found?.length, 64);
      assert.equal(found, reference(values), JSON.stringify(values));
      return found;
    };
    assert.notEqual(await hash("a", "b"), await hash("ab", ""));
    assert.notEqual(await hash("1:a"), await hash("a"));
    assert.notEqual(await hash(null, "x"), await hash("x", null));
    assert.notEqual(await hash("N"), await hash(null));
    assert.notEqual(await hash(""), await hash(null));
    await hash("é", "3:x", null, "");
  });
}

/** Bytes in the engine's text of a BLOB, as hex digits. */
function hexOf(text: string | null | undefined): string | undefined {
  if (text === null || text === undefined) return undefined;
  const bytes = text.replace(
    /\\x([0-9A-F]{2})|([^])/g,
    (_all, hex?: string, plain?: string) =>
      hex ?? (plain ?? "").charCodeAt(0).toString(16).padStart(2, "0"),
  );
  return bytes.toUpperCase();
}

/** For a load with the value 'x' among numbers: the message shows the value, and no statement that is not the user's. */
function refusesX(error: FlowError): boolean {
  assert.equal(error.code, "load_rejected");
  assert.match(error.message, /'x'/);
  assert.doesNotMatch(error.message, /LINE \d/, "it is no statement of the user's");
  return true;
}
