import assert from "node:assert/strict";
import type { SourceBatch } from "../../src/core/batch.ts";
import { FlowError } from "../../src/core/error.ts";
import type { StoredOffset } from "../../src/core/offset.ts";
import { quoteIdentifier } from "../../src/core/schema.ts";
import type { Source, SourceContext } from "../../src/core/source.ts";
import { type EngineRig, fixtureTest, inTime, type SourceRow } from "./rig.ts";

/** A system with rows for one test. Every row has an `id` (whole number, different for each, from 0) among its fields. */
export interface SourceFixture {
  /** A new source over the same rows. */
  source(): Source;
  /** How many rows there are. */
  readonly rows: number;
  /** Adds that many rows with the ids that follow; missing where the system cannot grow. */
  add?(rows: number): Promise<void>;
  close(): Promise<void>;
}

/** What a connector says of itself to the suite. */
export interface SourceSuite {
  /** For the tests' names: `object_store_local (csv)`. */
  readonly name: string;
  make(): Promise<SourceFixture>;
  /** Why nothing can be tested here, if so (a service that is not there). */
  readonly skip?: string;
  /** Why rows cannot be added while a source runs. */
  readonly cannotGrow?: string;
  /** Why a read of the fixture ends by itself even when nobody asks for it. */
  readonly endsByItself?: string;
}

const SMALL: Partial<SourceContext> = { maxBatchRows: 17 };
/** Positions that are resumed from in a long run. */
const MAX_RESUMES = 12;

/** Registers the tests that every source has to pass. */
export function sourceSuite(suite: SourceSuite): void {
  const test = (
    name: string,
    run: (fixture: SourceFixture, rig: EngineRig) => Promise<void>,
    lack?: string,
  ) => {
    // What a source cannot do is no test of it.
    if (lack !== undefined) return;
    fixtureTest(`source ${suite.name}`, name, suite, run);
  };

  test("reads every row once, in order, and ends", async (fixture, rig) => {
    const { batches, rows } = await readAll(fixture.source(), rig, SMALL);
    assertAllIds(rows, fixture.rows);
    assertChained(batches);
    for (const partition of new Set(rows.map((row) => row.partition))) {
      const offsets = rows.filter((row) => row.partition === partition).map((row) => row.offset);
      assert.deepEqual(offsets, offsets.toSorted((a, b) => (a < b ? -1 : 1)));
      assert.equal(new Set(offsets).size, offsets.length);
    }
  });

  test("numbers the rows of a batch and names their partition", async (fixture, rig) => {
    const source = fixture.source();
    const batches = await readBatches(source, rig, SMALL);
    for (const batch of batches) {
      assert.equal(batch.sourceId, source.sourceId);
      const rows = await rig.sourceRows(batch);
      assert.equal(rows.length, batch.rows);
      assert.deepEqual(rows.map((row) => Number(row.row)), rows.map((_row, at) => at));
      for (const row of rows) {
        const range = batch.ranges.find((candidate) => candidate.partition === row.partition);
        assert.ok(range, `no range for partition ${row.partition}`);
        assert.ok(row.offset < positionNumber(range.to));
        assert.ok(range.from === null || row.offset >= positionNumber(range.from));
      }
      const partitions = batch.ranges.map((range) => range.partition);
      assert.equal(new Set(partitions).size, partitions.length, "one range per partition");
      await drop(rig, batch);
    }
  });

  test("keeps the bounds of rows and bytes", async (fixture, rig) => {
    const byRows = await readBatches(fixture.source(), rig, { maxBatchRows: 7 });
    assert.ok(byRows.length > 1);
    for (const batch of byRows) assert.ok(batch.rows <= 7, `${batch.rows} rows`);
    const byBytes = await readBatches(fixture.source(), rig, { maxBatchBytes: 600 });
    assert.ok(byBytes.length > 1);
    for (const batch of byBytes) {
      assert.ok(batch.bytes <= 600 || batch.rows === 1, `${batch.bytes} bytes`);
    }
    for (const batch of [...byRows, ...byBytes]) await drop(rig, batch);
  });

  test("goes on at every stored position", async (fixture, rig) => {
    const { batches, perBatch, rows } = await readAll(fixture.source(), rig, SMALL);
    const step = Math.max(1, Math.floor(batches.length / MAX_RESUMES));
    for (let done = 0; done <= batches.length; done += step) {
      const stored = positionsAfter(batches.slice(0, done));
      const rest = await readAll(fixture.source(), rig, { ...SMALL, ...rig.stored(stored) });
      assertAllIds([...perBatch.slice(0, done).flat(), ...rest.rows], fixture.rows);
      assertChained(rest.batches, stored);
    }
    // A batch that was cut in two leaves a position of nothing but the row's number.
    const middle = rows[Math.floor(rows.length / 2)];
    const sourceId = batches[0]?.sourceId ?? "";
    assert.ok(middle);
    const { partition, offset } = middle;
    const rest = await readAll(fixture.source(), rig, {
      ...SMALL,
      ...rig.stored([{ sourceId, partition, position: String(offset) }]),
    });
    assert.deepEqual(
      idsOf(rest.rows.filter((row) => row.partition === partition)),
      idsOf(rows.filter((row) => row.partition === partition && row.offset >= offset)),
    );
  });

  test("has nothing to give at the end, and ends", async (fixture, rig) => {
    const { batches } = await readAll(fixture.source(), rig, {});
    const again = await readAll(fixture.source(), rig, rig.stored(positionsAfter(batches)));
    assert.equal(again.rows.length, 0);
  });

  test("drops what waits inside when it is sought, and goes on there", async (fixture, rig) => {
    const source = fixture.source();
    const control = new AbortController();
    await source.open(rig.sourceContext(SMALL), control.signal);
    const seen: SourceRow[] = [];
    let sought: StoredOffset | undefined;
    let resumed = false;
    for await (const batch of source.read(control.signal)) {
      if (batch === undefined) continue;
      const [range] = batch.ranges;
      const rows = await rig.sourceRows(batch);
      await drop(rig, batch);
      if (sought === undefined) {
        assert.ok(range);
        seen.push(...rows.filter((row) => row.partition !== range.partition));
        const first = rows.find((row) => row.partition === range.partition);
        assert.ok(first);
        sought = {
          sourceId: source.sourceId,
          partition: range.partition,
          position: range.from ?? String(first.offset),
        };
        await source.seek([sought]);
        continue;
      }
      const again = batch.ranges.find(({ partition }) => partition === sought?.partition);
      if (again !== undefined && !resumed) {
        resumed = true;
        assert.equal(again.from, sought.position);
      }
      seen.push(...rows);
    }
    await source.close();
    assertAllIds(seen, fixture.rows);
  });

  test(
    "takes acknowledgements and seeks of partitions that it does not have",
    async (fixture, rig) => {
      const source = fixture.source();
      const control = new AbortController();
      await source.open(rig.sourceContext(SMALL), control.signal);
      for await (const batch of source.read(control.signal)) {
        if (batch === undefined) continue;
        await source.acknowledge(positionsAfter([batch]));
        await drop(rig, batch);
        break;
      }
      const strange = [{ sourceId: source.sourceId, partition: "987654", position: "3" }];
      await source.acknowledge(strange);
      await source.seek(strange);
      await source.close();
    },
  );

  test("ends without an error when it is aborted", async (fixture, rig) => {
    const source = fixture.source();
    const control = new AbortController();
    await source.open(rig.sourceContext({ ...SMALL, untilEnd: false }), control.signal);
    let batches = 0;
    await inTime(
      "ending after an abort",
      (async () => {
        for await (const batch of source.read(control.signal)) {
          if (batch !== undefined) await drop(rig, batch);
          if ((batches += 1) === 2) control.abort();
        }
      })(),
    );
    await source.close();
  });

  test("ends without an error when it is aborted while it waits", async (fixture, rig) => {
    const source = fixture.source();
    const control = new AbortController();
    await source.open(rig.sourceContext({ untilEnd: false }), control.signal);
    let rows = 0;
    await inTime(
      "ending after an abort",
      (async () => {
        for await (const batch of source.read(control.signal)) {
          if (batch !== undefined) {
            rows += batch.rows;
            await drop(rig, batch);
          }
          if (rows === fixture.rows) setTimeout(() => control.abort(), 20);
        }
      })(),
    );
    await source.close();
  });

  test("shows that it is idle, again and again", async (fixture, rig) => {
    const source = fixture.source();
    const control = new AbortController();
    await source.open(rig.sourceContext({ untilEnd: false }), control.signal);
    let idle = 0;
    await inTime(
      "being idle twice",
      (async () => {
        for await (const batch of source.read(control.signal)) {
          if (batch === undefined) idle += 1;
          else await drop(rig, batch);
          if (idle === 2) break;
        }
      })(),
    );
    await source.close();
    assert.equal(idle, 2);
  }, suite.endsByItself);

  test("gives rows that come while it runs", async (fixture, rig) => {
    const source = fixture.source();
    const control = new AbortController();
    await source.open(rig.sourceContext({ ...SMALL, untilEnd: false }), control.signal);
    const rows: SourceRow[] = [];
    let added = false;
    await inTime(
      "getting the added rows",
      (async () => {
        for await (const batch of source.read(control.signal)) {
          if (batch !== undefined) {
            rows.push(...await rig.sourceRows(batch));
            await drop(rig, batch);
          }
          if (rows.length === fixture.rows && !added) {
            added = true;
            await fixture.add?.(40);
          }
          if (rows.length >= fixture.rows + 40) break;
        }
      })(),
    );
    await source.close();
    assertAllIds(rows, fixture.rows + 40);
  }, suite.cannotGrow);

  test("can be closed twice, and after an open that failed", async (fixture, rig) => {
    const source = fixture.source();
    await source.open(rig.sourceContext(), new AbortController().signal);
    await source.close();
    await source.close();
    const failing = fixture.source();
    const control = new AbortController();
    const context = rig.sourceContext({
      storedPositions: () =>
        Promise.reject(
          new FlowError("the target is gone", { code: "target_gone", domain: "external" }),
        ),
    });
    await assert.rejects(
      inTime(
        "failing",
        (async () => {
          await failing.open(context, control.signal);
          for await (const batch of failing.read(control.signal)) {
            if (batch !== undefined) await drop(rig, batch);
          }
        })(),
      ),
      { code: "target_gone" },
    );
    await failing.close();
    await failing.close();
    const neverOpened = fixture.source();
    await neverOpened.close();
  });
}

async function readBatches(
  source: Source,
  rig: EngineRig,
  change: Partial<SourceContext>,
): Promise<SourceBatch[]> {
  const control = new AbortController();
  const batches: SourceBatch[] = [];
  try {
    await source.open(rig.sourceContext(change), control.signal);
    await inTime(
      "reading to the end",
      (async () => {
        for await (const batch of source.read(control.signal)) {
          if (batch !== undefined) batches.push(batch);
        }
      })(),
    );
  } finally {
    await source.close();
  }
  return batches;
}

async function readAll(source: Source, rig: EngineRig, change: Partial<SourceContext>) {
  const batches = await readBatches(source, rig, change);
  const perBatch: SourceRow[][] = [];
  for (const batch of batches) {
    perBatch.push(await rig.sourceRows(batch));
    await drop(rig, batch);
  }
  return { batches, perBatch, rows: perBatch.flat() };
}

async function drop(rig: EngineRig, batch: SourceBatch): Promise<void> {
  await rig.session.run(`DROP TABLE ${quoteIdentifier(batch.table)}`);
  if (batch.unreadable !== undefined) {
    await rig.session.run(`DROP TABLE ${quoteIdentifier(batch.unreadable.table)}`);
  }
}

function idsOf(rows: readonly SourceRow[]): (number | null)[] {
  return rows.map((row) => row.id).sort((a, b) => Number(a) - Number(b));
}

function assertAllIds(rows: readonly SourceRow[], count: number): void {
  assert.deepEqual(idsOf(rows), Array.from({ length: count }, (_id, at) => at));
}

/** Every range starts where the last one of its partition ended, or at the stored position. */
function assertChained(
  batches: readonly SourceBatch[],
  stored: readonly StoredOffset[] = [],
): void {
  const at = new Map<string, string>(stored.map((s) => [s.partition, s.position]));
  for (const { ranges } of batches) {
    for (const range of ranges) {
      assert.equal(range.from, at.get(range.partition) ?? null);
      at.set(range.partition, range.to);
    }
  }
}

function positionsAfter(batches: readonly SourceBatch[]): StoredOffset[] {
  const at = new Map<string, StoredOffset>();
  for (const { sourceId, partition, to } of batches.flatMap((batch) => batch.ranges)) {
    at.set(partition, { sourceId, partition, position: to });
  }
  return [...at.values()];
}

function positionNumber(position: string): bigint {
  return BigInt(position.split(";")[0] ?? "0");
}
