/**
 * Runs of declared pipelines are killed with SIGKILL: at each step of a load, in every mode, within one database and between two; and at random moments of a load of
 * many rows. The target is as before or as after, never between, and the next run does its work.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { DatabaseKind } from "../../src/core/database.ts";
import { availableKinds, newPlace, withScratch } from "../batch/rig.ts";
import { type Ended, flow, type Program, PROGRAMS } from "../cli/flow_program.ts";
import { contents, history, snapshot } from "./batch_contents.ts";
import { killRandomly } from "./batch_random_kills.ts";
import {
  CHANGES,
  definition,
  type Ends,
  EXPECTED,
  type Mode,
  MODES,
  sourceStatements,
  tableOf,
} from "./batch_pipelines.ts";

/** The binary where there is one: it is what users have. */
const PROGRAM = PROGRAMS.at(-1) as Program;

/** Processes at a time: they are what the test takes its time for. */
const SIDE_BY_SIDE = 2;
const KILLED = 137;
/** Each run does again what the one before it could not; the last one has committed when it is killed. */
const STEPS = [
  "batch_after_start",
  "batch_after_ddl",
  "batch_after_load",
  "batch_before_commit",
  "batch_after_commit",
] as const;
const INTERRUPTED = "failed: the process ended before the run did";

/** For each target where the rows of another database come from; each kind is read once. */
const OTHERS: Readonly<Record<DatabaseKind, DatabaseKind>> = {
  postgres: "mysql",
  mysql: "postgres",
  sqlite: "duckdb",
  duckdb: "sqlite",
};

/** For the random kills; Postgres to Postgres has a way of its own, past the engine. */
const LARGE_SOURCES: Readonly<Record<DatabaseKind, DatabaseKind>> = {
  postgres: "postgres",
  mysql: "duckdb",
  sqlite: "postgres",
  duckdb: "mysql",
};

const kinds = availableKinds();

Deno.test(`killed at each step, every target is as before or as after (${PROGRAM.name})`, async () => {
  const cases = kinds.flatMap((target) =>
    [target, OTHERS[target]].filter((source) => kinds.includes(source))
      .map((source) => () => inPlaces(source, target, killAtEachStep))
  );
  await sideBySide(cases);
});

const largeTargets = kinds.filter((target) => kinds.includes(LARGE_SOURCES[target]));

Deno.test({
  name:
    `killed at random moments of a large load, every target is as before or as after (${PROGRAM.name})`,
  ignore: largeTargets.length === 0,
  fn: () =>
    sideBySide(largeTargets.map((target) => () =>
      inPlaces(
        LARGE_SOURCES[target],
        target,
        (ends, directory) => killRandomly(PROGRAM, ends, directory),
        "two databases",
      )
    )),
});

async function sideBySide(cases: readonly (() => Promise<void>)[]): Promise<void> {
  const left = [...cases];
  const failures: unknown[] = [];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      await next().catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures);
}

async function inPlaces(
  source: DatabaseKind,
  target: DatabaseKind,
  work: (ends: Ends, directory: string) => Promise<void>,
  way: "one database" | "two databases" = source === target ? "one database" : "two databases",
): Promise<void> {
  await withScratch(async (directory) => {
    const from = await newPlace(source, directory);
    const to = way === "one database" ? from : await newPlace(target, directory);
    try {
      await work({ from, to }, directory);
    } catch (error) {
      throw new Error(`${source} to ${target}, ${way}`, { cause: error });
    } finally {
      await from.remove();
      if (to !== from) await to.remove();
    }
  });
}

async function killAtEachStep(ends: Ends, directory: string): Promise<void> {
  const { from, to } = ends;
  await from.run(...sourceStatements(from.kind));
  await Deno.writeTextFile(`${directory}/1.toml`, definition(ends, 1));
  await Deno.writeTextFile(`${directory}/2.toml`, definition(ends, 2));
  const run = (args: readonly string[], failpoint = ""): Promise<Ended> =>
    flow(PROGRAM, args, { cwd: directory, env: { FLOW_FAILPOINT: failpoint } });
  const runAll = async (toml: string, ...runLog: readonly string[]) => {
    const at = ["--now", "2031-05-01T00:00:00Z"];
    const { code, stdout, stderr } = await run(["run-due", toml, ...at, ...runLog]);
    assert.equal(code, 0, stderr);
    assert.equal((JSON.parse(stdout) as { ran: unknown[] }).ran.length, MODES.length);
  };

  const { code: first } = await run(["run", "1.toml", "merge", "--no-run-log"], "batch_after_load");
  assert.equal(first, KILLED);
  await assertNoRows(ends, "merge");
  await runAll("1.toml", "--no-run-log");
  for (const mode of MODES) assert.deepEqual(await contents(to, mode), EXPECTED[mode].before, mode);

  await from.run(...CHANGES);
  for (const mode of MODES) {
    const before = await snapshot(to, mode);
    for (const step of STEPS) {
      const args = ["run", "2.toml", mode, "--run-log", "runs.db"];
      const { code, stderr } = await run(args, step);
      assert.equal(code, KILLED, `${mode}: ${step} was not reached: ${stderr}`);
      if (step !== "batch_after_commit") {
        assert.deepEqual(await snapshot(to, mode), before, `${mode}: ${step}`);
      }
    }
    assert.deepEqual(await contents(to, mode), EXPECTED[mode].after, mode);
  }

  letTimePass(`${directory}/runs.db`);
  await runAll("2.toml", "--run-log", "runs.db");
  for (const mode of MODES) {
    assert.deepEqual(await contents(to, mode), EXPECTED[mode].after, mode);
    assert.deepEqual(await history(to, mode), [
      ...(mode === "merge" ? [INTERRUPTED] : []),
      "success",
      ...STEPS.map((step) => step === "batch_after_commit" ? "success" : INTERRUPTED),
      "success",
    ], mode);
  }
  await assertRunLog((args) => run(args));
}

/** A first run that was killed leaves no table; where a table is there as soon as it was made, it is empty. */
async function assertNoRows({ to }: Ends, mode: Mode): Promise<void> {
  if (to.kind === "mysql") {
    assert.deepEqual(await to.rows(`SELECT * FROM ${tableOf(mode)}`), []);
  } else {
    await assert.rejects(to.rows(`SELECT * FROM ${tableOf(mode)}`), { code: "query_invalid" });
  }
}

/** Makes the running runs of the log older: a process counts as dead once it has been silent for long. */
function letTimePass(runLog: string): void {
  const database = new DatabaseSync(runLog);
  try {
    const earlier = new Date(Date.now() - 3_600_000).toISOString();
    database.prepare(
      "UPDATE run_records SET started_at = ?, heartbeat_at = NULL WHERE status = 'running'",
    ).run(earlier);
  } finally {
    database.close();
  }
}

async function assertRunLog(run: (args: readonly string[]) => Promise<Ended>): Promise<void> {
  const { stdout, stderr, code } = await run(
    ["runs", "list", "--format", "json", "--run-log", "runs.db", "--limit", "100"],
  );
  assert.equal(code, 0, stderr);
  const runs = JSON.parse(stdout) as {
    readonly pipeline: string;
    readonly status: string;
    readonly error?: { readonly code: string };
  }[];
  for (const mode of MODES) {
    assert.deepEqual(
      runs.filter(({ pipeline }) => pipeline === mode)
        .map(({ status, error }) => error === undefined ? status : `${status} ${error.code}`),
      // The newest first. That the last one had committed, only the target knows.
      ["success", ...STEPS.map(() => "failed run_interrupted")],
      mode,
    );
  }
}
