import assert from "node:assert/strict";
import * as arrow from "apache-arrow";
import type { Session } from "../core/session.ts";
import { ArrowStream } from "./arrow_export.ts";
import { createEngine } from "./engine.ts";

async function withSession(work: (session: Session) => Promise<void>): Promise<void> {
  const scratchDir = await Deno.makeTempDir();
  const engine = await createEngine({ scratchDir });
  try {
    await work(await engine.connect());
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

/** The stream over the queries, read back by Arrow's own reader. */
async function readBack(
  session: Session,
  ...queries: readonly string[]
): Promise<{ readonly table: arrow.Table; readonly pieces: readonly Uint8Array[] }> {
  const stream = new ArrowStream(await session.describe(queries[0] ?? ""));
  const pieces: Uint8Array[] = [];
  for (const query of queries) {
    for await (const piece of stream.rows(session, query)) pieces.push(piece);
  }
  pieces.push(stream.end());
  return { table: arrow.tableFromIPC(pieces), pieces };
}

/** The values of a column as Arrow's reader gives them. */
function valuesOf(table: arrow.Table, name: string): unknown[] {
  const column = table.getChild(name);
  assert(column !== null, name);
  return [...column];
}

Deno.test("arrow: every type keeps its values and NULLs", async () => {
  await withSession(async (session) => {
    const { table } = await readBack(
      session,
      `SELECT * FROM (VALUES
        (1::TINYINT, 9223372036854775807::BIGINT, 18446744073709551615::UBIGINT, 1.5::FLOAT,
         -0.1::DOUBLE, true, 'ü€𝄞', 'x'::BLOB, DATE '1969-12-31', TIMESTAMP '2026-01-31 12:00:00.000001',
         TIMESTAMPTZ '2026-01-31 12:00:00+02', 12.34::DECIMAL(4,2),
         -99999999999999999999999999999999999.999::DECIMAL(38,3), TIME '01:02:03.000004'),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (-128, -9223372036854775808, 0, 'nan', 1e308, false, '', '', '2026-02-28', '1900-01-01',
         '1900-01-01 00:00:00+00', -0.01, 0.001, '00:00:00')
      ) AS t(i8, i64, u64, f32, f64, flag, words, bytes, day, local, instant, money, large, clock)`,
    );
    assert.equal(table.numRows, 3);
    const types = Object.fromEntries(
      table.schema.fields.map(({ name, type }) => [name, `${type}`]),
    );
    assert.deepEqual(types, {
      i8: "Int8",
      i64: "Int64",
      u64: "Uint64",
      f32: "Float32",
      f64: "Float64",
      flag: "Bool",
      words: "Utf8",
      bytes: "Binary",
      day: "Date32<DAY>",
      local: "Timestamp<MICROSECOND>",
      instant: "Timestamp<MICROSECOND, UTC>",
      money: "Decimal[4e+2]",
      large: "Decimal[38e+3]",
      clock: "Time64<MICROSECOND>",
    });
    assert.deepEqual(valuesOf(table, "i8"), [1, null, -128]);
    assert.deepEqual(valuesOf(table, "i64"), [2n ** 63n - 1n, null, -(2n ** 63n)]);
    assert.deepEqual(valuesOf(table, "u64"), [2n ** 64n - 1n, null, 0n]);
    assert.deepEqual(valuesOf(table, "f32"), [1.5, null, NaN]);
    assert.deepEqual(valuesOf(table, "f64"), [-0.1, null, 1e308]);
    assert.deepEqual(valuesOf(table, "flag"), [true, null, false]);
    assert.deepEqual(valuesOf(table, "words"), ["ü€𝄞", null, ""]);
    const bytes = valuesOf(table, "bytes").map((value) =>
      value === null ? null : [...value as Uint8Array]
    );
    assert.deepEqual(bytes, [[120], null, []]);
    const raw = (name: string) => table.getChild(name)?.data[0]?.values;
    assert.deepEqual([...raw("day").slice(0, 3)], [-1, 0, 20512]);
    assert.deepEqual(raw("local")[0], 1769860800000001n);
    assert.deepEqual(raw("local")[2], -2208988800000000n);
    assert.deepEqual(raw("instant")[0], 1769853600000000n);
    assert.deepEqual(raw("clock")[0], 3723000004n);
    const decimal = (name: string, at: number) => {
      const words = new BigInt64Array(
        new Uint8Array(raw(name).slice(at * 4, at * 4 + 4).buffer).buffer,
      );
      return ((words[1] ?? 0n) << 64n) + BigInt.asUintN(64, words[0] ?? 0n);
    };
    assert.equal(decimal("money", 0), 1234n);
    assert.equal(decimal("money", 2), -1n);
    assert.equal(decimal("large", 0), -99999999999999999999999999999999999999n);
    assert.equal(decimal("large", 2), 1n);
    for (const { name } of table.schema.fields) {
      assert.equal(table.getChild(name)?.nullCount, 1, name);
    }
  });
});

Deno.test("arrow: what Arrow has no type for is text, nested values are JSON", async () => {
  await withSession(async (session) => {
    const { table } = await readBack(
      session,
      `SELECT sum(i) AS total, list(i ORDER BY i) AS all_of_them, {'a': 1, 'b': 'x'} AS pair,
        '7ba30e5e-0a26-4f5b-9f7b-2d4e8d2f1c11'::UUID AS id, INTERVAL 1 DAY AS span,
        'b'::ENUM('a', 'b') AS letter, '{"k": 1}'::JSON AS document
      FROM range(3) AS t(i)`,
    );
    assert.equal(`${table.schema.fields[0]?.type}`, "Decimal[38e0]");
    const row = Object.fromEntries(
      table.schema.fields.slice(1).map(({ name }) => [name, valuesOf(table, name)[0]]),
    );
    assert.deepEqual(row, {
      all_of_them: "[0,1,2]",
      pair: '{"a":1,"b":"x"}',
      id: "7ba30e5e-0a26-4f5b-9f7b-2d4e8d2f1c11",
      span: "1 day",
      letter: "b",
      document: '{"k": 1}',
    });
  });
});

Deno.test("arrow: many rows come in several batches, NULLs at any place", async () => {
  await withSession(async (session) => {
    const query = (from: number, to: number) =>
      `SELECT i, CASE WHEN i % 3 <> 0 THEN i::VARCHAR END AS word, i % 2 = 0 AS flag
       FROM range(${from}, ${to}) AS t(i)`;
    // The first query ends in the middle of a byte of the validity bits.
    const { table, pieces } = await readBack(session, query(0, 100_001), query(100_001, 200_000));
    assert.equal(table.numRows, 200_000);
    assert(pieces.length >= 3, `${pieces.length} pieces`);
    let row = 0n;
    for (const [i, word, flag] of zipped(table, ["i", "word", "flag"])) {
      assert.equal(i, row);
      assert.equal(word, row % 3n === 0n ? null : String(row));
      assert.equal(flag, row % 2n === 0n);
      row += 1n;
    }
    assert.equal(row, 200_000n);
  });
});

function* zipped(table: arrow.Table, names: readonly string[]): Generator<unknown[]> {
  const columns = names.map((name) => valuesOf(table, name));
  for (let i = 0; i < table.numRows; i += 1) yield columns.map((column) => column[i]);
}

Deno.test("arrow: no rows still have a schema, and names may repeat", async () => {
  await withSession(async (session) => {
    const { table } = await readBack(session, `SELECT 1 AS "a b", 'x' AS "a b" WHERE false`);
    assert.equal(table.numRows, 0);
    assert.equal(table.schema.fields.length, 2);
    const broken = new ArrowStream([{ name: "x", type: "BIGINT" }]);
    await assert.rejects(async () => {
      for await (const _ of broken.rows(session, "SELECT nope")) { /* it fails before */ }
    }, { code: "sql_invalid" });
  });
});
