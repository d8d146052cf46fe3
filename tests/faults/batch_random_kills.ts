import assert from "node:assert/strict";
import { type Ended, type Program, RunningFlow } from "../cli/flow_program.ts";
import { history } from "./batch_contents.ts";
import { connections, type Ends } from "./batch_pipelines.ts";

const ROWS = 200_000;
const KILLS = 10;
const PIPELINE = "large";
const TRIES_AFTER_KILLS = 20;

/**
 * Loads 200,000 rows again and again, now by `truncate`, now by `merge` with deletes, and kills the process at a random moment of it. Every load brings another
 * generation of rows, all of one number; the target never holds two.
 */
export async function killRandomly(
  program: Program,
  ends: Ends,
  directory: string,
): Promise<void> {
  const { from, to } = ends;
  await from.run(...largeSource());
  const start = async (generation: number): Promise<RunningFlow> => {
    await Deno.writeTextFile(`${directory}/large.toml`, definition(ends, generation));
    const args = ["run", "large.toml", "--run-log", "runs.db", "--format", "json"];
    return new RunningFlow(program, args, { cwd: directory });
  };
  const startedMs = performance.now();
  const first = await (await start(0)).ended();
  assert.equal(first.code, 0, first.stderr);
  const fullMs = performance.now() - startedMs;
  let held = await generationOf(ends);
  assert.equal(held, 0);

  let kills = 0;
  for (let generation = 1; generation <= KILLS; generation += 1) {
    const running = await start(generation);
    // From shortly after the start of the program to shortly after the end of the load.
    await killAfter(running, fullMs * (0.3 + 0.8 * Math.random()));
    if ((await running.ended()).code !== 0) kills += 1;
    const now = await generationOf(ends);
    assert.ok(now >= held && now <= generation, `${now} after ${held}, loading ${generation}`);
    held = now;
  }
  assert.ok(kills > 0, "no run was killed");

  const last = await withoutOthers(async () => await (await start(KILLS + 1)).ended());
  assert.equal(last.code, 0, last.stderr);
  assert.equal(await generationOf(ends), KILLS + 1);
  const runs = await history(to, PIPELINE);
  assert.equal(runs.at(-1), "success");
  const known = new Set(["success", "failed: the process ended before the run did"]);
  assert.deepEqual(runs.filter((run) => !known.has(run)), []);
}

async function killAfter(running: RunningFlow, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pause = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
  await Promise.race([pause, running.ended()]);
  clearTimeout(timer);
  try {
    running.signal("SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** A server may still work for a moment on the statement of a process that is gone, and hold its lock. */
async function withoutOthers(run: () => Promise<Ended>): Promise<Ended> {
  for (let tried = 1;; tried += 1) {
    const ended = await run();
    if (tried === TRIES_AFTER_KILLS || !ended.stderr.includes("pipeline_running")) return ended;
  }
}

/** The generation that the target holds, all of it and nothing else. */
async function generationOf({ to }: Ends): Promise<number> {
  const [row] = await to.rows(
    "SELECT min(generation) AS low, max(generation) AS high, count(*) AS n, count(DISTINCT id) AS d, sum(id) AS total FROM large_rows",
  );
  assert(row !== undefined);
  const generation = Number(row["low"]);
  assert.equal(Number(row["high"]), generation, "rows of one generation");
  const { count, sum } = figures(generation);
  assert.deepEqual([row["n"], row["d"], row["total"]].map(Number), [count, count, sum]);
  return generation;
}

/** How many rows a generation has, and the sum of their ids: every seventh is missing, each time another. */
function figures(generation: number): { readonly count: number; readonly sum: number } {
  let count = 0;
  let sum = 0;
  for (let id = 0; id < ROWS; id += 1) {
    if (id % 7 === generation % 7) continue;
    count += 1;
    sum += id;
  }
  return { count, sum };
}

function definition(ends: Ends, generation: number): string {
  const mode = generation % 2 === 0
    ? 'mode = "truncate"'
    : 'mode = "merge"\nhandle_deletes = "hard"';
  return `${connections(ends)}
[tables.large]
name = "large_rows"
[tables.large.columns]
id = { type = "bigint", primary_key = true }
generation = "integer"
filling = "string(100)"

[[pipeline]]
name = "${PIPELINE}"
target = "large"
${mode}
source = "SELECT id, ${generation} AS generation, filling FROM large_source WHERE id % 7 <> ${
    generation % 7
  }"
source_connection = "from"
target_connection = "to"
`;
}

/** Digits are put together to numbers: that every database can. */
function largeSource(): readonly string[] {
  const digits = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS n`).join(
    " UNION ALL ",
  );
  return [
    "CREATE TABLE large_source (id BIGINT PRIMARY KEY, filling VARCHAR(100))",
    `INSERT INTO large_source
     WITH d AS (${digits})
     SELECT a.n + 10 * b.n + 100 * c.n + 1000 * e.n + 10000 * f.n + 100000 * g.n,
       'forty characters of text that fill a row'
     FROM d AS a, d AS b, d AS c, d AS e, d AS f, d AS g WHERE g.n < 2`,
  ];
}
