import assert from "node:assert/strict";
import { OffsetLedger } from "./offset_ledger.ts";

const ref = { sourceId: "orders", partition: "0" };
const range = (from: string | null, to: string) => ({ ...ref, from, to });
const stored = (position: string) => [{ ...ref, position }];

Deno.test("without a stored position the first batch is next, and the ones after it have to follow", () => {
  const ledger = new OffsetLedger(1);
  assert.deepEqual(ledger.resume([ref]), []);
  assert.equal(ledger.fit(range(null, "5")).fit, "next");
  ledger.plan([range(null, "5")]);
  assert.equal(ledger.fit(range("5", "9")).fit, "next");
  assert.deepEqual(ledger.fit(range("6", "9")), { fit: "gap", seekTo: "5" });
  assert.deepEqual(ledger.fit(range("3", "9")), { fit: "overlaps", keepFrom: 5n });
  assert.equal(ledger.fit(range("3", "5")).fit, "behind");
});

Deno.test("a batch without a start is cut at the stored position", () => {
  const ledger = new OffsetLedger(1);
  ledger.load(0, stored("7"));
  ledger.resume([ref]);
  assert.deepEqual(ledger.fit(range(null, "9")), { fit: "overlaps", keepFrom: 7n });
});

Deno.test("moves go from what the target has stored, not from what is planned", () => {
  const ledger = new OffsetLedger(1);
  ledger.plan([range(null, "5")]);
  ledger.plan([range("5", "9")]);
  assert.deepEqual(ledger.moves(0, [range(null, "5")]), [{ ...ref, expected: null, to: "5" }]);
  ledger.committed(0, [range(null, "5")]);
  assert.deepEqual(ledger.moves(0, [range("5", "9")]), [{ ...ref, expected: "5", to: "9" }]);
});

Deno.test("targets at different positions: reading resumes at the lower, batches are cut, the one ahead skips", () => {
  const ledger = new OffsetLedger(2);
  ledger.load(0, stored("10"));
  ledger.load(1, stored("4"));
  assert.deepEqual(ledger.resume([ref]), stored("4"));
  const batch = range("4", "20");
  assert.equal(ledger.targetsDiffer([batch]), true);
  assert.deepEqual(ledger.boundaries(batch), [10n]);
  assert.equal(ledger.has(0, [range("4", "10")]), true);
  assert.equal(ledger.has(1, [range("4", "10")]), false);
  assert.equal(ledger.has(0, [range("10", "20")]), false);
  ledger.committed(1, [range("4", "10")]);
  assert.equal(ledger.targetsDiffer([range("10", "20")]), false);
});

Deno.test("reading offsets afresh forgets what was planned", () => {
  const ledger = new OffsetLedger(1);
  ledger.load(0, stored("3"));
  ledger.resume([ref]);
  ledger.plan([range("3", "8")]);
  ledger.load(0, stored("6"));
  assert.deepEqual(ledger.restart(ledger.uncommitted()), stored("6"));
  assert.deepEqual(ledger.fit(range("8", "9")), { fit: "gap", seekTo: "6" });
});

Deno.test("positions that somebody removed from the target: reading goes on behind the last commit", () => {
  const ledger = new OffsetLedger(1);
  ledger.load(0, stored("3"));
  ledger.resume([ref]);
  ledger.plan([range("3", "8")]);
  ledger.committed(0, [range("3", "8")]);
  ledger.plan([range("8", "9")]);
  const uncommitted = ledger.uncommitted();
  ledger.load(0, []);
  assert.deepEqual(ledger.restart(uncommitted), stored("8"));
  assert.deepEqual(ledger.fit(range("9", "12")), { fit: "gap", seekTo: "8" });
  assert.deepEqual(ledger.moves(0, [range("8", "9")]), [{ ...ref, expected: null, to: "9" }]);
});

Deno.test("a partition that was never stored goes on where its first batch began, another one where it is stored", () => {
  const ledger = new OffsetLedger(1);
  const other = { sourceId: "orders", partition: "1" };
  ledger.resume([ref, other]);
  ledger.plan([range("5", "8"), { ...other, from: "2", to: "4" }]);
  ledger.plan([range("8", "9")]);
  const uncommitted = ledger.uncommitted();
  ledger.load(0, [{ ...other, position: "3" }]);
  assert.deepEqual(ledger.restart(uncommitted), [{ ...other, position: "3" }, ...stored("5")]);
});

Deno.test("without any known start there is no place to go on", () => {
  const ledger = new OffsetLedger(1);
  ledger.resume([ref]);
  ledger.plan([range(null, "8")]);
  const uncommitted = ledger.uncommitted();
  ledger.load(0, []);
  assert.equal(ledger.restart(uncommitted), undefined);
});

Deno.test("positions compare as numbers, whatever a source adds to them", () => {
  const ledger = new OffsetLedger(1);
  ledger.load(0, stored("9;part"));
  ledger.resume([ref]);
  assert.equal(ledger.fit(range("9;part", "100;done")).fit, "next");
  assert.equal(ledger.fit(range("9", "100;done")).fit, "next");
  assert.equal(ledger.has(0, [range("9;part", "9;done")]), false);
});
