import assert from "node:assert/strict";
import type { Observation } from "../core/observation.ts";
import { Totals } from "./totals.ts";

const pipeline = "p";
const COMMITTED: Observation = {
  kind: "batch_committed",
  pipeline,
  epoch: 1,
  rowsConsumed: 2,
  rowsWritten: 2,
  bytes: 10,
  latencyMs: 1,
  stageMs: { write: 1 },
};
const RETRYING: Observation = {
  kind: "retrying",
  pipeline,
  error: { code: "x", domain: "external", retryable: true, message: "away" },
  waitMs: 1,
  restart: 1,
};

Deno.test("an attempt is counted from the last commit, restarts over all", () => {
  const totals = new Totals();
  const attempts = [totals.attempt];
  for (const observation of [RETRYING, RETRYING, COMMITTED, RETRYING]) {
    totals.observe(observation);
    attempts.push(totals.attempt);
  }
  assert.deepEqual(attempts, [1, 2, 3, 1, 2]);
  assert.equal(totals.restarts, 3);
});
