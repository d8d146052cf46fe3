import assert from "node:assert/strict";
import type { RunRecord, RunStatus } from "../core/run_log.ts";
import { inDependencyOrder, staleUpstreams } from "./dependencies.ts";

const names = (edges: Record<string, string[]>) =>
  inDependencyOrder(Object.entries(edges).map(([name, dependsOn]) => ({ name, dependsOn })))
    .map(({ name }) => name);

Deno.test("upstreams come first, and otherwise the given order stays", () => {
  assert.deepEqual(names({ c: [], a: [], b: [] }), ["c", "a", "b"]);
  assert.deepEqual(names({ d: ["b", "c"], c: ["a"], b: ["a"], a: [], e: [] }), [
    "a",
    "b",
    "c",
    "d",
    "e",
  ]);
  assert.deepEqual(names({ b: ["somewhere else"], a: [] }), ["b", "a"]);
});

Deno.test("a ring is printed from its first to its first member", () => {
  assert.throws(() => names({ x: ["a"], a: ["b"], b: ["c"], c: ["a"] }), {
    code: "dependency_cycle",
    message: "pipelines depend on each other in a ring: a -> b -> c -> a",
  });
  assert.throws(() => names({ a: ["a"] }), {
    message: "pipelines depend on each other in a ring: a -> a",
  });
});

function run(status: RunStatus, startedAt: string, finishedAt = startedAt): RunRecord {
  return {
    runId: startedAt,
    pipeline: "a",
    status,
    attempt: 1,
    startedAt,
    finishedAt,
    targets: [],
  };
}

Deno.test("an upstream is fresh with a success of today that no failure has followed", () => {
  const now = Date.parse("2026-05-02T10:00:00Z");
  const rule = { name: "b", dependsOn: ["a"], timezone: "UTC" };
  const isFresh = (success?: RunRecord, last: RunRecord | undefined = success, seconds?: number) =>
    staleUpstreams(
      seconds === undefined ? rule : { ...rule, upstreamFreshnessSeconds: seconds },
      {
        successes: new Map(success === undefined ? [] : [["a", success]]),
        last: new Map(last === undefined ? [] : [["a", last]]),
      },
      now,
    ).length === 0;
  const today = run("success", "2026-05-02T00:00:00.000Z");
  assert.equal(isFresh(), false);
  assert.equal(isFresh(today), true);
  assert.equal(isFresh(run("success", "2026-05-01T23:59:59.000Z")), false);
  assert.equal(
    isFresh(run("success", "2026-05-01T23:59:59.000Z", "2026-05-02T00:10:00.000Z")),
    true,
    "its end counts",
  );
  assert.equal(isFresh(today, run("failed", "2026-05-02T09:00:00.000Z")), false);
  assert.equal(isFresh(today, run("running", "2026-05-02T09:00:00.000Z")), true);
  assert.equal(isFresh(today, run("failed", "2026-05-02T09:00:00.000Z"), 36_000), true);
  assert.equal(isFresh(today, today, 35_999), false);
});
