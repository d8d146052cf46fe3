import assert from "node:assert/strict";
import type { RunRecord } from "../core/run_log.ts";
import { asItStands, isAlive, listAsTheyStand } from "./abandoned_runs.ts";
import { FakeClock } from "./fake_clock.ts";
import { MemoryRunLog } from "./memory_run_log.ts";
import { runByHand } from "./recorded_run.ts";
import { statusRows } from "./status.ts";

const orders = { name: "orders", retry: { maxAttempts: 1, backoffSeconds: 0, backoffFactor: 1 } };

function running(runId: string, startedAt: string, pipeline = "orders"): RunRecord {
  return { runId, pipeline, status: "running", attempt: 1, startedAt, targets: [] };
}

Deno.test("a run that was killed is closed by the next one that succeeds, however soon", async () => {
  const runLog = new MemoryRunLog();
  const clock = new FakeClock("2026-05-01T12:00:05.000Z");
  const context = { runLog, clock, observe: () => {}, signal: new AbortController().signal };
  await runLog.start(running("killed", "2026-05-01T12:00:00.000Z"));
  await runLog.start(running("other", "2026-05-01T12:00:00.000Z", "users"));
  const fail = () => Promise.reject(new Error("it cannot"));
  await clock.drive(runByHand(orders, fail, context));
  assert.equal((await runLog.show("killed"))?.status, "running", "a failed run proves nothing");

  const end = await clock.drive(runByHand(orders, async () => {
    await clock.sleep(1000);
    // One that began later, and one of the same time that lives.
    await runLog.start(running("later", "2026-05-01T12:00:05.500Z"));
    await runLog.start(running("alive", "2026-05-01T12:00:01.000Z"));
    await runLog.heartbeat("alive", "2026-05-01T12:00:05.900Z");
    return { targets: [], notices: [] };
  }, context));
  assert.equal(end.record.status, "success");
  const killed = await runLog.show("killed");
  assert.equal(killed?.status, "failed");
  assert.equal(killed?.error?.code, "run_interrupted");
  assert.equal(killed?.finishedAt, "2026-05-01T12:00:00.000Z");
  assert.match((await runLog.lines("killed"))[0]?.text ?? "", /^failed: the process ended before/);
  for (const id of ["other", "later", "alive"]) {
    assert.equal((await runLog.show(id))?.status, "running", id);
  }
});

Deno.test("a run whose process is silent is told as failed, and stays as it is in the log", async () => {
  const runLog = new MemoryRunLog();
  const nowMs = Date.parse("2026-05-01T12:10:00Z");
  await runLog.start(running("silent", "2026-05-01T12:00:00.000Z"));
  await runLog.start(running("alive", "2026-05-01T12:00:01.000Z", "users"));
  await runLog.heartbeat("alive", "2026-05-01T12:09:50.000Z");
  await runLog.start({
    ...running("failed", "2026-05-01T12:00:02.000Z"),
    status: "failed",
    finishedAt: "2026-05-01T12:00:03.000Z",
  });
  const ids = async (status?: RunRecord["status"], limit = 10) => {
    const filter = { limit, ...(status === undefined ? {} : { status }) };
    const runs = await listAsTheyStand(runLog, filter, nowMs);
    return runs.map((run) => `${run.runId} ${run.status}`);
  };
  assert.deepEqual(await ids(), ["failed failed", "alive running", "silent failed"]);
  assert.deepEqual(await ids("failed"), ["failed failed", "silent failed"]);
  assert.deepEqual(await ids("failed", 1), ["failed failed"]);
  assert.deepEqual(await ids("running"), ["alive running"]);
  assert.deepEqual(await ids("success"), []);
  const silent = await runLog.show("silent");
  assert.equal(silent?.status, "running");
  assert.equal(silent !== undefined && isAlive(silent, nowMs), false);
  assert.equal(silent && asItStands(silent, nowMs).error?.code, "run_interrupted");
});

Deno.test("status tells the last run as it stands", async () => {
  const runLog = new MemoryRunLog();
  await runLog.start(running("silent", "2026-05-01T12:00:00.000Z"));
  const pipeline = { ...orders, timezone: "UTC", dependsOn: [] };
  const outcome = async (now: string) => {
    const [row] = await statusRows([pipeline], { runLog, nowMs: Date.parse(now) });
    return row?.lastRun?.status;
  };
  assert.equal(await outcome("2026-05-01T12:01:00Z"), "running");
  assert.equal(await outcome("2026-05-01T12:04:00Z"), "failed");
});
