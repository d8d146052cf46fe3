import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import type { DueSummary } from "../core/batch_request.ts";
import type { Observation } from "../core/observation.ts";
import type { RunLog } from "../core/run_log.ts";
import type { DuePipeline } from "./due_plan.ts";
import { FakeClock } from "./fake_clock.ts";
import { MemoryRunLog } from "./memory_run_log.ts";
import { RecordedRun, runByHand } from "./recorded_run.ts";
import { runDue } from "./run_due.ts";
import { statusRows } from "./status.ts";

const once = { maxAttempts: 1, backoffSeconds: 0, backoffFactor: 1 };
const thrice = { maxAttempts: 3, backoffSeconds: 120, backoffFactor: 2 };

function pipeline(name: string, change: Partial<DuePipeline> = {}): DuePipeline {
  const timezone = change.timezone ?? "UTC";
  return {
    name,
    schedule: { cron: "0 * * * *", timezone },
    timezone,
    dependsOn: [],
    retry: once,
    ...change,
  };
}

const away = () =>
  new FlowError("the database is away", {
    code: "database_unreachable",
    domain: "external",
    retryable: true,
  });

/** Ticks of `flow run-due` on a clock that stands still, each by a process of its own. */
class Ticks {
  readonly clock = new FakeClock("2026-05-01T12:00:00.000Z");
  readonly observations: Observation[] = [];
  readonly fired: string[] = [];
  /** Errors of the next attempts, by pipeline. */
  readonly failing = new Map<string, FlowError[]>();
  stop = new AbortController();

  constructor(
    readonly pipelines: readonly DuePipeline[],
    readonly runLog: RunLog = new MemoryRunLog(),
  ) {}

  due(time?: string, broken: { name: string; error: FlowError }[] = []): Promise<DueSummary> {
    if (time !== undefined) this.clock.set(time);
    return runDue(this.pipelines, {
      nowMs: this.clock.now(),
      intervalSeconds: 60,
      runLog: this.runLog,
      clock: this.clock,
      observe: (observation) => this.observations.push(observation),
      signal: this.stop.signal,
      broken,
      execute: async ({ name }, { attempt }) => {
        this.fired.push(attempt === 1 ? name : `${name} ${attempt}`);
        await this.clock.sleep(1000);
        const error = this.failing.get(name)?.shift();
        if (error !== undefined) throw error;
        return { targets: [], notices: [] };
      },
    });
  }

  async tick(time?: string): Promise<string> {
    return told(await this.clock.drive(this.due(time)));
  }

  fail(name: string, times: number, error: () => FlowError = away): void {
    this.failing.set(name, Array.from({ length: times }, error));
  }
}

/** `ran a,b | failed c | skipped d (reason)`. */
function told({ ran, failed, skipped }: DueSummary): string {
  const parts = [
    ["ran", ran.map(({ record }) => record.pipeline)],
    ["failed", failed.map(({ record, gaveUp }) => record.pipeline + (gaveUp ? "!" : ""))],
    ["skipped", skipped.map(({ pipeline, reason }) => `${pipeline} (${reason})`)],
  ] as const;
  return parts.filter(([, names]) => names.length > 0)
    .map(([kind, names]) => `${kind} ${names.join(",")}`).join(" | ");
}

Deno.test("what is due runs once per time of its schedule, upstreams first", async () => {
  const ticks = new Ticks([
    pipeline("c", { dependsOn: ["b"] }),
    pipeline("b", { dependsOn: ["a"] }),
    pipeline("a"),
    pipeline("later", { schedule: { cron: "30 * * * *", timezone: "UTC" } }),
    pipeline("by_hand", {}),
  ].map((one) => one.name === "by_hand" ? withoutSchedule(one) : one));
  assert.equal(await ticks.tick("2026-05-01T12:00:00Z"), "ran a,b,c");
  assert.deepEqual(ticks.fired, ["a", "b", "c"]);
  assert.equal(await ticks.tick("2026-05-01T12:00:30Z"), "", "the same window again");
  assert.equal(await ticks.tick("2026-05-01T12:30:10Z"), "ran later");
  assert.equal(await ticks.tick("2026-05-01T13:00:00Z"), "ran a,b,c");
});

function withoutSchedule({ schedule: _, ...rest }: DuePipeline): DuePipeline {
  return rest;
}

Deno.test("what depends on a failed pipeline is skipped, and the history says why", async () => {
  const ticks = new Ticks([
    pipeline("a"),
    pipeline("b", { dependsOn: ["a"] }),
    pipeline("c", { dependsOn: ["b"] }),
    pipeline("other"),
  ]);
  await ticks.tick("2026-05-01T11:00:00Z");
  ticks.fail("a", 1);
  assert.equal(
    await ticks.tick("2026-05-01T12:00:00Z"),
    "ran other | failed a | skipped b (upstream not fresh: a),c (upstream not fresh: b)",
    "the success of 11:00 does not count any more",
  );
  const [skip] = await ticks.runLog.list({ pipeline: "b", limit: 1 });
  assert.equal(skip?.status, "skipped");
  assert.equal(skip?.reason, "upstream not fresh: a");
  assert.equal(skip?.scheduledFor, "2026-05-01T12:00:00.000Z");
  assert.deepEqual(
    ticks.observations.filter(({ kind }) => kind === "error" || kind === "pipeline_skipped")
      .map((one) => `${one.kind} ${one.pipeline}`),
    ["error a", "pipeline_skipped b", "pipeline_skipped c"],
  );
});

Deno.test("who waits for today's success of an upstream runs as soon as it is there", async () => {
  const ticks = new Ticks([
    pipeline("a", { schedule: { cron: "5 2 * * *", timezone: "UTC" } }),
    pipeline("b", { schedule: { cron: "0 2 * * *", timezone: "UTC" }, dependsOn: ["a"] }),
  ]);
  await ticks.tick("2026-04-30T02:05:00Z");
  assert.equal(await ticks.tick("2026-05-01T02:00:00Z"), "skipped b (upstream not fresh: a)");
  assert.equal(await ticks.tick("2026-05-01T02:01:00Z"), "", "told once");
  const [row] = await statusRows(ticks.pipelines.slice(1), {
    runLog: ticks.runLog,
    nowMs: ticks.clock.now(),
  });
  assert.deepEqual(row?.waitingOn, ["a"]);
  assert.equal(await ticks.tick("2026-05-01T02:05:00Z"), "ran a,b");
  const [run] = await ticks.runLog.list({ pipeline: "b", limit: 1 });
  assert.equal(run?.scheduledFor, "2026-05-01T02:00:00.000Z");
  assert.equal(await ticks.tick("2026-05-01T02:06:00Z"), "");
});

Deno.test("what was skipped yesterday is not made up for", async () => {
  const ticks = new Ticks([
    withoutSchedule(pipeline("a")),
    pipeline("b", { schedule: { cron: "0 22 * * *", timezone: "UTC" }, dependsOn: ["a"] }),
  ]);
  assert.equal(await ticks.tick("2026-05-01T22:00:00Z"), "skipped b (upstream not fresh: a)");
  ticks.clock.set("2026-05-02T01:00:00Z");
  await ticks.clock.drive(
    runByHand(pipeline("a"), () => Promise.resolve({ targets: [], notices: [] }), {
      runLog: ticks.runLog,
      clock: ticks.clock,
      observe: () => {},
      signal: ticks.stop.signal,
    }),
  );
  assert.equal(await ticks.tick("2026-05-02T01:01:00Z"), "");
});

Deno.test("today is that of the pipeline that waits", async () => {
  const berlin = { cron: "30 0 * * *", timezone: "Europe/Berlin" };
  const ticks = new Ticks([
    pipeline("a", { schedule: { cron: "0 21 * * *", timezone: "UTC" } }),
    pipeline("b", { schedule: berlin, timezone: "Europe/Berlin", dependsOn: ["a"] }),
  ]);
  await ticks.tick("2026-05-01T21:00:00Z");
  // 00:30 of 2 May in Berlin: the success at 23:00 was yesterday.
  assert.equal(await ticks.tick("2026-05-01T22:30:00Z"), "skipped b (upstream not fresh: a)");
});

Deno.test("with upstreamFreshnessSeconds the age of the success counts", async () => {
  const ticks = new Ticks([
    pipeline("a", { schedule: { cron: "0 9 * * *", timezone: "UTC" } }),
    pipeline("b", { dependsOn: ["a"], upstreamFreshnessSeconds: 7200 }),
  ]);
  assert.equal(await ticks.tick("2026-05-01T09:00:00Z"), "ran a,b");
  assert.equal(await ticks.tick("2026-05-01T11:00:00Z"), "ran b");
  assert.equal(await ticks.tick("2026-05-01T12:00:00Z"), "skipped b (upstream not fresh: a)");
});

Deno.test("while one waits for its next attempt others run", async () => {
  const ticks = new Ticks([
    pipeline("a", { retry: thrice }),
    pipeline("b", { dependsOn: ["a"] }),
    pipeline("other"),
  ]);
  ticks.fail("a", 2);
  assert.equal(await ticks.tick("2026-05-01T12:00:00Z"), "ran other,a,b");
  assert.deepEqual(ticks.fired, ["a", "other", "a 2", "a 3", "b"]);
  assert.equal(ticks.clock.iso, "2026-05-01T12:06:04.000Z");
});

Deno.test("all attempts that fail make it give up, until a run by hand succeeds", async () => {
  const ticks = new Ticks([pipeline("a", { retry: thrice })]);
  ticks.fail("a", 3);
  assert.equal(await ticks.tick("2026-05-01T12:00:00Z"), "failed a!");
  assert.equal(
    await ticks.tick("2026-05-01T13:00:00Z"),
    "skipped a (gave up after 3 retry attempts (max_attempts=3))",
  );
  assert.deepEqual(ticks.fired, ["a", "a 2", "a 3"]);
  await ticks.clock.drive(
    runByHand(pipeline("a"), () => Promise.resolve({ targets: [], notices: [] }), {
      runLog: ticks.runLog,
      clock: ticks.clock,
      observe: () => {},
      signal: ticks.stop.signal,
    }),
  );
  assert.equal(await ticks.tick("2026-05-01T14:00:00Z"), "ran a");
});

Deno.test("another process resumes the count of one that died between attempts", async () => {
  const ticks = new Ticks([
    pipeline("a", { retry: thrice, schedule: { cron: "*/2 * * * *", timezone: "UTC" } }),
  ]);
  const context = {
    runLog: ticks.runLog,
    clock: ticks.clock,
    observe: () => {},
    signal: ticks.stop.signal,
  };
  ticks.clock.set("2026-05-01T12:00:30Z");
  const dying = await RecordedRun.scheduled(
    ticks.pipelines[0] ?? pipeline("a"),
    context,
    "2026-05-01T12:00:00.000Z",
  );
  await dying.attempt(() => Promise.reject(away()));

  assert.equal(await ticks.tick("2026-05-01T12:01:30Z"), "", "not eligible, and not its time");
  assert.equal(
    await ticks.tick("2026-05-01T12:02:00Z"),
    "skipped a (retry backoff (attempt 1/3; next eligible at 2026-05-01T12:02:30Z))",
  );
  assert.equal(
    await ticks.tick("2026-05-01T12:02:20Z"),
    "skipped a (retry backoff (attempt 1/3; next eligible at 2026-05-01T12:02:30Z))",
  );
  const skips = await ticks.runLog.list({ status: "skipped", limit: 10 });
  assert.equal(skips.length, 1, "one reason is kept once per time of the schedule");
  assert.equal(await ticks.tick("2026-05-01T12:03:10Z"), "ran a");
  assert.deepEqual(ticks.fired, ["a 2"]);
  assert.equal(await ticks.tick("2026-05-01T12:04:00Z"), "ran a");
  assert.deepEqual(ticks.fired, ["a 2", "a"]);
});

Deno.test("a slot whose process was killed is run again once it has been silent", async () => {
  const ticks = new Ticks([pipeline("a", { retry: thrice })]);
  const slot = "2026-05-01T12:00:00.000Z";
  await ticks.runLog.claim({
    runId: "killed",
    pipeline: "a",
    status: "running",
    attempt: 1,
    scheduledFor: slot,
    startedAt: slot,
    targets: [],
  });
  assert.equal(await ticks.tick("2026-05-01T12:00:30Z"), "", "it may live");
  assert.equal(await ticks.tick("2026-05-01T12:04:00Z"), "ran a");
  assert.deepEqual(ticks.fired, ["a 2"]);
  assert.equal((await ticks.runLog.show("killed"))?.error?.code, "run_interrupted");
});

Deno.test("an error that only a person can mend is not retried in its slot, and tried at the next", async () => {
  const ticks = new Ticks([pipeline("a", { retry: thrice })]);
  ticks.fail(
    "a",
    1,
    () => new FlowError("no such table", { code: "query_invalid", domain: "user" }),
  );
  assert.equal(await ticks.tick("2026-05-01T12:00:00Z"), "failed a");
  assert.equal(await ticks.tick("2026-05-01T12:00:30Z"), "");
  assert.equal(await ticks.tick("2026-05-01T13:00:00Z"), "ran a");
  assert.deepEqual(ticks.fired, ["a", "a"]);
});

Deno.test("two processes at once run each time of the schedule once", async () => {
  const ticks = new Ticks([
    pipeline("a"),
    pipeline("b", { dependsOn: ["a"] }),
    pipeline("c"),
  ]);
  const both = await ticks.clock.drive(Promise.all([ticks.due(), ticks.due()]));
  assert.deepEqual(ticks.fired.toSorted(), ["a", "b", "c"]);
  const ran = both.flatMap((summary) => summary.ran.map(({ record }) => record.pipeline));
  assert.deepEqual(ran.toSorted(), ["a", "b", "c"]);
  assert.ok(both.every(({ failed }) => failed.length === 0));
});

Deno.test("a pipeline that still runs is not started on top of it", async () => {
  const ticks = new Ticks([pipeline("a", { schedule: { cron: "* * * * *", timezone: "UTC" } })]);
  await ticks.runLog.claim({
    runId: "a-20260501T120000-1",
    pipeline: "a",
    status: "running",
    attempt: 1,
    scheduledFor: "2026-05-01T12:00:00.000Z",
    startedAt: "2026-05-01T12:00:00.000Z",
    targets: [],
  });
  assert.equal(
    await ticks.tick("2026-05-01T12:01:00Z"),
    "skipped a (still running (a-20260501T120000-1))",
  );
});

Deno.test("broken pipelines are told and stop only what depends on them", async () => {
  const ticks = new Ticks([
    pipeline("odd", { schedule: { cron: "every hour", timezone: "UTC" } }),
    pipeline("a"),
    pipeline("b", { dependsOn: ["unreadable"] }),
    pipeline("c", { dependsOn: ["odd"] }),
  ]);
  const error = new FlowError("no target", { code: "definition_invalid", domain: "user" });
  const summary = await ticks.clock.drive(ticks.due(undefined, [{ name: "unreadable", error }]));
  assert.equal(
    told(summary),
    "ran a | failed unreadable,odd | skipped b (upstream not fresh: unreadable),c (upstream not fresh: odd)",
  );
  assert.deepEqual(summary.failed.map(({ record }) => record.error?.code), [
    "definition_invalid",
    "schedule_invalid",
  ]);
});

Deno.test("a stop starts nothing more, and tells what was tried", async () => {
  const ticks = new Ticks([pipeline("a", { retry: thrice }), pipeline("b"), pipeline("c")]);
  ticks.fail("a", 3);
  const running = ticks.due("2026-05-01T12:00:00Z");
  ticks.clock.sleep(1500).then(() => ticks.stop.abort("drain"));
  assert.equal(told(await ticks.clock.drive(running)), "ran b | failed a");
  assert.deepEqual(ticks.fired, ["a", "b"]);
});

Deno.test("--now may lie anywhere: what ran just now counts as fresh", async () => {
  const ticks = new Ticks([pipeline("a"), pipeline("b", { dependsOn: ["a"] })]);
  const summary = await ticks.clock.drive(runDue(ticks.pipelines, {
    nowMs: Date.parse("2030-01-01T00:00:00Z"),
    intervalSeconds: 60,
    runLog: ticks.runLog,
    clock: ticks.clock,
    observe: () => {},
    signal: ticks.stop.signal,
    execute: () => Promise.resolve({ targets: [], notices: [] }),
  }));
  assert.equal(told(summary), "ran a,b");
});

Deno.test("status tells the last run, the next time, retries and what keeps it waiting", async () => {
  const ticks = new Ticks([
    pipeline("a", { retry: thrice }),
    pipeline("b", { dependsOn: ["a"] }),
    withoutSchedule(pipeline("c")),
  ]);
  ticks.fail("a", 3);
  await ticks.tick("2026-05-01T12:00:00Z");
  const rows = await statusRows(ticks.pipelines, {
    runLog: ticks.runLog,
    nowMs: ticks.clock.now(),
  });
  assert.deepEqual(
    rows.map(({ name, schedule, lastRun, nextDue, retry, waitingOn }) => ({
      name,
      schedule,
      lastRun: lastRun?.status,
      nextDue,
      gaveUp: retry.gaveUp,
      attempts: `${retry.attemptCount}/${retry.maxAttempts}`,
      waitingOn,
    })),
    [
      {
        name: "a",
        schedule: "0 * * * *",
        lastRun: "failed",
        nextDue: "2026-05-01T13:00:00.000Z",
        gaveUp: true,
        attempts: "3/3",
        waitingOn: [],
      },
      {
        name: "b",
        schedule: "0 * * * *",
        lastRun: undefined,
        nextDue: "2026-05-01T13:00:00.000Z",
        gaveUp: false,
        attempts: "0/1",
        waitingOn: ["a"],
      },
      {
        name: "c",
        schedule: undefined,
        lastRun: undefined,
        nextDue: undefined,
        gaveUp: false,
        attempts: "0/1",
        waitingOn: [],
      },
    ],
  );
});
