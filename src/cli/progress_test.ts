import assert from "node:assert/strict";
import type { Clock } from "../core/clock.ts";
import type { Observation } from "../core/observation.ts";
import { Progress, type ProgressOptions } from "./progress.ts";
import { createStyle } from "./terminal.ts";

/** A clock that moves when told, and lets everything that waited run. */
class HeldClock implements Clock {
  #now = 0;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sleepers.push({ at: this.#now + durationMs, wake: resolve });
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  async advance(durationMs: number): Promise<void> {
    const end = this.#now + durationMs;
    for (;;) {
      const next = this.#sleepers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1);
      this.#now = next.at;
      next.wake();
      for (let i = 0; i < 5; i += 1) await Promise.resolve();
    }
    this.#now = end;
  }
}

function started(options: Partial<ProgressOptions> = {}) {
  const clock = new HeldClock();
  const written: string[] = [];
  const progress = new Progress({
    clock,
    write: (text) => written.push(text),
    style: createStyle(false),
    mode: "plain",
    detail: "normal",
    ...options,
  });
  progress.start();
  const take = () => written.splice(0).join("");
  return { clock, progress, take };
}

const pipeline = "events-to-pg";
const runStarted: Observation = {
  kind: "run_started",
  pipeline,
  sources: ["events"],
  targets: ["postgres:public.events"],
  delivery: "exactly_once",
};
const ready: Observation = { kind: "ready", pipeline };
const batch = (rowsConsumed: number): Observation => ({
  kind: "batch_committed",
  pipeline,
  epoch: 1,
  rowsConsumed,
  rowsWritten: rowsConsumed,
  bytes: 1_500_000,
  latencyMs: 85,
  stageMs: { decode: 10.4, write: 70.2 },
});
const lag = (sourceId: string, rows: number): Observation => ({
  kind: "lag",
  pipeline,
  sourceId,
  rows,
});
const rejected = (rows: number, example: string): Observation => ({
  kind: "rows_rejected",
  pipeline,
  stage: "decode",
  rows,
  action: "dead_letter",
  example,
});

Deno.test("progress: a plain line every 10 s with rows, rows/s, lag and watermark", async () => {
  const { clock, progress, take } = started();
  for (const observation of [runStarted, ready, batch(1000), batch(1000)]) {
    progress.observe(observation);
  }
  progress.observe(lag("a", 5));
  progress.observe(lag("b", 7));
  progress.observe({ kind: "watermark", pipeline, sourceId: "a", micros: 1_000_000 });
  progress.observe({ kind: "watermark", pipeline, sourceId: "b", micros: 60_000_000 });
  await clock.advance(9999);
  assert.equal(take(), "");
  await clock.advance(1);
  assert.equal(
    take(),
    "events-to-pg  2,000 rows  200 rows/s  lag 12  watermark 1970-01-01T00:00:01Z\n",
  );
  await progress.stop();
  assert.equal(take(), "");
});

Deno.test("progress: a silent source does not fill the log", async () => {
  const { clock, progress, take } = started();
  progress.observe(runStarted);
  progress.observe(ready);
  await clock.advance(60_000);
  assert.equal(take(), "events-to-pg  0 rows  0 rows/s\n");
  progress.observe(batch(10));
  await clock.advance(30_000);
  assert.equal(take(), "events-to-pg  10 rows  1 rows/s\n");
  await progress.stop();
});

Deno.test("progress: on a terminal the line is rewritten in place and makes room for others", async () => {
  const { clock, progress, take } = started({ mode: "live", columns: () => 40 });
  progress.observe(runStarted);
  await clock.advance(500);
  assert.equal(take(), "\r\x1b[Kevents-to-pg  opening  0 rows  0 rows/s");
  progress.observe(ready);
  progress.observe(batch(1_000_000));
  progress.observe(lag("a", 123_456_789));
  await clock.advance(500);
  assert.equal(take(), "\r\x1b[Kevents-to-pg  1,000,000 rows  1,000,000"); // 39 characters
  progress.observe({ kind: "notice", pipeline, message: "careful" });
  assert.equal(take(), "\r\x1b[Kevents-to-pg: careful\n");
  await clock.advance(500);
  take();
  await progress.stop();
  assert.equal(take(), "\r\x1b[K");
});

Deno.test("progress: rows/s on a terminal is the mean of the last 5 s", async () => {
  const { clock, progress, take } = started({ mode: "live" });
  progress.observe(runStarted);
  progress.observe(ready);
  progress.observe(batch(1_000_000));
  await clock.advance(6000);
  take();
  progress.observe(batch(50));
  await clock.advance(500);
  assert.equal(take(), "\r\x1b[Kevents-to-pg  1,000,050 rows  10 rows/s");
  await progress.stop();
});

Deno.test("progress: dead letters are told at once, then in sums, with the first reason", async () => {
  const { clock, progress, take } = started();
  progress.observe(rejected(1, "not JSON"));
  assert.equal(
    take(),
    "events-to-pg: 1 row to the dead letters (decode), first: not JSON\n",
  );
  progress.observe(rejected(2, "not an object"));
  progress.observe(rejected(3, "not UTF-8"));
  assert.equal(take(), "");
  await clock.advance(10_000);
  assert.match(
    take(),
    /^events-to-pg: 5 rows to the dead letters \(decode\), first: not an object\n/,
  );
  progress.observe({ ...rejected(4, "late"), action: "drop", stage: "transform" } as Observation);
  assert.equal(take(), "events-to-pg: 4 rows dropped (transform), first: late\n");
  progress.observe(rejected(7, "not JSON"));
  await progress.stop();
  assert.equal(take(), "events-to-pg: 7 rows to the dead letters (decode), first: not JSON\n");
});

Deno.test("progress: a restart is told with its reason and wait", async () => {
  const { clock, progress, take } = started();
  progress.observe(runStarted);
  const error = { code: "kafka_unreachable", domain: "external", retryable: true } as const;
  progress.observe({
    kind: "retrying",
    pipeline,
    error: { ...error, message: "the broker is away" },
    waitMs: 1500,
    restart: 2,
  });
  assert.equal(take(), "events-to-pg: restart 2 in 1.5 s: the broker is away\n");
  await clock.advance(10_000);
  assert.equal(take(), "events-to-pg  waiting to restart  0 rows  0 rows/s\n");
  await progress.stop();
});

Deno.test("progress: verbose tells every observation, idle turns once in a row", async () => {
  const { progress, take } = started({ detail: "verbose" });
  progress.observe(runStarted);
  assert.equal(
    take(),
    "events-to-pg: events -> postgres:public.events, delivery exactly_once\n",
  );
  progress.observe(batch(2000));
  assert.equal(
    take(),
    "events-to-pg: batch 1: 2,000 rows read, 2,000 written, 1.5 MB, 85 ms (decode 10, write 70)\n",
  );
  for (let i = 0; i < 3; i += 1) progress.observe({ kind: "idle", pipeline });
  assert.equal(take(), "events-to-pg: nothing to read\n");
  await progress.stop();
});

Deno.test("progress: a new plan is told once rows have come", async () => {
  const { progress, take } = started();
  progress.observe(runStarted);
  const change: Observation = { kind: "plan_changed", pipeline, reason: "new column a" };
  progress.observe(change);
  assert.equal(take(), "");
  progress.observe(batch(1));
  progress.observe(change);
  assert.equal(take(), "events-to-pg: new plan: new column a\n");
  await progress.stop();
});

Deno.test("progress: quiet shows nothing", async () => {
  const { clock, progress, take } = started({ detail: "quiet" });
  for (const observation of [runStarted, ready, batch(1), rejected(1, "x")]) {
    progress.observe(observation);
  }
  progress.say("hello");
  await clock.advance(60_000);
  await progress.stop();
  assert.equal(take(), "");
});

Deno.test("progress: in JSON every line is an object", async () => {
  const { clock, progress, take } = started({ mode: "json" });
  progress.observe(runStarted);
  progress.observe(ready);
  progress.say("hello");
  progress.observe(batch(2000));
  progress.observe(rejected(1, "not JSON"));
  await clock.advance(10_000);
  await progress.stop();
  const lines = take().trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, [
    { message: "hello" },
    {
      observation: {
        kind: "rows_rejected",
        pipeline,
        stage: "decode",
        rows: 1,
        action: "dead_letter",
        example: "not JSON",
      },
    },
    { progress: { pipeline, rows: 2000, rows_per_s: 200, lag: null, watermark: null } },
  ]);
});
