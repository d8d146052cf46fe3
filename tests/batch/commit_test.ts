/** What becomes of a run whose COMMIT fails, or whose answer to it is lost: no rows are loaded twice, and the history tells the truth. */
import assert from "node:assert/strict";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { RunProgress } from "../../src/batch/run_progress.ts";
import { FlowError } from "../../src/core/error.ts";
import { MemoryRunLog } from "../../src/ops/memory_run_log.ts";
import { runByHand } from "../../src/ops/recorded_run.ts";
import {
  availableKinds,
  batchSpec,
  batchTarget,
  column,
  declaredTable,
  dependencies,
  newPlace,
  type Place,
  withScratch,
} from "./rig.ts";
import { COMMIT_FAILURE, UnsureCommits } from "./unsure_commit.ts";

const TABLE = declaredTable("dst", [column("id", "BIGINT")]);
const OTHER = { ...TABLE, ref: { name: "other" } };

function appending(place: Place) {
  return batchSpec(place, "SELECT id FROM src", [batchTarget(place, TABLE)]);
}

function onEach(
  name: string,
  work: (place: Place, deps: ReturnType<typeof dependencies>) => Promise<void>,
): void {
  for (const kind of availableKinds()) {
    Deno.test(`${name}, on ${kind}`, () =>
      withScratch(async (scratchDir) => {
        const place = await newPlace(kind, scratchDir);
        try {
          await place.run("CREATE TABLE src (id BIGINT)", "INSERT INTO src VALUES (1), (2)");
          await work(place, dependencies(scratchDir));
        } finally {
          await place.remove();
        }
      }));
  }
}

async function failure(work: Promise<unknown>): Promise<FlowError> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof FlowError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "the run did not fail" });
}

/** `success`, or `failed: …`, of each recorded run in its order. */
async function history(place: Place): Promise<string[]> {
  const hasSchemas = place.kind === "postgres" || place.kind === "duckdb";
  const table = hasSchemas ? "ematix_flow.run_history" : "ematix_flow_run_history";
  const rows = await place.rows(`SELECT status, error_message FROM ${table} ORDER BY started_at`);
  return rows.map((row) =>
    row["error_message"] === null
      ? String(row["status"])
      : `${String(row["status"])}: ${String(row["error_message"])}`
  );
}

async function ids(place: Place, table = "dst"): Promise<number[]> {
  // There is no table before the first commit.
  const rows = await place.rows(`SELECT id FROM ${table} ORDER BY id`).catch(() => []);
  return rows.map(({ id }) => Number(id));
}

for (const retryable of [true, false]) {
  onEach(
    `a COMMIT that fails on a living connection is a failure at once, ${
      retryable ? "retryable" : "not retryable"
    }`,
    async (place, deps) => {
      const unsure = new UnsureCommits(deps, ["refused"], { retryable });
      const error = await failure(runPipeline(appending(place), unsure.deps));
      assert.deepEqual([error.code, error.message], ["database_busy", COMMIT_FAILURE]);
      assert.equal(error.retryable, retryable);
      assert.deepEqual(await history(place), [`failed: ${COMMIT_FAILURE}`]);
      assert.deepEqual(await ids(place), []);
      await runPipeline(appending(place), unsure.deps);
      assert.deepEqual(await ids(place), [1, 2]);
    },
  );
}

onEach("a COMMIT whose answer is lost counts", async (place, deps) => {
  const unsure = new UnsureCommits(deps, ["done, answer lost"]);
  const { targets } = await runPipeline(appending(place), unsure.deps);
  assert.deepEqual(targets.map(({ rowsInserted }) => rowsInserted), [2]);
  assert.deepEqual(await ids(place), [1, 2]);
  assert.deepEqual(await history(place), ["success"]);
});

onEach("a COMMIT that never arrived is recorded as a failure", async (place, deps) => {
  const unsure = new UnsureCommits(deps, ["lost before"]);
  const error = await failure(runPipeline(appending(place), unsure.deps));
  assert.deepEqual([error.code, error.message], ["database_busy", COMMIT_FAILURE]);
  assert.deepEqual(await ids(place), []);
  assert.deepEqual(await history(place), [`failed: ${COMMIT_FAILURE}`]);
});

for (const fate of ["done, answer lost", "lost before"] as const) {
  onEach(
    `a COMMIT that nobody can tell of is loaded once in all (${fate})`,
    async (place, deps) => {
      const unsure = new UnsureCommits(deps, [fate], { awayAfter: true });
      const progress = new RunProgress();
      const first = await failure(runPipeline(appending(place), unsure.deps, { progress }));
      assert.deepEqual([first.code, first.retryable], ["commit_unresolved", false]);
      unsure.comeBack();
      const { targets } = await runPipeline(appending(place), unsure.deps, { progress });
      assert.deepEqual(targets.map(({ rowsInserted }) => rowsInserted), [2]);
      assert.deepEqual(await ids(place), [1, 2]);
      const failed = "failed: the process ended before the run did";
      assert.deepEqual(
        await history(place),
        fate === "lost before" ? [failed, "success"] : ["success"],
      );
    },
  );
}

/** While the COMMIT of the first target cannot be told of, the second fails in a way that a further attempt mends. */
onEach(
  "a further attempt for another target does not load one in doubt again",
  async (place, deps) => {
    const unsure = new UnsureCommits(deps, ["done, answer lost"], { awayAfter: true });
    const spec = batchSpec(place, "SELECT id FROM src", [
      batchTarget(place, TABLE),
      batchTarget(place, OTHER),
    ], { name: "fan", continueOnFailure: true });
    const progress = new RunProgress();
    const error = await failure(runPipeline(spec, unsure.deps, { progress }));
    assert.equal(error.code, "commit_unresolved");
    assert.equal(error.retryable, true, "the second target's server may come back");
    unsure.comeBack();
    await runPipeline(spec, unsure.deps, { progress });
    assert.deepEqual(await ids(place), [1, 2]);
    assert.deepEqual(await ids(place, "other"), [1, 2]);
  },
);

/** Whether the supervisor tries again or not: no attempt may double the rows. */
onEach(
  "a recorded run with retries loads once when its COMMIT cannot be told of",
  async (place, deps) => {
    const unsure = new UnsureCommits(deps, ["done, answer lost"], { awayAfter: true });
    const spec = {
      ...appending(place),
      retry: { maxAttempts: 3, backoffSeconds: 1, backoffFactor: 1 },
    };
    const progress = new RunProgress();
    const { clock, observe, signal } = unsure.deps;
    await runByHand(spec, async ({ attempt }) => {
      if (attempt > 1) unsure.comeBack();
      return await runPipeline(spec, unsure.deps, { progress });
    }, { runLog: new MemoryRunLog(), clock, observe, signal });
    assert.deepEqual(await ids(place), [1, 2]);
    assert.deepEqual(await history(place), ["success"]);
  },
);

/** Closing a session twice must do no harm: a run closes one whose COMMIT has failed itself. */
onEach("a session may be closed twice", async (place, deps) => {
  const session = await place.database.connect(deps.signal);
  assert.equal(await session.lock("flow:twice"), true);
  await session.close();
  await session.close();
});
