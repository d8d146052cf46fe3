import { Cron } from "croner";
import { describeError, FlowError } from "../core/error.ts";

/** When a pipeline shall run: five cron fields (or `@daily` and the like) read in a time zone. */
export interface Schedule {
  readonly cron: string;
  /** IANA name. */
  readonly timezone: string;
}

/** Schedules are read once: a daemon asks for the same ones again and again. */
const read = new Map<string, Cron>();
const MAX_READ = 10_000;

/**
 * The latest time of the schedule in the half-open window (fromMs, toMs], in milliseconds since the epoch; undefined when there is none.
 *
 * Where clocks change, a time of day that the day does not have is due at the moment of the change, one that it has twice is due the first time,
 * and schedules with `*` or steps in the minute or hour go on through both hours without a gap and without a repetition in UTC.
 *
 * @throws FlowError `schedule_invalid` (user).
 */
export function dueAt(schedule: Schedule, fromMs: number, toMs: number): number | undefined {
  // Croner counts whole seconds, and looks strictly before the time it is given.
  const afterMs = Math.floor(toMs / 1000) * 1000 + 1000;
  const latest = parse(schedule).previousRuns(1, new Date(afterMs))[0]?.getTime();
  return latest !== undefined && latest > fromMs ? latest : undefined;
}

/**
 * The first time of the schedule after `afterMs`, in milliseconds since the epoch; undefined when it never comes (30 February).
 *
 * @throws FlowError `schedule_invalid` (user).
 */
export function nextDue(schedule: Schedule, afterMs: number): number | undefined {
  return parse(schedule).nextRun(new Date(afterMs))?.getTime();
}

/**
 * The date at that moment in a time zone, as `2026-03-29`: two moments of one local day have the same.
 *
 * @throws FlowError `schedule_invalid` (user) for a zone that does not exist.
 */
export function localDate(ms: number, timezone: string): string {
  try {
    const parts = new Intl.DateTimeFormat("en", {
      timeZone: timezone,
      calendar: "iso8601",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
    }).formatToParts(ms);
    const part = (type: string) => parts.find((one) => one.type === type)?.value ?? "";
    return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}`;
  } catch (cause) {
    throw zoneInvalid(timezone, cause);
  }
}

function parse(schedule: Schedule): Cron {
  const key = `${schedule.timezone} ${schedule.cron}`;
  const known = read.get(key);
  if (known !== undefined) return known;
  // The zone is looked at first: croner finds out only when it computes, and calls it a problem of the date.
  localDate(0, schedule.timezone);
  let cron: Cron;
  try {
    cron = new Cron(schedule.cron, { timezone: schedule.timezone, mode: "5-part", paused: true });
  } catch (cause) {
    throw new FlowError(
      `cannot read the schedule '${schedule.cron}': ${
        describeError(cause).replace(/^CronPattern: /, "")
      }`,
      {
        code: "schedule_invalid",
        domain: "user",
        hint:
          'give five fields: minute, hour, day of the month, month, day of the week; "*/5 * * * *" is every five minutes',
        cause,
      },
    );
  }
  if (read.size >= MAX_READ) read.clear();
  read.set(key, cron);
  return cron;
}

function zoneInvalid(timezone: string, cause: unknown): FlowError {
  return new FlowError(`there is no time zone '${timezone}'`, {
    code: "schedule_invalid",
    domain: "user",
    hint: 'give an IANA name such as "Europe/Berlin" or "UTC"',
    cause,
  });
}
