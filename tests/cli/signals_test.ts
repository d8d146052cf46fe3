import assert from "node:assert/strict";
import { systemClock } from "../../src/core/clock.ts";
import { openDuckdbFile } from "../../src/sql/duckdb_file.ts";
import { inDirectory, RunningFlow, testEach } from "./flow_program.ts";
import { ordersToDuckdb, valueIn } from "./pipelines.ts";

const ENDLESS = ordersToDuckdb("rate = 2000", "max_batch_wait_ms = 100");
const COUNT = "SELECT count(*) FROM flow_file.main.orders";

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  testEach(`the first ${signal} finishes the batch and ends with 0`, async (program) => {
    await inDirectory({ "p.toml": ENDLESS }, async (cwd) => {
      const running = new RunningFlow(program, ["consume", "p.toml", "--format", "json", "-v"], {
        cwd,
      });
      await running.saw(/"batch_committed".*\n[^]*"batch_committed"/);
      running.signal(signal);
      const { code, stdout, stderr } = await running.ended();
      assert.equal(code, 0, stderr);
      assert(stderr.includes(`{"message":"${signal}: finishing the batch under way; `), stderr);
      const result = JSON.parse(stdout);
      assert.equal(result.reason, "stopped");
      assert.equal(result.shutdown_triggered, true);
      assert(result.rows_written > 0);
      assert.equal(await valueIn(`${cwd}/out.duckdb`, COUNT), String(result.rows_written));
      const gaps = "SELECT max(id) - min(id) + 1 - count(DISTINCT id) FROM flow_file.main.orders";
      assert.equal(await valueIn(`${cwd}/out.duckdb`, gaps), "0");
    });
  });
}

testEach("a second signal stops at once, and the file stays whole", async (program) => {
  await inDirectory({ "p.toml": ENDLESS }, async (cwd) => {
    const running = new RunningFlow(program, ["consume", "p.toml", "-v"], { cwd });
    await running.saw(/batch 1: /);
    // Nobody else can open a DuckDB file that is open: the batch under way cannot be finished.
    const file = await openDuckdbFile({
      path: `${cwd}/out.duckdb`,
      access: "write",
      scratchDir: cwd,
      clock: systemClock,
      signal: new AbortController().signal,
    });
    try {
      await running.saw(/waiting for the DuckDB file 'out\.duckdb': another process has it open/);
      running.signal("SIGTERM");
      await running.saw(/SIGTERM: finishing the batch under way; a second signal stops at once\n/);
      running.signal("SIGTERM");
      const startedAt = performance.now();
      const { code, stdout, stderr } = await running.ended();
      assert.equal(code, 143, stderr);
      assert.equal(stdout, "");
      assert(performance.now() - startedAt < 4000);
      assert.match(stderr, /stopping at once; what is not committed will be read again\n/);
      assert.doesNotMatch(stderr, /^error:/m);
    } finally {
      await file.close();
    }
    assert(Number(await valueIn(`${cwd}/out.duckdb`, COUNT)) > 0);
  });
});

testEach("a reader that goes away is no error", async (program) => {
  const help = await new RunningFlow(program, ["help"], {}, "stdout").ended();
  assert.deepEqual(help, { code: 0, stdout: "", stderr: "" });
  await inDirectory({ "p.toml": ENDLESS }, async (cwd) => {
    const running = new RunningFlow(program, ["consume", "p.toml", "-v"], { cwd }, "stderr");
    const { code, stdout } = await running.ended();
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "" });
  });
});
