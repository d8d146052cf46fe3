import assert from "node:assert/strict";
import fc from "fast-check";
import { isFourDigitYear, isoTime, nearestFourDigitYear, utcTime } from "./utc_time.ts";

const DATE_LIMIT = 8_640_000_000_000_000n;

Deno.test("times that Date knows are told as it tells them", () =>
  fc.assert(
    fc.property(fc.bigInt(-DATE_LIMIT, DATE_LIMIT), fc.integer({ min: 0, max: 999 }), (ms, us) => {
      assert.equal(isoTime(ms * 1000n + BigInt(us)), new Date(Number(ms)).toISOString());
    }),
  ));

Deno.test("every other time is told too", () => {
  assert.equal(isoTime(9_223_372_036_854_775_806n), "+294247-01-10T04:00:54.775Z");
  assert.equal(isoTime(-9_223_372_022_400_000_000n), "-290308-12-22T00:00:00.000Z");
  assert.equal(isoTime(1_764_066_000_000_000_000_000n), "+55902996-03-07T13:20:00.000Z");
  assert.deepEqual(utcTime(-1n), {
    year: 1969,
    month: 12,
    day: 31,
    hour: 23,
    minute: 59,
    second: 59,
    micro: 999_999,
  });
});

Deno.test("the years 1 to 9999 end where ISO-8601 does with four digits", () => {
  const [first, last] = ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"];
  assert.equal(isoTime(nearestFourDigitYear(-(10n ** 20n))), first);
  assert.equal(isoTime(nearestFourDigitYear(10n ** 20n)), last);
  assert.equal(nearestFourDigitYear(5n), 5n);
  const micros = (iso: string) => BigInt(Date.parse(iso)) * 1000n;
  assert.deepEqual([micros(first) - 1n, micros(first), micros(last)].map(isFourDigitYear), [
    false,
    true,
    true,
  ]);
});
