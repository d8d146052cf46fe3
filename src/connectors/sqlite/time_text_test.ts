import assert from "node:assert/strict";
import { dateText, engineTimeText, localText, parseTime, zonedText } from "./time_text.ts";

const NOON = 1_769_860_800_500_000n;

Deno.test("times of four-digit years are ISO-8601, others in the engine's spelling", () => {
  const texts = (micros: bigint) =>
    [zonedText, localText, dateText, engineTimeText].map((f) => f(micros));
  assert.deepEqual(texts(NOON), [
    "2026-01-31T12:00:00.500000Z",
    "2026-01-31T12:00:00.500000",
    "2026-01-31",
    "2026-01-31 12:00:00.5",
  ]);
  // Hours behind UTC lead from the last day of 9999 into the next year.
  const next = parseTime("9999-12-31T23:30:00-01:00") ?? 0n;
  assert.deepEqual(texts(next), [
    "10000-01-01 00:30:00+00",
    "10000-01-01 00:30:00",
    "10000-01-01",
    "10000-01-01 00:30:00",
  ]);
  assert.equal(zonedText(9_223_372_036_854_775_806n), "294247-01-10 04:00:54.775806+00");
  assert.equal(dateText(-62_135_596_800_000_000n - 1n), "0001-12-31 (BC)");
});
