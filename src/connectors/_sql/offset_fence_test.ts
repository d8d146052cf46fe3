import assert from "node:assert/strict";
import { assertUnfenced, commitOutcome, inLockOrder } from "./offset_fence.ts";

const move = (partition: string, expected: string | null, to: string) => ({
  sourceId: "orders",
  partition,
  expected,
  to,
});
const stored = (partition: string, position: string) => ({
  sourceId: "orders",
  partition,
  position,
});

Deno.test("moves are fenced unless they start from what is stored", () => {
  assertUnfenced("t", [move("0", "5", "9"), move("1", null, "3")], [stored("0", "5")]);
  for (const [from, there] of [["5", "6"], [null, "5"]] as const) {
    assert.throws(() => assertUnfenced("t", [move("0", from, "9")], [stored("0", there)]), {
      code: "offset_fenced",
      retryable: true,
    });
  }
  assert.throws(() => assertUnfenced("t", [move("0", "5", "9")], []), {
    code: "offset_fenced",
    message: /'orders' partition 0 was to move from 5 to 9, but the target holds none/,
  });
});

Deno.test("the stored offsets tell what a lost commit has done", () => {
  const moves = [move("0", "5", "9"), move("1", null, "3"), move("2", "4", "4")];
  assert.equal(commitOutcome(moves, [stored("0", "9"), stored("1", "3")]), "committed");
  assert.equal(commitOutcome(moves, [stored("0", "5")]), "not_committed");
  assert.equal(commitOutcome(moves, [stored("0", "12"), stored("1", "3")]), "unclear");
  assert.equal(commitOutcome([], []), "unclear");
});

Deno.test("locks are taken in one order", () => {
  const order = inLockOrder([move("2", null, "1"), move("10", null, "1"), move("1", null, "1")]);
  assert.deepEqual(order.map((item) => item.partition), ["1", "10", "2"]);
});
