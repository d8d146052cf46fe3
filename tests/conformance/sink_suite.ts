import assert from "node:assert/strict";
import type { SinkRequest } from "../../src/core/connector.ts";
import type { DeadLetter } from "../../src/core/dead_letter.ts";
import type { StoredOffset } from "../../src/core/offset.ts";
import type { RejectedRows } from "../../src/core/batch.ts";
import type { Sink } from "../../src/core/sink.ts";
import { canonical, VALUES } from "./exact_values.ts";
import { type EngineRig, fixtureTest } from "./rig.ts";
import { wideningTests } from "./widening_suite.ts";

/** What a test asks of a sink. The fixture adds the table and its own options. */
export type SinkAsk = Partial<Pick<SinkRequest, "mode" | "keys" | "create">>;

/** A target for one test: empty, without a table. */
export interface SinkFixture {
  /** A new sink into the same table. */
  sink(ask?: SinkAsk): Sink;
  /**
   * What is in the target now, in any order: per row the text of every value by column, `null` for NULL. Numbers, booleans and times may
   * be spelled in any usual way; structs and lists are JSON text.
   */
  rows(): Promise<Record<string, string | null>[]>;
  /** Makes the table as a person would; `columns` in SQL. Missing where there is no SQL. */
  makeTable?(columns: string): Promise<void>;
  /** The ids in a dead-letter table. Missing where the sink keeps none. */
  deadLetterIds?(table: string): Promise<string[]>;
  close(): Promise<void>;
}

/** What a connector says of itself to the suite. */
export interface SinkSuite {
  readonly name: string;
  make(): Promise<SinkFixture>;
  /** Why nothing can be tested here, if so (a service that is not there). */
  readonly skip?: string;
  /** Why rows and offsets do not go into one transaction. */
  readonly notTransactional?: string;
  /** Why there is no `mode = "merge"`. */
  readonly noMerge?: string;
  /** Why the target has no columns of its own. */
  readonly noSchema?: string;
  /** Names of the values in `exact_values.ts` that the target cannot hold, each with the reason. */
  readonly inexact?: Readonly<Record<string, string>>;
  /** Why columns do not get wider types in mid-stream. */
  readonly noWidening?: string;
  /** What happens to a NUL character in text; `kept` by default. */
  readonly nul?: "kept" | "refused";
}

const never = new AbortController().signal;
const MOVE = { sourceId: "orders", partition: "0" };

/** Registers the tests that every sink has to pass. */
export function sinkSuite(suite: SinkSuite): void {
  const test = (
    name: string,
    run: (fixture: SinkFixture, rig: EngineRig) => Promise<void>,
    ...lacks: (string | undefined)[]
  ) => {
    // What a target cannot do is no test of it; that it says so is one, see below.
    if (lacks.some((lack) => lack !== undefined)) return;
    fixtureTest(`sink ${suite.name}`, name, suite, run);
  };
  const exactlyOnce = suite.notTransactional === undefined;

  const open = async (fixture: SinkFixture, rig: EngineRig, ask?: SinkAsk): Promise<Sink> => {
    const sink = fixture.sink(ask);
    await sink.open(rig.sinkContext({ exactlyOnce }), never);
    return sink;
  };

  test("lacks only what its traits say", (fixture) => {
    const { transactional, modes, hasSchema } = fixture.sink().traits;
    assert.deepEqual(
      { transactional, merges: modes.includes("merge"), hasSchema },
      {
        transactional: exactlyOnce,
        merges: suite.noMerge === undefined,
        hasSchema: suite.noSchema === undefined,
      },
    );
    return Promise.resolve();
  });

  test("can be closed twice, and after an open that failed", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await sink.close();
    await sink.close();
    const failing = fixture.sink();
    const aborted = AbortSignal.abort(new Error("stopped"));
    await failing.open(rig.sinkContext({ exactlyOnce }), aborted).catch(() => {});
    await failing.close();
    await failing.close();
    await fixture.sink().close();
  });

  test("appends, several batches in an epoch, epoch after epoch", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await sink.begin(1);
    assert.equal(await sink.write(await rig.batch(people(0, 3)), rig.session, never), undefined);
    assert.equal(await sink.write(await rig.batch(people(3, 2)), rig.session, never), undefined);
    await sink.commit([]);
    await epoch(sink, rig, 2, people(5, 2000));
    await epoch(sink, rig, 3, people(0, 0));
    await sink.close();
    const rows = await fixture.rows();
    assert.deepEqual(numbers(rows, "id"), Array.from({ length: 2005 }, (_id, at) => at));
    assert.equal(rows.find((row) => row["id"] === "2004")?.["name"], "näme 2004");
  });

  test("holds every value exactly", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    const kept = VALUES.filter(({ name }) => suite.inexact?.[name] === undefined);
    const list = kept.map(({ name, sql }) => `${sql} AS ${name}`).join(", ");
    const nulls = kept.map(() => "NULL").join(", ");
    const rejected = await epoch(
      sink,
      rig,
      1,
      `SELECT 1 AS id, ${list} UNION ALL SELECT 2 AS id, ${nulls}`,
    );
    assert.deepEqual(await rig.refused(rejected), []);
    await sink.close();
    const rows = await fixture.rows();
    const row = (id: string) => rows.find((candidate) => candidate["id"] === id);
    for (const value of kept) {
      assert.equal(
        canonical(value.kind, row("1")?.[value.name] ?? null),
        canonical(value.kind, value.text),
        value.name,
      );
      assert.equal(row("2")?.[value.name] ?? null, null, `${value.name}: NULL`);
    }
  });

  test("takes NUL characters, or refuses just their rows", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    const rejected = await epoch(
      sink,
      rig,
      1,
      "SELECT 1 AS id, 'a' || chr(0) || 'b' AS t UNION ALL SELECT 2, 'fine'",
    );
    await sink.close();
    const texts = (await fixture.rows()).map((row) => row["t"]).sort();
    if (suite.nul === "refused") {
      assert.deepEqual((await rig.refused(rejected)).map(({ row }) => row), [0]);
      assert.deepEqual(texts, ["fine"]);
    } else {
      assert.deepEqual(await rig.refused(rejected), []);
      assert.deepEqual(texts, ["a\u0000b", "fine"]);
    }
  });

  test("stops when it is aborted, and goes on after that", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await sink.begin(1);
    const batch = await rig.batch(people(0, 3));
    const stopped = AbortSignal.abort(new Error("stopped"));
    await assert.rejects(sink.write(batch, rig.session, stopped));
    await sink.abort();
    await epoch(sink, rig, 2, people(0, 3));
    await sink.close();
    assert.deepEqual(numbers(await fixture.rows(), "id"), [0, 1, 2]);
  });

  test("makes no table when it may not", async (fixture, rig) => {
    // A database that is a file is there, but the table is not.
    const first = await open(fixture, rig);
    await first.begin(1);
    await first.commit([{ ...MOVE, expected: null, to: "1" }]);
    await first.close();
    const sink = await open(fixture, rig, { create: false });
    assert.equal(await sink.columns(), undefined);
    await assert.rejects(epoch(sink, rig, 1, people(0, 1)), { code: "target_table_missing" });
    await sink.abort();
    await sink.close();
  }, suite.noSchema);

  test("tells the target's columns", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    assert.equal(await sink.columns(), undefined);
    await epoch(sink, rig, 1, people(0, 1));
    assert.deepEqual((await sink.columns())?.map(({ name }) => name), ["id", "name"]);
    await sink.close();
  }, suite.noSchema);

  test(
    "refuses a column that the target lacks at first, and adds it later",
    async (fixture, rig) => {
      const first = await open(fixture, rig);
      await epoch(first, rig, 1, people(0, 1));
      await first.close();
      // Another pipeline, which has written nothing yet.
      const sink = fixture.sink();
      await sink.open(rig.sinkContext({ exactlyOnce, pipeline: "another" }), never);
      await assert.rejects(epoch(sink, rig, 1, "SELECT 1 AS id, 'x' AS nam"), (error) => {
        assert.ok(error instanceof Error);
        assert.equal((error as { code?: unknown }).code, "target_column_unknown");
        assert.match(error.message, /nam/);
        return true;
      });
      await sink.abort();
      await epoch(sink, rig, 2, people(1, 1));
      await epoch(sink, rig, 3, "SELECT 2 AS id, 'c' AS name, 'new' AS extra");
      await sink.close();
      const rows = await fixture.rows();
      assert.deepEqual(numbers(rows, "id"), [0, 1, 2]);
      assert.equal(rows.find((row) => row["id"] === "2")?.["extra"], "new");
      assert.equal(rows.find((row) => row["id"] === "1")?.["extra"] ?? null, null);
    },
    suite.noSchema,
  );

  test("returns the rows that do not fit, and writes the others", async (fixture, rig) => {
    const first = await open(fixture, rig);
    await epoch(first, rig, 1, "SELECT 0::BIGINT AS id, 0::INTEGER AS n");
    await first.close();
    // Without create the table stays as it is.
    const sink = await open(fixture, rig, { create: false });
    const rejected = await epoch(
      sink,
      rig,
      2,
      "SELECT * FROM (VALUES ('1', '10'), ('x', '11'), ('3', '1.5'), ('4', '99999999999999999999'), " +
        "('5', '-7'), ('99999999999999999999', '1')) v(id, n)",
    );
    const refused = await rig.refused(rejected);
    assert.deepEqual(refused.map(({ row }) => row), [1, 2, 3, 5]);
    for (const { error } of refused) assert.match(error, /"(id|n)"/);
    await sink.close();
    const rows = await fixture.rows();
    assert.deepEqual(numbers(rows, "id"), [0, 1, 5]);
    assert.deepEqual(numbers(rows, "n"), [-7, 0, 10]);
  }, suite.noSchema);

  if (suite.noSchema === undefined) {
    wideningTests((name, run, ...lacks) => test(name, run, suite.noWidening, ...lacks), {
      open,
      epoch,
      ...(suite.noMerge === undefined ? {} : { noMerge: suite.noMerge }),
    });
  }

  test("merges by key, the last row of a key in a batch counts", async (fixture, rig) => {
    const sink = await open(fixture, rig, { mode: "merge", keys: ["id"] });
    await epoch(
      sink,
      rig,
      1,
      "SELECT * FROM (VALUES (1, 'a', 'x'), (2, 'b', 'x'), (1, 'c', 'y'), (1, 'd', NULL)) v(id, name, more)",
    );
    const rejected = await epoch(
      sink,
      rig,
      2,
      "SELECT * FROM (VALUES (2, 'B'), (3, 'e'), (NULL, 'f')) v(id, name)",
    );
    assert.deepEqual((await rig.refused(rejected)).map(({ row }) => row), [2]);
    await sink.close();
    const rows = (await fixture.rows()).map((row) => [row["id"], row["name"], row["more"] ?? null]);
    assert.deepEqual(rows.sort((a, b) => Number(a[0]) - Number(b[0])), [
      ["1", "d", null],
      ["2", "B", "x"],
      ["3", "e", null],
    ]);
  }, suite.noMerge);

  test("merges the same rows again without a change", async (fixture, rig) => {
    for (const run of [1, 2]) {
      const sink = await open(fixture, rig, { mode: "merge", keys: ["id"] });
      await epoch(sink, rig, run, people(0, 50));
      await sink.close();
    }
    assert.deepEqual(
      numbers(await fixture.rows(), "id"),
      Array.from({ length: 50 }, (_i, at) => at),
    );
  }, suite.noMerge);

  const { notTransactional } = suite;

  test("leaves nothing behind when it is aborted", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await epoch(sink, rig, 1, people(0, 2));
    await sink.begin(2);
    await sink.write(await rig.batch(people(2, 5)), rig.session, never);
    await sink.abort();
    await sink.begin(3);
    await sink.write(await rig.batch(people(2, 1)), rig.session, never);
    await sink.close();
    assert.deepEqual(numbers(await fixture.rows(), "id"), [0, 1]);
  }, notTransactional);

  test("keeps offsets with the rows, for the next process too", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    assert.deepEqual(await sink.storedOffsets(), []);
    await epoch(sink, rig, 1, people(0, 1), [{ ...MOVE, expected: null, to: "1" }]);
    assert.deepEqual(await sink.storedOffsets(), [{ ...MOVE, position: "1" }]);
    const other = { sourceId: "it's/ünïque", partition: "a/b.csv" };
    await epoch(sink, rig, 2, people(1, 1), [
      { ...MOVE, expected: "1", to: "2;4096" },
      { ...other, expected: null, to: "7;done" },
    ]);
    await sink.close();
    const again = await open(fixture, rig);
    assert.deepEqual(byPartition(await again.storedOffsets()), [
      { ...MOVE, position: "2;4096" },
      { ...other, position: "7;done" },
    ]);
    await again.close();
    const stranger = fixture.sink();
    await stranger.open(rig.sinkContext({ exactlyOnce, pipeline: "another" }), never);
    assert.deepEqual(await stranger.storedOffsets(), []);
    await stranger.close();
  }, notTransactional);

  test("commits offsets without rows", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await sink.begin(1);
    await sink.commit([{ ...MOVE, expected: null, to: "9" }]);
    assert.deepEqual(await sink.storedOffsets(), [{ ...MOVE, position: "9" }]);
    await sink.close();
  }, notTransactional);

  test("refuses to commit when another process has moved the offsets", async (fixture, rig) => {
    const [a, b] = [await open(fixture, rig), await open(fixture, rig)];
    await epoch(a, rig, 1, people(0, 1), [{ ...MOVE, expected: null, to: "1" }]);
    await assert.rejects(
      epoch(b, rig, 1, people(0, 1), [{ ...MOVE, expected: null, to: "1" }]),
      { code: "offset_fenced", retryable: true },
    );
    await b.abort();
    await epoch(b, rig, 2, people(1, 1), [{ ...MOVE, expected: "1", to: "2" }]);
    await assert.rejects(
      epoch(a, rig, 2, people(1, 1), [{ ...MOVE, expected: "1", to: "2" }]),
      { code: "offset_fenced" },
    );
    await a.abort();
    // Another partition is none of its business.
    await epoch(a, rig, 3, people(2, 1), [
      { ...MOVE, partition: "1", expected: null, to: "1" },
    ]);
    assert.deepEqual(byPartition(await a.storedOffsets()).map(({ position }) => position), [
      "2",
      "1",
    ]);
    await a.close();
    await b.close();
    assert.deepEqual(numbers(await fixture.rows(), "id"), [0, 1, 2]);
  }, notTransactional);

  test("keeps dead letters with the rows, one per id", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await sink.begin(1);
    await sink.write(await rig.batch(people(0, 1)), rig.session, never);
    await sink.writeDeadLetters?.("bad_rows", [letter(3), letter(4)]);
    await sink.commit([{ ...MOVE, expected: null, to: "5" }]);
    await sink.begin(2);
    await sink.writeDeadLetters?.("bad_rows", [letter(4), letter(5)]);
    await sink.commit([{ ...MOVE, expected: "5", to: "6" }]);
    await sink.begin(3);
    await sink.writeDeadLetters?.("bad_rows", [letter(6)]);
    await sink.abort();
    await sink.close();
    assert.deepEqual((await fixture.deadLetterIds?.("bad_rows"))?.sort(), [
      "orders/0/3",
      "orders/0/4",
      "orders/0/5",
    ]);
  }, notTransactional);

  test("makes rows durable before write returns", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await sink.begin(1);
    await sink.write(await rig.batch(people(0, 3)), rig.session, never);
    assert.deepEqual(numbers(await fixture.rows(), "id"), [0, 1, 2]);
    await sink.abort();
    assert.deepEqual(await sink.storedOffsets(), []);
    await sink.close();
  }, exactlyOnce ? "it is transactional" : undefined);
}

function people(from: number, count: number): string {
  return `SELECT i AS id, 'näme ' || i AS name FROM range(${from}, ${from + count}) r(i)`;
}

async function epoch(
  sink: Sink,
  rig: EngineRig,
  number: number,
  query: string,
  moves: Parameters<Sink["commit"]>[0] = [],
): Promise<RejectedRows | undefined> {
  await sink.begin(number);
  const rejected = await sink.write(await rig.batch(query), rig.session, never);
  await sink.commit(moves);
  return rejected;
}

function numbers(rows: readonly Record<string, string | null>[], column: string): number[] {
  return rows.map((row) => Number(row[column])).sort((a, b) => a - b);
}

function byPartition(offsets: readonly StoredOffset[]): StoredOffset[] {
  const key = ({ sourceId, partition }: StoredOffset) =>
    `${sourceId === "orders" ? 0 : 1}${partition}`;
  return offsets.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function letter(offset: number): DeadLetter {
  return {
    id: `orders/0/${offset}`,
    pipeline: "conformance",
    stage: "decode",
    error: "it's not JSON",
    sourceId: "orders",
    partition: "0",
    offset: BigInt(offset),
    attempt: 1,
    failedAtMs: 1_700_000_000_000,
    eventTimeMicros: null,
    payloadFormat: "json",
    payload: Uint8Array.of(0xff, 0, 0x41),
    key: null,
  };
}
