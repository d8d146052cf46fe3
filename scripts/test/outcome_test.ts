import assert from "node:assert/strict";
import { LineSplitter, readOutcome } from "./outcome.ts";

Deno.test("test outcome: the summary counts, steps do not, ignored tests are named", () => {
  const lines = [
    "running 3 tests from ./src/a_test.ts",
    "adds ... ok (1ms)",
    "needs Kafka ... \x1b[0m\x1b[33mignored\x1b[0m \x1b[0m\x1b[38;5;245m(0ms)\x1b[0m",
    "running 1 test from ./tests/b_test.ts",
    "needs Postgres ... ignored (0ms)",
    "",
    "ok | 1 passed (4 steps) | 0 failed | 2 ignored | 7 filtered out (12ms)",
  ];
  assert.deepEqual(readOutcome(lines, true), {
    passed: 1,
    failed: 0,
    skipped: ["./src/a_test.ts: needs Kafka", "./tests/b_test.ts: needs Postgres"],
  });
});

Deno.test("test outcome: failures count, also those that no test stands for", () => {
  const failed = ["FAILED | 4 passed (1 step) | 2 failed (1 step) (1s)"];
  assert.deepEqual(readOutcome(failed, false), { passed: 4, failed: 2, skipped: [] });
  assert.deepEqual(readOutcome(["ok | 4 passed | 0 failed (1s)"], false), {
    passed: 4,
    failed: 1,
    skipped: [],
  });
  assert.deepEqual(readOutcome(["error: Type checking failed."], false), {
    passed: 0,
    failed: 1,
    skipped: [],
  });
  assert.deepEqual(readOutcome(["ok | 0 passed | 0 failed (1ms)"], true), {
    passed: 0,
    failed: 0,
    skipped: [],
  });
});

Deno.test("test outcome: lines are made whole over the borders of chunks", () => {
  const splitter = new LineSplitter();
  const bytes = new TextEncoder().encode("erste\nzwölfte\nletzte");
  for (let i = 0; i < bytes.length; i += 3) splitter.push(bytes.subarray(i, i + 3));
  assert.deepEqual(splitter.end(), ["erste", "zwölfte", "letzte"]);
});
