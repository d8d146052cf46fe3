import assert from "node:assert/strict";
import type { Clock } from "../core/clock.ts";
import { sinceArgument, timeArgument } from "./time_argument.ts";

const TIMES: readonly (readonly [string, string | undefined])[] = [
  ["2026-01-31", "2026-01-31T00:00:00Z"],
  ["2026-01-31T12:00", "2026-01-31T12:00Z"],
  ["2026-01-31 12:00:01", "2026-01-31T12:00:01Z"],
  ["2026-01-31T12:00:01.123456Z", "2026-01-31T12:00:01.123456Z"],
  ["2026-01-31t12:00:01", undefined],
  ["2026-01-31T12:00:01+02:00", "2026-01-31T12:00:01+02:00"],
  ["2026-01-31T12:00:01z", "2026-01-31T12:00:01Z"],
  ["2024-02-29", "2024-02-29T00:00:00Z"],
  ["2026-02-29", undefined],
  ["2026-13-01", undefined],
  ["2026-01-31T25:00", undefined],
  ["2026-1-31", undefined],
  ["now", undefined],
  ["", undefined],
];

for (const [text, iso] of TIMES) {
  Deno.test(`time argument: ${JSON.stringify(text)}`, () => {
    if (iso === undefined) {
      assert.throws(() => timeArgument("now", text, "a time"), { code: "usage_invalid" });
    } else {
      assert.equal(timeArgument("now", text, "a time"), iso);
    }
  });
}

const clock: Clock = {
  now: () => Date.UTC(2026, 0, 31, 12),
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
};

Deno.test("since: an age counts back from now", () => {
  assert.equal(sinceArgument("90m", clock), "2026-01-31T10:30:00.000Z");
  assert.equal(sinceArgument("7d", clock), "2026-01-24T12:00:00.000Z");
  assert.equal(sinceArgument("2026-01-01", clock), "2026-01-01T00:00:00Z");
  assert.throws(() => sinceArgument("99999999999999d", clock), { code: "usage_invalid" });
  assert.throws(() => sinceArgument("7 years", clock), { code: "usage_invalid" });
});
