import assert from "node:assert/strict";
import * as v from "valibot";
import type { Clock } from "../../core/clock.ts";
import { systemClock } from "../../core/clock.ts";
import type { Session, SqlValue } from "../../core/session.ts";
import type { Source, SourceContext } from "../../core/source.ts";
import { createEngine } from "../../sql/engine.ts";
import { datagenConnector } from "./connector.ts";

interface Rig {
  readonly session: Session;
  source(options: Record<string, unknown>, context?: Partial<SourceContext>): Promise<Source>;
  /** All rows of a source up to its end. */
  rows(source: Source): Promise<Record<string, SqlValue>[]>;
}

function datagenTest(name: string, work: (rig: Rig) => Promise<void>): void {
  Deno.test(`datagen: ${name}`, async () => {
    const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
    const engine = await createEngine({ scratchDir });
    const session = await engine.connect();
    try {
      await work({
        session,
        async source(options, context = {}) {
          const source = datagenConnector.createSource?.({
            sourceId: "made",
            query: "made",
            options: v.parse(v.strictObject({ ...datagenConnector.sourceOptions }), options),
          });
          assert.ok(source);
          await source.open({
            pipeline: "p",
            engine,
            clock: systemClock,
            observe: () => {},
            untilEnd: true,
            wantedMetadata: new Set(),
            storedPositions: () => Promise.resolve([]),
            maxBatchBytes: 16 << 20,
            maxBatchRows: 1000,
            maxBatchWaitMs: 50,
            ...context,
          }, new AbortController().signal);
          return source;
        },
        async rows(source) {
          const rows: Record<string, SqlValue>[] = [];
          for await (const batch of source.read(AbortSignal.timeout(20_000))) {
            if (batch === undefined) continue;
            rows.push(...await session.rows(`SELECT * FROM ${batch.table} ORDER BY _offset`));
            await session.run(`DROP TABLE ${batch.table}`);
          }
          await source.close();
          return rows;
        },
      });
    } finally {
      await session.close();
      await engine.close();
      await Deno.remove(scratchDir, { recursive: true });
    }
  });
}

const ALL_TYPES = {
  id: { type: "sequence", start: 100, step: -2 },
  n: { type: "integer", min: -3, max: 3 },
  big: "bigint",
  d: { type: "double", min: -1, max: 1 },
  price: { type: "decimal", min: 0.99, max: 1.03, scale: 2 },
  yes: { type: "boolean", probability: 0.9 },
  name: { type: "text", length: 70, prefix: "it's " },
  u: "uuid",
  ts: { type: "timestamp", start: "2026-01-01T00:00:00Z", step_ms: 1500, jitter_ms: 100 },
  day: { type: "date", start: "2026-01-01", days: 10 },
  status: { values: ["new", "done", "it's"] },
  level: { values: [1, 2, 3], null_rate: 0.5 },
  ratio: { values: [0.5, 1] },
};

datagenTest("makes every type within its bounds", async (rig) => {
  const source = await rig.source({ columns: ALL_TYPES, rows: 2500 });
  assert.deepEqual(source.declaredColumns?.map(({ name, type }) => `${name} ${type}`), [
    "id BIGINT",
    "n INTEGER",
    "big BIGINT",
    "d DOUBLE",
    "price DECIMAL(18,2)",
    "yes BOOLEAN",
    "name VARCHAR",
    "u UUID",
    "ts TIMESTAMP WITH TIME ZONE",
    "day DATE",
    "status VARCHAR",
    "level BIGINT",
    "ratio DOUBLE",
  ]);
  const rows = await rig.rows(source);
  assert.equal(rows.length, 2500);
  const distinct = (name: string) => [...new Set(rows.map((row) => String(row[name])))].sort();
  assert.deepEqual(rows.slice(0, 3).map((row) => row["id"]), [100n, 98n, 96n]);
  assert.deepEqual(distinct("n"), ["-1", "-2", "-3", "0", "1", "2", "3"]);
  assert.deepEqual(distinct("price"), ["0.99", "1.00", "1.01", "1.02", "1.03"]);
  assert.deepEqual(distinct("status"), ["done", "it's", "new"]);
  assert.deepEqual(distinct("level"), ["1", "2", "3", "null"]);
  assert.deepEqual(distinct("ratio"), ["0.5", "1"]);
  assert.equal(distinct("day").length, 10);
  assert.equal(distinct("u").length, 2500);
  assert.equal(distinct("name").length, 2500);
  assert.ok(rows.every((row) => /^it's [0-9a-f]{70}$/.test(String(row["name"]))));
  assert.ok(rows.every((row) => Math.abs(Number(row["d"])) <= 1));
  const share = rows.filter((row) => row["yes"]).length / rows.length;
  assert.ok(share > 0.85 && share < 0.95, String(share));
  assert.ok(rows.every((row) => row["_event_ts"] === row["ts"]));
});

datagenTest("makes the same rows for the same seed, wherever reading starts", async (rig) => {
  const options = { columns: ALL_TYPES, rows: 50, seed: 7 };
  const all = await rig.rows(await rig.source(options));
  const stored = [{ sourceId: "made", partition: "0", position: "20" }];
  const rest = await rig.rows(
    await rig.source(options, { storedPositions: () => Promise.resolve(stored), maxBatchRows: 9 }),
  );
  const withoutRow = (rows: Record<string, SqlValue>[]) =>
    rows.map(({ __flow_row: _row, ...values }) => values);
  assert.deepEqual(withoutRow(rest), withoutRow(all.slice(20)));
  const other = await rig.rows(await rig.source({ ...options, seed: 8 }));
  assert.notDeepEqual(other.map((row) => row["u"]), all.map((row) => row["u"]));
});

datagenTest("keeps to its rate", async (rig) => {
  let now = 0;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep(durationMs) {
      now += durationMs;
      return Promise.resolve();
    },
  };
  const source = await rig.source(
    { columns: { id: "sequence" }, rows: 100, rate: 20 },
    { clock, untilEnd: false },
  );
  const rows = await rig.rows(source);
  assert.equal(rows.length, 100);
  assert.ok(now >= 4900 && now <= 5200, `${now} ms`);
});

Deno.test("datagen: senseless columns are refused", () => {
  const make = (columns: Record<string, unknown>) => () =>
    datagenConnector.createSource?.({
      sourceId: "made",
      query: "made",
      options: v.parse(v.strictObject({ ...datagenConnector.sourceOptions }), { columns }),
    });
  assert.throws(make({ n: { type: "integer", min: 5, max: 4 } }), {
    code: "definition_invalid",
    message: /column 'n': min = 5/,
  });
  assert.throws(make({ t: { type: "timestamp", start: "soon" } }), { code: "definition_invalid" });
  assert.throws(make({ t: { type: "nope" } }));
  assert.throws(make({ t: { values: [] } }), /values must not be empty/);
  assert.throws(make({ t: { type: "double", length: 3 } }));
  assert.throws(make({}), /at least one column/);
});
