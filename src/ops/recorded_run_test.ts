import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import type { Observation } from "../core/observation.ts";
import type { RunLog, TargetOutcome } from "../core/run_log.ts";
import { retryWaitMs } from "./attempt_count.ts";
import { FakeClock } from "./fake_clock.ts";
import { HEARTBEAT_MS } from "./heartbeat.ts";
import { LenientRunLog } from "./lenient_run_log.ts";
import { MemoryRunLog } from "./memory_run_log.ts";
import { type Execute, RecordedRun, type RecordedRunContext, runByHand } from "./recorded_run.ts";

const retry = { maxAttempts: 3, backoffSeconds: 30, backoffFactor: 2 };
const orders = { name: "orders", retry };
const target: TargetOutcome = {
  target: "shop.orders",
  mode: "merge",
  path: "same_db",
  rowsInserted: 3,
  rowsUpdated: 1,
};

const away = () =>
  new FlowError("the database is away", {
    code: "database_unreachable",
    domain: "external",
    retryable: true,
    hint: "start it",
  });

interface Rig extends RecordedRunContext {
  readonly clock: FakeClock;
  readonly observations: Observation[];
  readonly stop: AbortController;
}

function rig(runLog: RunLog = new MemoryRunLog()): Rig {
  const observations: Observation[] = [];
  const stop = new AbortController();
  return {
    runLog,
    clock: new FakeClock("2026-05-01T12:00:00.000Z"),
    observe: (observation) => observations.push(observation),
    observations,
    signal: stop.signal,
    stop,
  };
}

/** Fails so many times, then succeeds. */
function failing(times: number, error: () => FlowError = away): Execute & { attempts: number[] } {
  const attempts: number[] = [];
  const execute: Execute = ({ attempt }) => {
    attempts.push(attempt);
    if (attempts.length <= times) return Promise.reject(error());
    return Promise.resolve({ targets: [target], notices: ["column note is new"] });
  };
  return Object.assign(execute, { attempts });
}

async function texts(runLog: RunLog, runId: string): Promise<string[]> {
  return (await runLog.lines(runId)).map(({ level, text }) => `${level} ${text}`);
}

Deno.test("a run is recorded with its outcome and its lines", async () => {
  const context = rig();
  const { runLog, clock } = context;
  const { record, notices, gaveUp } = await clock.drive(runByHand(
    orders,
    async () => {
      await clock.sleep(1500);
      return { targets: [target], notices: ["column note is new"] };
    },
    context,
  ));
  assert.equal(gaveUp, false);
  assert.deepEqual(notices, ["column note is new"]);
  assert.deepEqual(record, {
    runId: "orders-20260501T120000-1",
    pipeline: "orders",
    status: "success",
    attempt: 1,
    startedAt: "2026-05-01T12:00:00.000Z",
    finishedAt: "2026-05-01T12:00:01.500Z",
    targets: [target],
  });
  assert.deepEqual(await runLog.show(record.runId), record);
  assert.deepEqual(await texts(runLog, record.runId), [
    "info started, attempt 1 of 3",
    "warning column note is new",
    "info shop.orders: merge (same_db), 3 inserted, 1 updated",
    "info succeeded in 1.5 s",
  ]);
});

Deno.test("a load of which nobody knows whether it was committed is not made again by itself", async () => {
  const unknown = () =>
    new FlowError("whether the rows are there is not known", {
      code: "commit_unresolved",
      domain: "external",
    });
  const context = rig();
  const execute = failing(1, unknown);
  const { record, gaveUp } = await context.clock.drive(runByHand(orders, execute, context));
  assert.deepEqual(execute.attempts, [1]);
  assert.equal(record.error?.code, "commit_unresolved");
  assert.equal(gaveUp, false);
});

Deno.test("what may heal is tried again, after waits that grow", async () => {
  const context = rig();
  const { runLog, clock, observations } = context;
  const execute = failing(2);
  const { record } = await clock.drive(runByHand(orders, execute, context));
  assert.deepEqual(execute.attempts, [1, 2, 3]);
  assert.equal(record.status, "success");
  assert.equal(record.startedAt, "2026-05-01T12:01:30.000Z");
  const runs = await runLog.list({ pipeline: "orders", limit: 10 });
  assert.deepEqual(runs.map(({ status, attempt }) => `${status} ${attempt}`), [
    "success 3",
    "failed 2",
    "failed 1",
  ]);
  assert.deepEqual(await texts(runLog, "orders-20260501T120000-1"), [
    "info started, attempt 1 of 3",
    "error failed (database_unreachable): the database is away",
    "error hint: start it",
    "warning attempt 2 of 3 follows in 30 s",
  ]);
  assert.equal(await runLog.attemptState("orders"), undefined);
  assert.deepEqual(observations.map(({ kind }) => kind), [
    "pipeline_firing",
    "retrying",
    "pipeline_firing",
    "retrying",
    "pipeline_firing",
    "pipeline_succeeded",
  ]);
});

Deno.test("it gives up when all attempts have failed; a run by hand begins anew", async () => {
  const context = rig();
  const { runLog, clock } = context;
  const end = await clock.drive(runByHand(orders, failing(3), context));
  assert.equal(end.record.status, "failed");
  assert.equal(end.record.error?.code, "database_unreachable");
  assert.equal(end.gaveUp, true);
  assert.deepEqual(await runLog.attemptState("orders"), {
    attemptCount: 3,
    lastAttemptAt: "2026-05-01T12:01:30.000Z",
    gaveUp: true,
  });
  const execute = failing(0);
  const again = await clock.drive(runByHand(orders, execute, context));
  assert.deepEqual(execute.attempts, [1]);
  assert.equal(again.record.status, "success");
  assert.equal(await runLog.attemptState("orders"), undefined);
});

Deno.test("a pipeline of one attempt never gives up", async () => {
  const context = rig();
  const single = { ...orders, retry: { ...retry, maxAttempts: 1 } };
  const end = await context.clock.drive(runByHand(single, failing(1), context));
  assert.equal(end.gaveUp, false);
  assert.equal((await context.runLog.attemptState("orders"))?.gaveUp, false);
});

Deno.test("what only a person can mend is not tried again, and does not latch", async () => {
  const context = rig();
  const broken = () => new FlowError("no such column", { code: "query_invalid", domain: "user" });
  const execute = failing(5, broken);
  const end = await context.clock.drive(runByHand(orders, execute, context));
  assert.deepEqual(execute.attempts, [1]);
  assert.equal(end.record.error?.code, "query_invalid");
  assert.equal(end.gaveUp, false);
  assert.deepEqual(await context.runLog.attemptState("orders"), {
    attemptCount: 1,
    lastAttemptAt: context.clock.iso,
    gaveUp: false,
  });
});

Deno.test("a wait is at most an hour", () => {
  const waits = [1, 2, 3, 10, 1000].map((attempt) => retryWaitMs(retry, attempt));
  assert.deepEqual(waits, [30_000, 60_000, 120_000, 3_600_000, 3_600_000]);
});

Deno.test("targets that got their rows are in the record of a failed attempt", async () => {
  const context = rig();
  const { record } = await context.clock.drive(runByHand(
    { ...orders, retry: { ...retry, maxAttempts: 1 } },
    () => Promise.resolve({ targets: [target], notices: [], error: away() }),
    context,
  ));
  assert.equal(record.status, "failed");
  assert.deepEqual(record.targets, [target]);
});

Deno.test("a stop ends the wait for the next attempt", async () => {
  const context = rig();
  const { clock, stop, runLog } = context;
  const execute = failing(3);
  const running = runByHand(orders, (attempt) => {
    // Aborted while it waits: after this attempt has failed.
    clock.sleep(1000).then(() => stop.abort("drain"));
    return execute(attempt);
  }, context);
  const end = await clock.drive(running);
  assert.deepEqual(execute.attempts, [1]);
  assert.equal(end.record.error?.code, "database_unreachable");
  assert.equal((await runLog.attemptState("orders"))?.nextEligibleAt, "2026-05-01T12:00:30.000Z");
});

Deno.test("a run that is stopped under way says so", async () => {
  const context = rig();
  const { record, gaveUp } = await context.clock.drive(runByHand(orders, () => {
    context.stop.abort("now");
    return Promise.reject("now");
  }, context));
  assert.equal(record.status, "failed");
  assert.equal(record.error?.code, "run_stopped");
  assert.equal(gaveUp, false);
  assert.equal((await context.runLog.list({ limit: 10 })).length, 1);
});

Deno.test("runs that start in the same second get ids of their own", async () => {
  const context = rig();
  const ids: string[] = [];
  for (let run = 0; run < 3; run += 1) {
    ids.push((await context.clock.drive(runByHand(orders, failing(0), context))).record.runId);
  }
  assert.deepEqual(ids, [
    "orders-20260501T120000-1",
    "orders-20260501T120000-1-2",
    "orders-20260501T120000-1-3",
  ]);
});

Deno.test("a scheduled run goes on counting where a process before has failed", async () => {
  const context = rig();
  const { clock, runLog } = context;
  const slot = "2026-05-01T12:00:00.000Z";
  const first = await RecordedRun.scheduled(orders, context, slot);
  assert.equal((await clock.drive(first.attempt(failing(1)))).is, "retry");
  // Here the process ends, and another one takes over.
  clock.set("2026-05-01T12:05:00Z");
  const second = await RecordedRun.scheduled(orders, context, slot);
  const execute = failing(1);
  assert.equal((await clock.drive(second.attempt(execute))).is, "retry");
  assert.deepEqual(execute.attempts, [2]);
  assert.equal((await runLog.attemptState("orders"))?.attemptCount, 2);
});

Deno.test("of two processes at one time of the schedule one runs", async () => {
  const context = rig();
  const { clock } = context;
  const slot = "2026-05-01T12:00:00.000Z";
  const [one, two] = [
    await RecordedRun.scheduled(orders, context, slot),
    await RecordedRun.scheduled(orders, context, slot),
  ];
  const slow: Execute = async () => {
    await clock.sleep(1000);
    return { targets: [], notices: [] };
  };
  const ends = await clock.drive(Promise.all([one.attempt(slow), two.attempt(slow)]));
  assert.deepEqual(ends.map(({ is }) => is), ["succeeded", "taken"]);
  const late = await RecordedRun.scheduled(orders, context, slot);
  assert.equal((await clock.drive(late.attempt(slow))).is, "taken");
});

Deno.test("a long run gives signs of life, and one that fell silent is closed as failed", async () => {
  const context = rig();
  const { clock, runLog } = context;
  const slot = "2026-05-01T12:00:00.000Z";
  await runLog.start({
    runId: "killed",
    pipeline: "orders",
    status: "running",
    attempt: 1,
    scheduledFor: slot,
    startedAt: slot,
    targets: [],
  });
  await runLog.heartbeat("killed", "2026-05-01T12:01:00.000Z");
  clock.set("2026-05-01T12:03:00Z");
  await RecordedRun.scheduled(orders, context, slot);
  assert.equal((await runLog.show("killed"))?.status, "running");

  clock.set("2026-05-01T12:04:01Z");
  const run = await RecordedRun.scheduled(orders, context, slot);
  const killed = await runLog.show("killed");
  assert.equal(killed?.status, "failed");
  assert.equal(killed?.error?.code, "run_interrupted");
  assert.equal(killed?.finishedAt, "2026-05-01T12:01:00.000Z");
  const end = await clock.drive(run.attempt(async ({ attempt }) => {
    assert.equal(attempt, 2, "the killed attempt counts");
    await clock.sleep(10 * HEARTBEAT_MS + 1);
    const [running] = await runLog.list({ status: "running", limit: 1 });
    assert.equal(Date.parse(running?.heartbeatAt ?? "") > clock.now() - HEARTBEAT_MS, true);
    return { targets: [], notices: [] };
  }));
  assert.equal(end.is, "succeeded");
});

/** A memory log that can be away. */
class ShakyRunLog extends MemoryRunLog {
  isAway = false;
  asked = 0;

  override claim(record: Parameters<MemoryRunLog["claim"]>[0]): Promise<boolean> {
    return this.#here() ?? super.claim(record);
  }
  override start(record: Parameters<MemoryRunLog["start"]>[0]): Promise<void> {
    return this.#here() ?? super.start(record);
  }
  override finish(record: Parameters<MemoryRunLog["finish"]>[0]): Promise<void> {
    return this.#here() ?? super.finish(record);
  }
  override append(...args: Parameters<MemoryRunLog["append"]>): Promise<void> {
    return this.#here() ?? super.append(...args);
  }
  override list(...args: Parameters<MemoryRunLog["list"]>): ReturnType<MemoryRunLog["list"]> {
    return this.#here() ?? super.list(...args);
  }

  #here(): Promise<never> | undefined {
    this.asked += 1;
    if (!this.isAway) return undefined;
    return Promise.reject(
      new FlowError("cannot write to the run log 'x': disk full", {
        code: "run_log_unavailable",
        domain: "external",
        retryable: true,
      }),
    );
  }
}

Deno.test("a run log that fails under way is told once, fails no run, and gets the rest later", async () => {
  const shaky = new ShakyRunLog();
  const warnings: string[] = [];
  const clock = new FakeClock("2026-05-01T12:00:00.000Z");
  const log = new LenientRunLog(shaky, { clock, warn: (message) => warnings.push(message) });
  const context = { ...rig(log), clock };
  const { record } = await clock.drive(runByHand(orders, async ({ attempt }) => {
    shaky.isAway = true;
    await clock.sleep(1000);
    if (attempt === 1) throw away();
    return { targets: [target], notices: [] };
  }, context));
  assert.equal(record.status, "success");
  assert.equal(record.attempt, 2);
  assert.deepEqual(warnings, [
    "cannot write to the run log 'x': disk full. Continuing without durable run history",
  ]);
  assert.ok(shaky.asked < 10, "it is left alone for a while");
  assert.equal((await log.show(record.runId))?.status, "success");

  shaky.isAway = false;
  await log.close();
  const kept = await shaky.list({ limit: 10 });
  assert.deepEqual(kept.map(({ status, attempt }) => `${status} ${attempt}`), [
    "success 2",
    "failed 1",
  ]);
  assert.equal((await texts(shaky, record.runId)).at(-1), "info succeeded in 1.0 s");
});

Deno.test("while the run log is away, a time of the schedule is still run once by this process", async () => {
  const shaky = new ShakyRunLog();
  shaky.isAway = true;
  const clock = new FakeClock("2026-05-01T12:00:00.000Z");
  const log = new LenientRunLog(shaky, { clock, warn: () => {} });
  const context = { ...rig(log), clock };
  const slot = "2026-05-01T12:00:00.000Z";
  const ends = [];
  for (let process = 0; process < 2; process += 1) {
    const run = await RecordedRun.scheduled(orders, context, slot);
    ends.push((await clock.drive(run.attempt(failing(0)))).is);
  }
  assert.deepEqual(ends, ["succeeded", "taken"]);
  shaky.isAway = false;
  clock.set("2026-05-01T12:02:00Z");
  assert.equal((await log.list({ limit: 10 })).length, 1, "it has caught up before it answers");
  assert.equal((await shaky.list({ limit: 10 }))[0]?.status, "success");
});
