import assert from "node:assert/strict";
import { availableKinds, newPlace, withScratch } from "../../tests/batch/rig.ts";
import { FlowError } from "../core/error.ts";
import type { LoadCounts } from "./load_context.ts";
import { scd2Statements } from "./scd2.ts";
import { type RigRow, type RigRun, Scd2Rig } from "./test_scd2_rig.ts";

const EPOCH = Date.UTC(2026, 0, 1);
const DAY_SECONDS = 86_400;
const DAY = BigInt(DAY_SECONDS) * 1_000_000n;

/** The start of a day, counted from 2026-01-01, in microseconds since the epoch. */
function day(number: number): bigint {
  return BigInt(EPOCH) * 1000n + BigInt(Math.round(number * DAY_SECONDS)) * 1_000_000n;
}

function row(k: number, at: number | undefined, v: string | null, c = ""): RigRow {
  return { k, ts: at === undefined ? undefined : day(at), v, c };
}

/** Versions as `key value from..to`, with days; an end that is a microsecond later has a `+`. */
async function shown(rig: Scd2Rig): Promise<string[]> {
  const text = (at: bigint | undefined) => {
    if (at === undefined) return "";
    const since = at - day(0);
    const rest = since % DAY;
    const days = rest % 1_000_000n === 0n ? Number(since) / Number(DAY) : Number(since / DAY);
    return `${days}${rest % 1_000_000n === 0n ? "" : "+"}`;
  };
  const versions = await rig.checkedVersions();
  return versions.map(({ key, v, from, to }) =>
    `${key.split("/")[0]} ${v} ${text(from)}..${text(to)}`
  );
}

function counts(some: Partial<LoadCounts>): LoadCounts {
  return { rowsInserted: 0, rowsClosed: 0, rowsUpdated: 0, rowsDeleted: 0, ...some };
}

async function refuses(work: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert(error instanceof FlowError);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.equal(error.domain, "user");
    assert(error.hint !== undefined);
    return true;
  });
}

const sentences: [string, (rig: Scd2Rig) => Promise<void>][] = [];

function scd2Test(name: string, body: (rig: Scd2Rig) => Promise<void>): void {
  sentences.push([name, body]);
}

for (const kind of availableKinds()) {
  Deno.test(`scd2 in ${kind}`, (test) =>
    withScratch(async (scratchDir) => {
      const place = await newPlace(kind, scratchDir);
      const rig = await Scd2Rig.open(place.database);
      try {
        for (const [name, body] of sentences) {
          await test.step(name, async () => {
            await rig.reset();
            await body(rig);
          });
        }
      } finally {
        await rig.close();
        await place.remove();
      }
    }));
}

scd2Test("all versions of one run are kept in the order of their event times", async (rig) => {
  const rows = [row(1, 3, "c"), row(1, 1, "a"), row(1, 2, "b"), row(2, 2, "x")];
  assert.deepEqual(await rig.run({ started: day(9), rows }), counts({ rowsInserted: 4 }));
  assert.deepEqual(await shown(rig), ["1 a 1..2", "1 b 2..3", "1 c 3..", "2 x 2.."]);
});

scd2Test("a second run of the same rows changes nothing", async (rig) => {
  const rows = [row(1, 1, "a"), row(1, 2, "b"), row(2, 2, "x")];
  await rig.run({ started: day(9), rows });
  assert.deepEqual(await rig.run({ started: day(10), rows }), counts({}));
});

scd2Test("a newer row ends the current version at its event time", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, "a"), row(2, 1, "x")] });
  const done = await rig.run({ started: day(10), rows: [row(1, 5, "b"), row(2, 5, "x")] });
  assert.deepEqual(done, counts({ rowsInserted: 1, rowsClosed: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..5", "1 b 5..", "2 x 1.."]);
});

scd2Test("a late row splits an interval, and one before all is the first", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, "a"), row(1, 5, "b")] });
  const done = await rig.run({ started: day(10), rows: [row(1, 3, "late"), row(1, 0, "first")] });
  assert.deepEqual(done, counts({ rowsInserted: 2, rowsUpdated: 1 }));
  assert.deepEqual(await shown(rig), ["1 first 0..1", "1 a 1..3", "1 late 3..5", "1 b 5.."]);
});

scd2Test("a late row that equals the next version takes its place", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, "a"), row(1, 5, "b")] });
  const done = await rig.run({ started: day(10), rows: [row(1, 3, "b")] });
  assert.deepEqual(done, counts({ rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..3", "1 b 3.."]);
});

scd2Test("a row at the start of a version corrects it", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, "a"), row(1, 5, "b")] });
  const done = await rig.run({ started: day(10), rows: [row(1, 5, "corrected")] });
  assert.deepEqual(done, counts({ rowsUpdated: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..5", "1 corrected 5.."]);
});

scd2Test("a correction to the value before removes the version", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, "a"), row(1, 5, "b"), row(1, 7, "c")] });
  const done = await rig.run({ started: day(10), rows: [row(1, 5, "a")] });
  assert.deepEqual(done, counts({ rowsUpdated: 1, rowsDeleted: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..7", "1 c 7.."]);
});

scd2Test("different rows of one moment: the same one wins each time", async (rig) => {
  const rows = [row(1, 1, "a"), row(1, 1, "b"), row(1, 1, "b")];
  assert.deepEqual(await rig.run({ started: day(9), rows }), counts({ rowsInserted: 1 }));
  const first = await shown(rig);
  const again = await rig.run({ started: day(9), rows: rows.toReversed() });
  assert.deepEqual(again, counts({}));
  assert.deepEqual(await shown(rig), first);
});

scd2Test("a NULL event time is the start of the run", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, undefined, "a")] });
  assert.deepEqual(await shown(rig), ["1 a 9.."]);
});

scd2Test("NULL, the empty text and texts are different values", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, null), row(1, 2, ""), row(1, 3, "N")] });
  assert.deepEqual(await shown(rig), ["1 null 1..2", "1  2..3", "1 N 3.."]);
});

scd2Test(
  "a column that is not compared makes no version, and comes with the version",
  async (rig) => {
    await rig.run({ started: day(9), rows: [row(1, 1, "a", "old")] });
    const done = await rig.run({
      started: day(10),
      rows: [row(1, 1, "a", "new"), row(1, 2, "a", "new")],
    });
    assert.deepEqual(done, counts({}));
    await rig.run({ started: day(11), rows: [row(1, 3, "b", "newer")] });
    assert.deepEqual((await rig.versions()).map(({ c }) => c), ["old", "newer"]);
  },
);

scd2Test("without event times, rows hold from the start of the run", async (rig) => {
  const run = { eventTime: false } as const;
  await rig.run({ ...run, started: day(1), rows: [row(1, 7, "a"), row(2, 7, "x")] });
  const done = await rig.run({
    ...run,
    started: day(2),
    rows: [row(1, 7, "b"), row(2, 8, "x"), row(3, 7, "n"), row(3, 7, "n")],
  });
  assert.deepEqual(done, counts({ rowsInserted: 2, rowsClosed: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..2", "1 b 2..", "2 x 1..", "3 n 2.."]);
});

scd2Test("without event times, one key with two values is refused", async (rig) => {
  const run = { eventTime: false, started: day(1) } as const;
  await rig.run({ ...run, rows: [row(1, 1, "a")] });
  // One of the two is what the table has already.
  const rows = [row(1, 1, "a"), row(1, 1, "b"), row(2, 1, "x")];
  await refuses(rig.run({ ...run, rows }), "scd2_key_duplicate", /k = 1, g = g/);
  assert.deepEqual(await shown(rig), ["1 a 1.."]);
});

scd2Test("without event times, a clock that went back breaks nothing", async (rig) => {
  const run = { eventTime: false } as const;
  await rig.run({ ...run, started: day(5), rows: [row(1, 1, "a")] });
  await rig.run({ ...run, started: day(4), rows: [row(1, 1, "b")] });
  assert.deepEqual(await shown(rig), ["1 a 5..5+", "1 b 5+.."]);
});

scd2Test("NULL in a key is refused before anything is written", async (rig) => {
  for (const eventTime of [true, false]) {
    const run = { eventTime, started: day(1) };
    const nulls = [{ ...row(1, 1, "a"), g: null }, { ...row(2, 1, "a"), g: null }, row(3, 1, "b")];
    await refuses(rig.run({ ...run, rows: nulls }), "key_null", /^2 rows .* key column g$/);
    const null1 = [{ ...row(1, 1, "a"), k: null }];
    await refuses(rig.run({ ...run, rows: null1 }), "key_null", /^1 row .* key column k$/);
    assert.deepEqual(await shown(rig), []);
  }
});

scd2Test("keys that are gone are closed at the start of the run, and only once", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, "a"), row(2, 1, "x"), row(3, 20, "future")] });
  const run: RigRun = { started: day(10), soft: true, rows: [row(2, 1, "x")] };
  assert.deepEqual(await rig.run(run), counts({ rowsClosed: 2 }));
  assert.deepEqual(await shown(rig), ["1 a 1..10", "2 x 1..", "3 future 20..20+"]);
  assert.deepEqual(await rig.run({ ...run, started: day(11) }), counts({}));
});

scd2Test("an empty source closes nothing unless that is allowed", async (rig) => {
  const run: RigRun = { started: day(10), soft: true, rows: [] };
  assert.deepEqual(await rig.run(run), counts({}));
  await rig.run({ started: day(9), rows: [row(1, 1, "a")] });
  await refuses(rig.run(run), "empty_source", /the source gave no rows/);
  assert.deepEqual(await shown(rig), ["1 a 1.."]);
  assert.deepEqual(await rig.run({ ...run, allowEmptySource: true }), counts({ rowsClosed: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..10"]);
});

scd2Test("a key that comes back gets a new version though its row is old", async (rig) => {
  const rows = [row(1, 1, "a"), row(2, 1, "x")];
  await rig.run({ started: day(9), soft: true, rows });
  await rig.run({ started: day(10), soft: true, rows: rows.slice(1) });
  const back: RigRun = { started: day(12), soft: true, rows };
  assert.deepEqual(await rig.run(back), counts({ rowsInserted: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..10", "1 a 12..", "2 x 1.."]);
  assert.deepEqual(await rig.run({ ...back, started: day(13) }), counts({}));
});

scd2Test(
  "without handleDeletes, an equal row within a closed interval changes nothing",
  async (rig) => {
    const rows = [row(1, 1, "a"), row(2, 1, "x")];
    await rig.run({ started: day(9), soft: true, rows });
    await rig.run({ started: day(10), soft: true, rows: rows.slice(1) });
    assert.deepEqual(await rig.run({ started: day(12), rows }), counts({}));
  },
);

scd2Test("a row at the moment of an end continues the timeline", async (rig) => {
  const rows = [row(1, 1, "a"), row(2, 1, "x")];
  await rig.run({ started: day(9), soft: true, rows });
  await rig.run({ started: day(10), soft: true, rows: rows.slice(1) });
  const done = await rig.run({ started: day(12), rows: [row(1, 10, "a")] });
  assert.deepEqual(done, counts({ rowsUpdated: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..", "2 x 1.."]);
});

scd2Test(
  "ttlSeconds ends old versions; equal rows do not open them, newer ones do",
  async (rig) => {
    const ttlSeconds = 5 * DAY_SECONDS;
    await rig.run({ started: day(2), ttlSeconds, rows: [row(1, 1, "a"), row(2, 2, "x")] });
    const run: RigRun = { started: day(6.5), ttlSeconds, rows: [row(1, 1, "a")] };
    assert.deepEqual(await rig.run(run), counts({ rowsClosed: 1 }));
    assert.deepEqual(await shown(rig), ["1 a 1..6", "2 x 2.."]);
    assert.deepEqual(await rig.run({ ...run, started: day(6.75) }), counts({}));
    const newer = await rig.run({ ...run, started: day(6.8), rows: [row(1, 6.5, "a")] });
    assert.deepEqual(newer, counts({ rowsInserted: 1 }));
    assert.deepEqual(await shown(rig), ["1 a 1..6", "1 a 6.5..", "2 x 2.."]);
  },
);

scd2Test(
  "a row that confirms an expired version in the same run keeps its key current",
  async (rig) => {
    const ttlSeconds = 5 * DAY_SECONDS;
    await rig.run({ started: day(2), ttlSeconds, rows: [row(1, 1, "a")] });
    await rig.run({ started: day(8), ttlSeconds, rows: [row(1, 7, "a")] });
    assert.deepEqual(await shown(rig), ["1 a 1..6", "1 a 7.."]);
  },
);

scd2Test("a change ends an expired version instead of its time to live", async (rig) => {
  const ttlSeconds = 5 * DAY_SECONDS;
  for (const eventTime of [true, false]) {
    await rig.reset();
    await rig.run({ started: day(1), eventTime, rows: [row(1, 1, "a")] });
    await rig.run({ started: day(8), eventTime, ttlSeconds, rows: [row(1, 8, "b")] });
    assert.deepEqual(await shown(rig), ["1 a 1..8", "1 b 8.."]);
  }
});

scd2Test("a late change within an expired version is current for its own time", async (rig) => {
  const ttlSeconds = 5 * DAY_SECONDS;
  await rig.run({ started: day(1), rows: [row(1, 1, "a")] });
  await rig.run({ started: day(7), ttlSeconds, rows: [] });
  assert.deepEqual(await shown(rig), ["1 a 1..6"]);
  await rig.run({ started: day(7.1), ttlSeconds, rows: [row(1, 5, "b")] });
  assert.deepEqual(await shown(rig), ["1 a 1..5", "1 b 5.."]);
});

scd2Test(
  "without event times, ttlSeconds keeps equal rows closed, not changed ones",
  async (rig) => {
    const run = { eventTime: false, ttlSeconds: 5 * DAY_SECONDS } as const;
    await rig.run({ ...run, started: day(1), rows: [row(1, 1, "a"), row(2, 1, "x")] });
    const rows = [row(1, 1, "a"), row(2, 1, "x")];
    assert.deepEqual(await rig.run({ ...run, started: day(7), rows }), counts({ rowsClosed: 2 }));
    assert.deepEqual(await rig.run({ ...run, started: day(8), rows }), counts({}));
    const changed = [row(1, 1, "a"), row(2, 1, "y")];
    const done = await rig.run({ ...run, started: day(9), rows: changed });
    assert.deepEqual(done, counts({ rowsInserted: 1 }));
    assert.deepEqual(await shown(rig), ["1 a 1..6", "2 x 1..6", "2 y 9.."]);
  },
);

scd2Test("a deleted key comes back also with ttlSeconds, an expired one does not", async (rig) => {
  for (const eventTime of [true, false]) {
    await rig.reset();
    const run = { eventTime, soft: true, ttlSeconds: 5 * DAY_SECONDS } as const;
    const rows = [row(1, 1, "a"), row(2, 2, "x")];
    await rig.run({ ...run, started: day(2), rows });
    await rig.run({ ...run, started: day(3), rows: rows.slice(0, 1) });
    await rig.run({ ...run, started: day(3.5), rows });
    const start = eventTime ? 1 : 2;
    const versions = [`1 a ${start}..`, "2 x 2..3", "2 x 3.5.."];
    assert.deepEqual(await shown(rig), versions);
    await rig.run({ ...run, started: day(8), rows });
    await rig.run({ ...run, started: day(8.25), rows });
    assert.deepEqual(await shown(rig), [`1 a ${start}..${start + 5}`, ...versions.slice(1)]);
  }
});

scd2Test("a restatement makes the versions from its moment on anew", async (rig) => {
  const before = [row(1, 1, "a"), row(1, 5, "b"), row(1, 7, "c"), row(2, 6, "x"), row(3, 2, "k")];
  await rig.run({ started: day(9), rows: before });
  const run: RigRun = {
    started: day(10),
    restate: day(5),
    rows: [row(1, 1, "a"), row(1, 6, "d"), row(1, 7, "c")],
  };
  const done = await rig.run(run);
  assert.deepEqual(done, counts({ rowsInserted: 1, rowsUpdated: 1, rowsDeleted: 2 }));
  assert.deepEqual(await shown(rig), ["1 a 1..6", "1 d 6..7", "1 c 7..", "3 k 2.."]);
  assert.deepEqual(await rig.run(run), counts({}));
});

scd2Test("a restatement brings columns that are not compared, and only once", async (rig) => {
  await rig.run({ started: day(9), rows: [row(1, 1, "a", "old"), row(1, 5, "b", "old")] });
  const rows = [row(1, 1, "a", "new"), row(1, 5, "b", "new")];
  const run: RigRun = { started: day(10), restate: day(5), rows };
  assert.deepEqual(await rig.run(run), counts({ rowsUpdated: 1 }));
  assert.deepEqual((await rig.versions()).map(({ c }) => c), ["old", "new"]);
  assert.deepEqual(await rig.run(run), counts({}));
});

scd2Test("a restatement with handleDeletes keeps the end of keys that were gone", async (rig) => {
  const rows = [row(1, 1, "a"), row(2, 1, "x"), row(3, 1, "y")];
  await rig.run({ started: day(5), soft: true, rows });
  await rig.run({ started: day(6), soft: true, rows: rows.slice(1) });
  const run: RigRun = { started: day(9), soft: true, restate: day(4), rows: rows.slice(1, 2) };
  assert.deepEqual(await rig.run(run), counts({ rowsClosed: 1 }));
  assert.deepEqual(await shown(rig), ["1 a 1..6", "2 x 1..", "3 y 1..9"]);
  assert.deepEqual(await rig.run({ ...run, started: day(10) }), counts({}));
});

scd2Test("a restatement needs event times", async (rig) => {
  const run: RigRun = {
    started: day(9),
    eventTime: false,
    restate: day(1),
    rows: [row(1, 1, "a")],
  };
  await refuses(rig.run(run), "restate_needs_event_time", /no event time/);
});

scd2Test("nothing but changed versions is written", async (rig) => {
  await rig.run({ started: day(5), rows: [row(1, 1, "a"), row(2, 1, "x")] });
  await rig.run({ started: day(6), rows: [row(1, 5, "b"), row(2, 1, "x")] });
  const written = await rig.session.rows<{ n: bigint }>(
    `SELECT count(*) AS n FROM ${rig.table} WHERE _loaded_at < valid_to OR k = 2`,
  );
  assert.equal(Number(written[0]?.n), 1);
});

scd2Test("the statements can be shown, with a parameter for each placeholder", (rig) => {
  const run: RigRun = { started: day(9), soft: true, ttlSeconds: 60, restate: day(1), rows: [] };
  const statements = scd2Statements(rig.context(run, '"source"'), { restateFromMicros: day(1) });
  assert(statements.length > 8);
  for (const { sql, params, title } of statements) {
    assert.equal([...sql.matchAll(/\$\d+|\?/g)].length, params.length, title);
    assert(!sql.includes("\u0001") && !sql.includes("undefined"), title);
  }
  return Promise.resolve();
});
