import assert from "node:assert/strict";
import { dueAt, localDate, nextDue } from "./schedule.ts";

const ms = (iso: string) => Date.parse(iso);
const text = (at: number | undefined) => at === undefined ? undefined : new Date(at).toISOString();

/** All times that windows of a minute find between two moments, in order: what a cron tick per minute would fire. */
function fired(cron: string, timezone: string, from: string, to: string): string[] {
  const found: string[] = [];
  for (let at = ms(from) + 60_000; at <= ms(to); at += 60_000) {
    const due = dueAt({ cron, timezone }, at - 60_000, at);
    if (due !== undefined) found.push(new Date(due).toISOString().slice(5, 16));
  }
  return found;
}

/** The same by asking for the next one. */
function next(cron: string, timezone: string, from: string, count: number): string[] {
  const found: string[] = [];
  let at = ms(from);
  while (found.length < count) {
    const due = nextDue({ cron, timezone }, at);
    assert.ok(due !== undefined && due > at);
    found.push(new Date(due).toISOString().slice(5, 16));
    at = due;
  }
  return found;
}

function everyMinutes(minutes: number, from: string, to: string): string[] {
  const times: string[] = [];
  for (let at = ms(from) + minutes * 60_000; at <= ms(to); at += minutes * 60_000) {
    times.push(new Date(at).toISOString().slice(5, 16));
  }
  return times;
}

Deno.test("a window is open at its start and closed at its end", () => {
  const hourly = { cron: "0 * * * *", timezone: "UTC" };
  const noon = ms("2026-05-01T12:00:00Z");
  assert.equal(dueAt(hourly, noon - 60_000, noon), noon);
  assert.equal(dueAt(hourly, noon, noon + 60_000), undefined);
  assert.equal(dueAt(hourly, noon - 1, noon), noon);
  assert.equal(dueAt(hourly, noon - 60_000, noon - 1), undefined);
  assert.equal(dueAt(hourly, noon - 1, noon + 999), noon);
});

Deno.test("of several times in a long window the latest counts", () => {
  const at = dueAt(
    { cron: "*/15 * * * *", timezone: "UTC" },
    ms("2026-05-01T00:00:00Z"),
    ms("2026-05-01T10:50:00Z"),
  );
  assert.equal(text(at), "2026-05-01T10:45:00.000Z");
});

Deno.test("Berlin in spring: 02:30 does not exist and runs once, as the clocks jump", () => {
  const expected = ["03-28T01:30", "03-29T01:00", "03-30T00:30"];
  const zone = "Europe/Berlin";
  assert.deepEqual(
    fired("30 2 * * *", zone, "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"),
    expected,
  );
  assert.deepEqual(next("30 2 * * *", zone, "2026-03-28T00:00:00Z", 3), expected);
});

Deno.test("Berlin in autumn: 02:30 comes twice and runs the first time", () => {
  const expected = ["10-24T00:30", "10-25T00:30", "10-26T01:30"];
  const zone = "Europe/Berlin";
  assert.deepEqual(
    fired("30 2 * * *", zone, "2026-10-24T00:00:00Z", "2026-10-26T12:00:00Z"),
    expected,
  );
  assert.deepEqual(next("30 2 * * *", zone, "2026-10-24T00:00:00Z", 3), expected);
});

for (
  const [zone, from, to] of [
    ["Europe/Berlin", "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"],
    ["Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T05:00:00Z"],
    ["America/New_York", "2026-03-08T04:00:00Z", "2026-03-08T10:00:00Z"],
    ["America/New_York", "2026-11-01T03:00:00Z", "2026-11-01T09:00:00Z"],
    ["UTC", "2026-03-29T00:00:00Z", "2026-03-29T05:00:00Z"],
  ] as const
) {
  Deno.test(`no time is lost or doubled around ${from.slice(0, 10)} in ${zone}`, () => {
    assert.deepEqual(fired("*/15 * * * *", zone, from, to), everyMinutes(15, from, to));
    assert.deepEqual(fired("0 * * * *", zone, from, to), everyMinutes(60, from, to));
    assert.deepEqual(
      next("*/15 * * * *", zone, from, 20),
      everyMinutes(15, from, "2026-12-31T00:00:00Z").slice(0, 20),
    );
  });
}

Deno.test("New York changes at 02:00 of its own", () => {
  const zone = "America/New_York";
  assert.deepEqual(
    fired("30 2 * * *", zone, "2026-03-07T00:00:00Z", "2026-03-09T12:00:00Z"),
    ["03-07T07:30", "03-08T07:00", "03-09T06:30"],
  );
  assert.deepEqual(
    fired("30 1 * * *", zone, "2026-10-31T00:00:00Z", "2026-11-02T12:00:00Z"),
    ["10-31T05:30", "11-01T05:30", "11-02T06:30"],
  );
});

Deno.test("Lord Howe Island shifts by half an hour", () => {
  const zone = "Australia/Lord_Howe";
  // 02:00 becomes 02:30: 02:15 does not exist on 4 October.
  assert.deepEqual(
    fired("15 2 * * *", zone, "2026-10-02T00:00:00Z", "2026-10-05T00:00:00Z"),
    ["10-02T15:45", "10-03T15:30", "10-04T15:15"],
  );
  // 02:00 becomes 01:30: 01:45 comes twice on 5 April.
  assert.deepEqual(
    fired("45 1 * * *", zone, "2026-04-03T00:00:00Z", "2026-04-06T00:00:00Z"),
    ["04-03T14:45", "04-04T14:45", "04-05T15:15"],
  );
  const [from, to] = ["2026-04-04T12:00:00Z", "2026-04-04T18:00:00Z"];
  assert.deepEqual(fired("*/15 * * * *", zone, from, to), everyMinutes(15, from, to));
});

Deno.test("a schedule that never comes is never due", () => {
  const never = { cron: "0 0 30 2 *", timezone: "UTC" };
  assert.equal(nextDue(never, ms("2026-01-01T00:00:00Z")), undefined);
  assert.equal(dueAt(never, 0, ms("2026-01-01T00:00:00Z")), undefined);
  assert.equal(
    text(nextDue({ cron: "@daily", timezone: "Asia/Tokyo" }, ms("2026-01-01T00:00:00Z"))),
    "2026-01-01T15:00:00.000Z",
  );
});

Deno.test("what is no schedule or no zone is told", () => {
  const invalid = { code: "schedule_invalid", domain: "user" };
  for (const cron of ["", "61 * * * *", "* * * *", "* * * * * *", "every day"]) {
    assert.throws(() => dueAt({ cron, timezone: "UTC" }, 0, 1000), invalid, cron);
  }
  assert.throws(() => nextDue({ cron: "* * * * *", timezone: "Mars/Olympus" }, 0), {
    ...invalid,
    message: "there is no time zone 'Mars/Olympus'",
  });
});

Deno.test("the local date is that of the zone", () => {
  const at = ms("2026-03-28T23:30:00Z");
  assert.equal(localDate(at, "UTC"), "2026-03-28");
  assert.equal(localDate(at, "Europe/Berlin"), "2026-03-29");
  assert.equal(localDate(at, "America/New_York"), "2026-03-28");
  assert.equal(localDate(ms("2026-03-28T22:30:00Z"), "Pacific/Kiritimati"), "2026-03-29");
});
