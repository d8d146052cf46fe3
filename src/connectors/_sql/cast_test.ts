import assert from "node:assert/strict";
import type { Session } from "../../core/session.ts";
import { createEngine } from "../../sql/engine.ts";
import { castExpression, isNested } from "./cast.ts";

async function withSession(test: (session: Session) => Promise<void>): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow-cast-test-" });
  const engine = await createEngine({ scratchDir, threads: 1 });
  try {
    await test(await engine.connect());
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

/** What becomes of one value: its text in the new type, `bad`, or `mismatch`. */
async function casted(
  session: Session,
  literal: string,
  from: string,
  to: string,
): Promise<string | null> {
  const cast = castExpression("v", from, to);
  if (cast === undefined) return "mismatch";
  const [row] = await session.rows<{ value: string | null; bad: boolean; type: string }>(
    `SELECT CAST(${cast.expr} AS VARCHAR) AS value, ${cast.badCondition ?? "false"} AS bad ` +
      `FROM (SELECT CAST(${literal} AS ${from}) AS v) AS t`,
  );
  assert.ok(row !== undefined && row.bad !== null);
  if (row.bad) assert.equal(row.value === null || cast.badCondition !== undefined, true);
  return row.bad ? "bad" : row.value;
}

// value, from, to, outcome
const CASES: [literal: string, from: string, to: string, outcome: string | null][] = [
  ["7", "BIGINT", "INTEGER", "7"],
  ["3000000000", "BIGINT", "INTEGER", "bad"],
  ["-1", "INTEGER", "UINTEGER", "bad"],
  ["18446744073709551615", "UBIGINT", "BIGINT", "bad"],
  ["5", "UINTEGER", "BIGINT", "5"],
  ["9007199254740993", "BIGINT", "DOUBLE", "bad"],
  ["9007199254740992", "BIGINT", "DOUBLE", "9007199254740992.0"],
  ["16777217", "INTEGER", "FLOAT", "bad"],
  ["1.5", "DOUBLE", "BIGINT", "bad"],
  ["2.0", "DOUBLE", "BIGINT", "2"],
  ["-0.0", "DOUBLE", "BIGINT", "0"],
  ["'nan'", "DOUBLE", "BIGINT", "bad"],
  ["9.3e18", "DOUBLE", "BIGINT", "bad"],
  ["'inf'", "DOUBLE", "DECIMAL(10,2)", "bad"],
  ["19.99", "DOUBLE", "DECIMAL(10,2)", "19.99"],
  ["1.255", "DOUBLE", "DECIMAL(10,2)", "bad"],
  ["123456789012345.67", "DOUBLE", "DECIMAL(38,10)", "123456789012345.6700000000"],
  ["1e10", "DOUBLE", "DECIMAL(10,2)", "bad"],
  ["0.1", "DOUBLE", "FLOAT", "0.1"],
  ["1e39", "DOUBLE", "FLOAT", "bad"],
  ["'-inf'", "DOUBLE", "FLOAT", "-inf"],
  ["0.1", "FLOAT", "DECIMAL(5,2)", "0.10"],
  ["1.50", "DECIMAL(5,2)", "DECIMAL(3,1)", "1.5"],
  ["1.55", "DECIMAL(5,2)", "DECIMAL(3,1)", "bad"],
  ["5.00", "DECIMAL(5,2)", "BIGINT", "5"],
  ["5.01", "DECIMAL(5,2)", "BIGINT", "bad"],
  ["1234", "INTEGER", "DECIMAL(5,2)", "bad"],
  ["0.1", "DECIMAL(5,2)", "DOUBLE", "0.1"],
  ["true", "BOOLEAN", "BIGINT", "mismatch"],
  ["1", "BIGINT", "BOOLEAN", "mismatch"],
  ["1", "BIGINT", "TIMESTAMP WITH TIME ZONE", "mismatch"],
  ["true", "BOOLEAN", "VARCHAR", "true"],
  ["12345678901234567890123", "HUGEINT", "VARCHAR", "12345678901234567890123"],
  ["'abc'", "VARCHAR", "BIGINT", "bad"],
  ["'1.5'", "VARCHAR", "BIGINT", "bad"],
  ["'1_000'", "VARCHAR", "BIGINT", "bad"],
  ["'0x1F'", "VARCHAR", "BIGINT", "bad"],
  ["' 12 '", "VARCHAR", "BIGINT", "12"],
  ["'12.0'", "VARCHAR", "BIGINT", "12"],
  ["''", "VARCHAR", "BIGINT", "bad"],
  ["NULL", "VARCHAR", "BIGINT", null],
  ["'9223372036854775808'", "VARCHAR", "BIGINT", "bad"],
  ["'1e400'", "VARCHAR", "DOUBLE", "bad"],
  ["'Infinity'", "VARCHAR", "DOUBLE", "inf"],
  ["'1.10'", "VARCHAR", "DECIMAL(5,1)", "1.1"],
  ["'1.15'", "VARCHAR", "DECIMAL(5,1)", "bad"],
  ["'1.5e1'", "VARCHAR", "DECIMAL(5,1)", "15.0"],
  ["'1.55e0'", "VARCHAR", "DECIMAL(5,1)", "bad"],
  ["'1_0'", "VARCHAR", "DECIMAL(5,1)", "bad"],
  ["'2024-01-01T12:00:00+02:00'", "VARCHAR", "TIMESTAMP WITH TIME ZONE", "2024-01-01 10:00:00+00"],
  ["'2024-01-01T12:00:00+02:00'", "VARCHAR", "TIMESTAMP", "2024-01-01 10:00:00"],
  ["'2024-01-01 12:00:00'", "VARCHAR", "TIMESTAMP", "2024-01-01 12:00:00"],
  ["'soon'", "VARCHAR", "TIMESTAMP", "bad"],
  ["'2024-01-01'", "VARCHAR", "DATE", "2024-01-01"],
  ["'2024-01-01 12:00:00'", "VARCHAR", "DATE", "bad"],
  ["'2024-01-01 12:00:00'", "VARCHAR", "TIME", "bad"],
  ["'12:30:00.5'", "VARCHAR", "TIME", "12:30:00.5"],
  [
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "VARCHAR",
    "UUID",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
  ],
  ["'a0'", "VARCHAR", "UUID", "bad"],
  ["'\\xAB01'", "VARCHAR", "BLOB", "\\xAB\\x01"],
  ["'\\xA'", "VARCHAR", "BLOB", "\\x5CxA"],
  ["'hi'", "VARCHAR", "BLOB", "hi"],
  ["'hi'", "BLOB", "VARCHAR", "hi"],
  ["'\\xFF'", "BLOB", "VARCHAR", "bad"],
  ["'2024-01-01 00:00:00'", "TIMESTAMP", "DATE", "2024-01-01"],
  ["'2024-01-01 00:00:01'", "TIMESTAMP", "DATE", "bad"],
  ["'2024-01-01'", "DATE", "TIMESTAMP WITH TIME ZONE", "2024-01-01 00:00:00+00"],
  ["'2024-01-01 00:00:01.5'", "TIMESTAMP WITH TIME ZONE", "VARCHAR", "2024-01-01T00:00:01.500000Z"],
  ["{'a': 1}", "STRUCT(a INTEGER)", "JSON", '{"a":1}'],
  ["{'a': 1}", "STRUCT(a INTEGER)", "VARCHAR", "mismatch"],
  ["[1]", "INTEGER[]", "BIGINT", "mismatch"],
  ["'nan'", "DOUBLE", "JSON", null],
  ["'{\"a\":1}'", "VARCHAR", "JSON", '{"a":1}'],
];

Deno.test("casts are exact, or the row is bad, or the types do not meet", async () => {
  await withSession(async (session) => {
    for (const [literal, from, to, outcome] of CASES) {
      const found = await casted(session, literal, from, to);
      assert.equal(found, outcome, `${literal}::${from} to ${to}`);
    }
  });
});

Deno.test("equal types go as they are", () => {
  assert.deepEqual(castExpression('"x"', "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), {
    expr: '"x"',
  });
  assert.equal(castExpression('"x"', "INT8", "BIGINT")?.badCondition, undefined);
  assert.equal(isNested("VARCHAR[]"), true);
  assert.equal(isNested("VARCHAR"), false);
});
