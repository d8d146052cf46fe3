import assert from "node:assert/strict";
import fc from "fast-check";
import { availableKinds, newPlace, withScratch } from "../../tests/batch/rig.ts";
import type { Database, DatabaseKind } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import { timestampText } from "../sql/dialect.ts";
import type { LoadCounts } from "./load_context.ts";
import {
  AmbiguousKey,
  modelCounts,
  modelHash,
  type ModelRun,
  modelTimeline,
  type ModelVersion,
} from "./test_scd2_model.ts";
import { type RigRow, type RigRun, type RigVersion, Scd2Rig } from "./test_scd2_rig.ts";

/** 2026-01-01T00:00:00Z. */
const EPOCH = 1_767_225_600_000_000n;
const SECOND = 1_000_000n;

/** Timelines (keys) of one case: keys do not see each other, so each is a case of its own. */
const KEYS = 10;
/** Cases per run; a case has {@link KEYS} timelines, up to five runs of each, and every run is done twice. */
const CASES: Readonly<Record<DatabaseKind, number>> = {
  duckdb: 100,
  sqlite: 60,
  postgres: 60,
  mysql: 60,
};
interface Case {
  readonly eventTime: boolean;
  readonly runs: readonly RigRun[];
}

/** Seconds after the epoch that events take place at: few, so that they meet one another, and starts and ends of versions. */
const eventSecond = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 24 }) },
  { weight: 1, arbitrary: fc.integer({ min: 25, max: 60 }) },
);

function rowsOf(eventTime: boolean) {
  const row = fc.record({
    k: fc.integer({ min: 0, max: KEYS - 1 }),
    second: fc.option(eventSecond, { nil: undefined, freq: 12 }),
    v: fc.constantFrom<string | null>("a", "b", "ä", null),
  });
  const rows = fc.array(row, { maxLength: KEYS * 3, size: "max" });
  if (eventTime) return rows;
  // Mostly one row a key, now and then two, which may be alike.
  return fc.tuple(rows, fc.integer({ min: 0, max: 9 })).map(([some, luck]) =>
    luck === 0 ? some : [...new Map(some.map((one) => [one.k, one])).values()]
  );
}

const cases: fc.Arbitrary<Case> = fc.boolean().chain((eventTime) => {
  const run = fc.record({
    step: fc.integer({ min: 0, max: 8 }),
    rows: rowsOf(eventTime),
    soft: fc.boolean(),
    ttlSeconds: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 3 }),
    restateSecond: eventTime
      ? fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined, freq: 4 })
      : fc.constant(undefined),
    repeats: fc.integer({ min: 0, max: 2 }),
    allowEmptySource: fc.boolean(),
  });
  return fc.array(run, { minLength: 1, maxLength: 5, size: "max" }).map((planned) => {
    let second = 8;
    const runs: RigRun[] = [];
    for (const [index, one] of planned.entries()) {
      second += one.step;
      const started = EPOCH + BigInt(second) * SECOND;
      const { ttlSeconds, restateSecond } = one;
      const source: RigRow[] = one.rows.map(({ k, second: at, v }) => ({
        k,
        // A row at the very start is one without a time.
        ts: at === undefined || at === second ? undefined : EPOCH + BigInt(at) * SECOND,
        v,
        c: `run ${index}`,
      }));
      // A source that goes on showing what it showed before.
      const before = runs.at(-1)?.rows ?? [];
      runs.push({
        started,
        rows: one.repeats === 2 && eventTime
          ? [...before.filter(({ ts }) => ts !== started), ...source]
          : source,
        eventTime,
        soft: one.soft,
        allowEmptySource: one.allowEmptySource,
        ...ttlSeconds === undefined ? {} : { ttlSeconds },
        ...restateSecond === undefined ? {} : { restate: EPOCH + BigInt(restateSecond) * SECOND },
      });
    }
    return { eventTime, runs };
  });
});

function at(second: number, v: string, run: number): RigRow {
  return { k: 5, ts: EPOCH + BigInt(second) * SECOND, v, c: `run ${run}` };
}

function keptCase(...runs: readonly (Partial<RigRun> & { readonly second: number })[]): [Case] {
  const made = runs.map(({ second, ...run }) => ({
    rows: [],
    ...run,
    started: EPOCH + BigInt(second) * SECOND,
  }));
  return [{ eventTime: true, runs: made }];
}

/** Cases that once found something; they are tried first. */
const KEPT: [Case][] = [
  // A restatement with ttlSeconds put a row into another version the second time.
  keptCase({
    second: 8,
    rows: [at(0, "a", 0), at(2, "a", 0)],
    ttlSeconds: 1,
    restate: EPOCH + SECOND,
  }),
  // Rows that differ only in what is not compared: now one, now the other was taken.
  keptCase({ second: 8, rows: [at(10, "b", 0)] }, {
    second: 8,
    rows: [at(10, "b", 0), at(10, "b", 1), at(11, "a", 1)],
    restate: EPOCH,
  }),
  // A key that came back was dropped by the next restatement: its earlier version, grown by a late row, looked expired.
  keptCase({ second: 8, rows: [{ ...at(8, "a", 0), ts: undefined }] }, {
    second: 8,
    soft: true,
    allowEmptySource: true,
  }, {
    second: 9,
    rows: [at(0, "a", 2)],
    soft: true,
    ttlSeconds: 1,
    restate: EPOCH + 9n * SECOND,
  }),
  // The place to which a key came back prolonged an expiry, and was gone in the next restatement.
  keptCase(
    { second: 8, rows: [at(0, "a", 0)] },
    { second: 8, ttlSeconds: 2 },
    { second: 8, rows: [at(25, "a", 2)] },
    {
      second: 8,
      rows: [at(1, "ä", 3)],
      soft: true,
      ttlSeconds: 1,
      restate: EPOCH + 3n * SECOND,
    },
  ),
];

type Timelines = ReadonlyMap<string, readonly ModelVersion[]>;

function modelOf(run: RigRun): ModelRun {
  return {
    started: run.started,
    eventTime: run.eventTime ?? true,
    soft: run.soft ?? false,
    ttl: run.ttlSeconds === undefined ? undefined : BigInt(run.ttlSeconds) * SECOND,
    restate: run.restate,
  };
}

/** What the table is after the run, and what the run reports; the code of the error that it ends with. */
function expected(
  before: Timelines,
  run: RigRun,
): { readonly after: Timelines; readonly counts: LoadCounts } | string {
  const someOpen = [...before.values()].flat().some(({ to }) => to === undefined);
  if (run.soft === true && run.rows.length === 0 && someOpen && run.allowEmptySource !== true) {
    return "empty_source";
  }
  const after = new Map<string, readonly ModelVersion[]>();
  const total = { rowsInserted: 0, rowsClosed: 0, rowsUpdated: 0, rowsDeleted: 0 };
  for (let k = 0; k < KEYS; k += 1) {
    const key = `${k}/g`;
    const old = before.get(key) ?? [];
    const rows = run.rows.filter((row) => row.k === k)
      .map(({ ts, v, c = "" }) => {
        const tie = modelHash(ts === undefined ? null : timestampText(ts), c);
        return { at: ts, v, c, tie };
      });
    try {
      const timeline = modelTimeline(old, rows, modelOf(run));
      const counts = modelCounts(old, timeline);
      total.rowsInserted += counts.rowsInserted;
      total.rowsClosed += counts.rowsClosed;
      total.rowsUpdated += counts.rowsUpdated;
      total.rowsDeleted += counts.rowsDeleted;
      after.set(key, timeline);
    } catch (error) {
      if (error instanceof AmbiguousKey) return "scd2_key_duplicate";
      throw error;
    }
  }
  return { after, counts: total };
}

function flat(timelines: Timelines): unknown[] {
  return [...timelines].flatMap(([key, versions]) =>
    versions.map(({ from, to, v, c }) => ({ key, from, to, v, c, hash: modelHash(v) }))
  );
}

function bare(versions: readonly RigVersion[]): unknown[] {
  return versions.map(({ key, from, to, v, c, hash }) => ({ key, from, to, v, c, hash }));
}

const NOTHING = { rowsInserted: 0, rowsClosed: 0, rowsUpdated: 0, rowsDeleted: 0 };

async function check(rig: Scd2Rig, { runs }: Case): Promise<void> {
  await rig.reset();
  let state: Timelines = new Map();
  for (const run of runs) {
    const wanted = expected(state, run);
    if (typeof wanted === "string") {
      await assert.rejects(
        rig.run(run),
        (error) => error instanceof FlowError && error.code === wanted,
      );
      continue;
    }
    assert.deepEqual(await rig.run(run), wanted.counts);
    state = wanted.after;
    assert.deepEqual(bare(await rig.checkedVersions()), flat(state));
    assert.deepEqual(
      await rig.run(run),
      NOTHING,
      "a second run of the same rows changed something",
    );
  }
  assert.deepEqual(bare(await rig.checkedVersions()), flat(state));
}

async function property(database: Database, numRuns: number): Promise<void> {
  const rig = await Scd2Rig.open(database);
  try {
    const holds = fc.asyncProperty(cases, (one) => check(rig, one));
    const given = Deno.env.get("FLOW_PROPERTY_SEED");
    await fc.assert(holds, {
      numRuns,
      examples: KEPT,
      ...given === undefined ? {} : { seed: Number(given) },
    });
  } finally {
    await rig.close();
  }
}

for (const kind of availableKinds()) {
  Deno.test(`scd2 in ${kind} is what the model says, whatever comes`, () =>
    withScratch(async (scratchDir) => {
      const place = await newPlace(kind, scratchDir);
      try {
        await property(place.database, CASES[kind]);
      } finally {
        await place.remove();
      }
    }));
}
