import assert from "node:assert/strict";
import { chartText, tableText } from "../../scripts/demo.ts";
import { valueIn } from "./pipelines.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const FLIGHTS = `${ROOT}node_modules/vega-datasets/data/flights-20k.json`;

interface Flight {
  readonly delay: number;
  readonly origin: string;
}

async function demo(): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "demo"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(code, 0, text(stderr));
  return { stdout: text(stdout), stderr: text(stderr) };
}

/** The origin with the largest mean delay among those with 200 flights and more, counted by hand. */
async function latestOrigin(): Promise<{ readonly origin: string; readonly line: RegExp }> {
  const byOrigin = new Map<string, number[]>();
  for (const { origin, delay } of JSON.parse(await Deno.readTextFile(FLIGHTS)) as Flight[]) {
    byOrigin.set(origin, [...byOrigin.get(origin) ?? [], delay]);
  }
  const means = [...byOrigin].filter(([, delays]) => delays.length >= 200).map(
    ([origin, delays]) => {
      const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
      const late = delays.filter((delay) => delay > 15).length / delays.length;
      return { origin, mean, late, flights: delays.length };
    },
  ).sort((a, b) => b.mean - a.mean);
  const [first] = means;
  assert(first !== undefined);
  const { origin, flights, late, mean } = first;
  const percent = Math.round(late * 100);
  return {
    origin,
    line: new RegExp(`^${origin} +${flights} +${percent} +${mean.toFixed(1)}$`, "m"),
  };
}

Deno.test("demo: runs, and runs afresh the second time, with the figures of the file", async () => {
  const { origin, line } = await latestOrigin();
  for (let run = 1; run <= 2; run += 1) {
    const { stdout, stderr } = await demo();
    assert.match(stderr, /^flights: batch 1: 5,000 rows read, 5,000 written, /m);
    assert.match(stderr, /^flights: done: 20,000 rows read, 20,000 written in /m);
    assert.match(stdout, line);
    assert.match(stdout, new RegExp(`^${origin}  █{40} `, "m"));
    assert.match(stdout, /^Try next:$/m);
  }
  const path = `${ROOT}.flow/demo/flights.duckdb`;
  const facts = `SELECT concat_ws(' ', count(*), min(departed_at), typeof(min(departed_at)))
    FROM flow_file.main.flights`;
  assert.equal(await valueIn(path, facts), "20000 2001-01-01 00:47:00 TIMESTAMP");
});

Deno.test("demo: tables align numbers to the right and texts to the left", () => {
  assert.equal(
    tableText(["name", "n"], [["a", "1"], ["bcdef", "-20.5"]]),
    "name       n\n─────  ─────\na          1\nbcdef  -20.5\n",
  );
  assert.equal(tableText(["a"], []), "a\n─\n");
});

Deno.test("demo: bars are as long as their values", () => {
  const chart = chartText([["A", 80], ["BB", 1], ["C", 0], ["D", -3]]);
  assert.equal(chart, `A   ${"█".repeat(40)} 80.0\nBB  ▌ 1.0\nC    0.0\nD    -3.0\n`);
  assert.equal(chartText([]), "");
});
