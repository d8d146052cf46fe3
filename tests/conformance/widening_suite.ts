import assert from "node:assert/strict";
import type { RejectedRows } from "../../src/core/batch.ts";
import type { Sink } from "../../src/core/sink.ts";
import type { EngineRig } from "./rig.ts";
import type { SinkAsk, SinkFixture } from "./sink_suite.ts";

/** What the sink suite lends to {@link wideningTests}. */
export interface WideningMeans {
  open(fixture: SinkFixture, rig: EngineRig, ask?: SinkAsk): Promise<Sink>;
  epoch(
    sink: Sink,
    rig: EngineRig,
    number: number,
    query: string,
  ): Promise<RejectedRows | undefined>;
  readonly noMerge?: string;
}

type Register = (
  name: string,
  run: (fixture: SinkFixture, rig: EngineRig) => Promise<void>,
  ...lacks: (string | undefined)[]
) => void;

/** A column by what it held first, what comes then, and the texts of both afterwards. */
const CHANGES: readonly {
  readonly name: string;
  readonly first: string;
  readonly then: string;
  readonly texts: readonly [first: string, then: string];
  /** Compared as numbers, which any database spells in its own way. */
  readonly numbers?: true;
}[] = [
  {
    name: "fraction",
    first: "7::BIGINT",
    then: "1.5::DOUBLE",
    texts: ["7", "1.5"],
    numbers: true,
  },
  {
    name: "long_then_fraction",
    first: "9007199254740993::BIGINT",
    then: "0.25::DOUBLE",
    texts: ["9007199254740993", "0.25"],
  },
  {
    name: "longer",
    first: "(-5)::BIGINT",
    then: "12345678901234567890123::DECIMAL(38,0)",
    texts: ["-5", "12345678901234567890123"],
  },
  {
    name: "more_digits",
    first: "0.1::DOUBLE",
    then: "1234567890123456789.25::DECIMAL(38,2)",
    texts: ["0.1", "1234567890123456789.25"],
  },
  { name: "number_then_text", first: "42::BIGINT", then: "'x1'", texts: ["42", "x1"] },
  { name: "leading_zeros", first: "7::BIGINT", then: "'007'", texts: ["7", "007"] },
  { name: "double_then_text", first: "2.5::DOUBLE", then: "'n/a'", texts: ["2.5", "n/a"] },
  { name: "boolean_then_text", first: "true", then: "'maybe'", texts: ["true", "maybe"] },
  { name: "boolean_then_number", first: "false", then: "3::BIGINT", texts: ["false", "3"] },
  {
    name: "time_then_text",
    first: "TIMESTAMPTZ '2024-01-02 03:04:05.5+00'",
    then: "'soon'",
    texts: ["2024-01-02T03:04:05.500000Z", "soon"],
  },
  {
    name: "text_then_object",
    first: "'plain'",
    then: "{'a': 1}",
    texts: ["plain", '{"a":1}'],
  },
  { name: "list_then_text", first: "[1, 2]", then: "'all'", texts: ["[1,2]", '"all"'] },
  { name: "number_then_list", first: "4::BIGINT", then: "[4]", texts: ["4", "[4]"] },
];

/** Registers the tests of columns whose type a target has to widen in mid-stream. */
export function wideningTests(test: Register, { open, epoch, noMerge }: WideningMeans): void {
  test("widens the columns that it made when values need it", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    const of = (side: "first" | "then") =>
      CHANGES.map((change) => `${change[side]} AS ${change.name}`).join(", ");
    const rowsOf = async (id: string) => {
      const row = (await fixture.rows()).find((candidate) => candidate["id"] === id);
      return (name: string) => row?.[name] ?? null;
    };
    assert.equal(await epoch(sink, rig, 1, `SELECT 1 AS id, ${of("first")}`), undefined);
    const rejected = await epoch(sink, rig, 2, `SELECT 2 AS id, ${of("then")}`);
    assert.deepEqual(await rig.refused(rejected), []);
    // The first type goes on fitting.
    assert.equal(await epoch(sink, rig, 3, `SELECT 3 AS id, ${of("first")}`), undefined);
    await sink.close();
    for (const [id, side] of [["1", 0], ["2", 1], ["3", 0]] as const) {
      const value = await rowsOf(id);
      for (const { name, texts, numbers } of CHANGES) {
        const found = value(name);
        const told = `${name} of row ${id}`;
        if (numbers === true) assert.equal(Number(found), Number(texts[side]), told);
        else assert.equal(canonical(found), canonical(texts[side]), told);
      }
    }
  });

  test("widens what it wrote in the same epoch, and for a later process", async (fixture, rig) => {
    const first = await open(fixture, rig);
    await first.begin(1);
    await first.write(await rig.batch("SELECT 1 AS id, 1::BIGINT AS n"), rig.session, never);
    await first.write(await rig.batch("SELECT 2 AS id, 'two' AS n"), rig.session, never);
    await first.write(await rig.batch("SELECT 3 AS id, 3::BIGINT AS n"), rig.session, never);
    await first.commit([{ sourceId: "orders", partition: "0", expected: null, to: "1" }]);
    await epoch(first, rig, 2, "SELECT 4 AS id, 'four' AS n, 1::BIGINT AS later");
    await first.close();
    const second = await open(fixture, rig);
    await epoch(second, rig, 1, "SELECT 5 AS id, '5' AS n, 'five' AS later");
    await second.close();
    const rows = (await fixture.rows()).map((row) => [row["id"], row["n"], row["later"] ?? null]);
    assert.deepEqual(rows.sort((a, b) => Number(a[0]) - Number(b[0])), [
      ["1", "1", null],
      ["2", "two", null],
      ["3", "3", null],
      ["4", "four", "1"],
      ["5", "5", "five"],
    ]);
  });

  test("takes a wider type back when the epoch is aborted", async (fixture, rig) => {
    const sink = await open(fixture, rig);
    await epoch(sink, rig, 1, "SELECT 1 AS id, 1::BIGINT AS n");
    const before = await sink.columns();
    await sink.begin(2);
    await sink.write(await rig.batch("SELECT 2 AS id, 'two' AS n"), rig.session, never);
    await sink.abort();
    assert.deepEqual(await sink.columns(), before);
    await epoch(sink, rig, 3, "SELECT 3 AS id, 'three' AS n");
    await sink.close();
    const rows = await fixture.rows();
    assert.deepEqual(rows.map((row) => row["n"]).sort(), ["1", "three"]);
  });

  test("keeps the types of a table that a person made", async (fixture, rig) => {
    await fixture.makeTable?.("id BIGINT, n BIGINT");
    const sink = await open(fixture, rig);
    await epoch(sink, rig, 1, "SELECT 1::BIGINT AS id, 1::BIGINT AS n");
    const rejected = await epoch(
      sink,
      rig,
      2,
      "SELECT * FROM (VALUES (2, 'two'), (3, '3')) v(id, n)",
    );
    assert.deepEqual((await rig.refused(rejected)).map(({ row }) => row), [0]);
    // A column that flow has added to it is flow's.
    await epoch(sink, rig, 3, "SELECT 4::BIGINT AS id, 4::BIGINT AS n, 4::BIGINT AS added");
    assert.equal(await epoch(sink, rig, 4, "SELECT 5::BIGINT AS id, 'five' AS added"), undefined);
    await sink.close();
    const rows = (await fixture.rows()).map((row) => [row["id"], row["n"], row["added"]]);
    assert.deepEqual(rows.sort((a, b) => Number(a[0]) - Number(b[0])), [
      ["1", "1", null],
      ["3", "3", null],
      ["4", "4", "4"],
      ["5", null, "five"],
    ]);
  });

  test("never widens the key of a merge", async (fixture, rig) => {
    const sink = await open(fixture, rig, { mode: "merge", keys: ["id"] });
    await epoch(sink, rig, 1, "SELECT 1::BIGINT AS id, 1::BIGINT AS n");
    const rejected = await epoch(
      sink,
      rig,
      2,
      "SELECT * FROM (VALUES ('1', 'one'), ('x', 'two')) v(id, n)",
    );
    assert.deepEqual((await rig.refused(rejected)).map(({ row }) => row), [1]);
    await sink.close();
    const rows = await fixture.rows();
    assert.deepEqual(rows.map((row) => [row["id"], row["n"]]), [["1", "one"]]);
  }, noMerge);
}

const never = new AbortController().signal;

/** JSON without the blanks that jsonb puts in, JSON strings without quotes, decimals without zeros at the end; other texts as they are. */
function canonical(text: string | null): string | null {
  if (text === null) return null;
  if (text.startsWith('"')) return JSON.parse(text) as string;
  if (/^[[{]/.test(text)) return JSON.stringify(JSON.parse(text));
  return /^-?\d+[.]\d+$/.test(text) ? text.replace(/[.]?0+$/, "") : text;
}
