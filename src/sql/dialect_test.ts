import assert from "node:assert/strict";
import type { Session } from "../core/session.ts";
import { duckdbDialect, timestampText } from "./dialect.ts";
import { createEngine } from "./engine.ts";
import { canonicalType } from "../core/engine_type.ts";
import { exactCast } from "./exact_cast.ts";

async function withSession(work: (session: Session) => Promise<void>): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir, threads: 1 });
  try {
    await work(await engine.connect());
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

/** Value, its type, the type asked for, the text of the outcome; null where the statement must fail. */
const CASTS: readonly (readonly [string, string, string, string | null])[] = [
  ["1.5", "DOUBLE", "BIGINT", null],
  ["3.0", "DOUBLE", "BIGINT", "3"],
  ["1.255", "DECIMAL(10,3)", "DECIMAL(10,2)", null],
  ["0.1", "DOUBLE", "DECIMAL(10,2)", "0.10"],
  ["9007199254740993", "BIGINT", "DOUBLE", null],
  ["1e20", "DOUBLE", "BIGINT", null],
  ["1.50", "VARCHAR", "BIGINT", null],
  [" 7.0 ", "VARCHAR", "BIGINT", "7"],
  ["1e-2", "VARCHAR", "DECIMAL(10,2)", "0.01"],
  ["2026-01-01 12:00:00", "TIMESTAMP", "DATE", null],
  ["2026-01-01 00:00:00", "TIMESTAMP", "DATE", "2026-01-01"],
  ["2026-01-01T12:00:00+02:00", "VARCHAR", "TIMESTAMP", "2026-01-01 10:00:00"],
  ["é", "BLOB", "VARCHAR", null],
  ["\\xC3\\xA9", "BLOB", "VARCHAR", "é"],
  ["{", "VARCHAR", "JSON", null],
];

Deno.test("a cast of the dialect is exact, or the statement fails", () =>
  withSession(async (session) => {
    for (const [value, from, to, outcome] of CASTS) {
      const given = from === "BLOB" && value === "é" ? "'\\xE9'" : `'${value}'`;
      const sql = `SELECT CAST(${exactCast({ sql: "v", type: from }, to)} AS VARCHAR) AS t ` +
        `FROM (SELECT CAST(${given} AS ${from}) AS v)`;
      const found = await session.rows<{ t: string }>(sql).then(([row]) => row?.t, () => null);
      assert.equal(found, outcome, `${value} from ${from} to ${to}`);
    }
  }));

Deno.test("times in microseconds are the engine's texts, in all years", () =>
  withSession(async (session) => {
    for (
      const micros of [
        ...[0n, -1n, 1767225600500000n, 1n << 58n, -(10n ** 17n), -62135596800000000n],
        // The first and the last that the engine knows.
        ...[-9223372022400000000n, 9223372036854775806n],
      ]
    ) {
      const [row] = await session.rows<{ us: bigint }>(
        "SELECT epoch_us(CAST($1 AS TIMESTAMPTZ)) AS us",
        [timestampText(micros)],
      );
      assert.equal(row?.us, micros);
    }
  }));

Deno.test("types have one spelling, and those without an order no lowest value", () => {
  assert.equal(canonicalType("timestamptz"), "TIMESTAMP WITH TIME ZONE");
  assert.equal(canonicalType("decimal(18, 2)"), "DECIMAL(18,2)");
  assert.equal(canonicalType("ENUM('Ab')"), "ENUM('Ab')");
  assert.equal(duckdbDialect.lowestValue("DECIMAL(4,2)"), "-99.99");
  assert.throws(() => duckdbDialect.lowestValue("JSON"), { code: "watermark_type_unordered" });
});
