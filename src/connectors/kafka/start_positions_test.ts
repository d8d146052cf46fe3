import assert from "node:assert/strict";
import { FlowError } from "../../core/error.ts";
import { startPosition, type StartRules } from "./start_positions.ts";

const bounds = { low: 100, high: 200 };

function rules(reset: StartRules["reset"], notices: string[] = []): StartRules {
  return {
    topic: "orders",
    reset,
    knownPartitions: new Set([0]),
    notice: (message) => notices.push(message),
  };
}

const stored = (position: string) => ({ sourceId: "orders", partition: "0", position });

Deno.test("start: the target's position goes before the group's, and the rule comes last", () => {
  const facts = { partition: 0, bounds, stored: undefined, committed: undefined };
  const at = (more: object, reset: StartRules["reset"] = undefined) =>
    startPosition({ ...facts, ...more }, rules(reset));
  assert.equal(at({ stored: stored("150"), committed: 160 }).offset, 150);
  assert.equal(at({ stored: stored("150") }).stored, "150");
  assert.equal(at({ committed: 160 }, "latest").offset, 160);
  assert.equal(at({ committed: 160 }).stored, null);
  assert.equal(at({}).offset, 100);
  assert.equal(at({}, "earliest").offset, 100);
  assert.equal(at({}, "latest").offset, 200);
  assert.equal(at({ stored: stored("100") }).offset, 100);
  assert.equal(at({ stored: stored("200") }).offset, 200);
});

Deno.test("start: a partition that appears later is read from its begin even with latest", () => {
  const facts = { partition: 4, bounds, stored: undefined, committed: undefined };
  assert.equal(startPosition(facts, rules("latest")).offset, 100);
});

Deno.test("start: a position that the broker does not have is an error", () => {
  for (const [offset, why] of [["99", /retention/], ["201", /made anew/]] as const) {
    const facts = { partition: 0, bounds, stored: stored(offset), committed: undefined };
    assert.throws(() => startPosition(facts, rules(undefined)), (error) => {
      assert.ok(error instanceof FlowError);
      assert.equal(error.code, "kafka_offset_out_of_range");
      assert.match(error.message, new RegExp(`partition 0 at offset ${offset}.*100 to 200`));
      assert.match(error.message, why);
      return true;
    });
  }
});

Deno.test("start: with a written rule a lost position is a notice that names the gap", () => {
  const notices: string[] = [];
  const facts = { partition: 0, bounds, stored: stored("40"), committed: undefined };
  const start = startPosition(facts, rules("earliest", notices));
  assert.deepEqual([start.offset, start.stored], [100, "40"]);
  assert.match(notices[0] ?? "", /stored offset 40 .* records 40 to 99 are lost/);
  assert.equal(startPosition(facts, rules("latest", notices)).offset, 200);
  assert.match(notices[1] ?? "", /records 40 to 199 are lost/);
});
