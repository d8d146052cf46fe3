/**
 * Times as SQLite tables of flow hold them: ISO-8601 text. A time with a zone has one form, in UTC and with six decimals
 * (`2026-01-31T12:00:00.000000Z`), so that text order is time order. One without a zone has decimals where it has a fraction
 * (`2026-01-31T12:00:00`), which sorts too. Years outside of 1 to 9999 stay in the engine's spelling (`12345-01-01 00:00:00+00`): exact,
 * but not in order.
 */
import {
  clockTime,
  isFourDigitYear,
  monthAndDay,
  type UtcTime,
  utcTime,
} from "../../core/utc_time.ts";
import { timestampText } from "../../sql/dialect.ts";

const TIME =
  /^\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?\s*$/i;

/** Infinite times, and those of years that {@link parseTime} does not know, in the engine's spelling. */
const OTHER_TIME = /^-?infinity$|^\d{5,6}-\d\d-\d\d |\(BC\)/;

const MICROS_PER_SECOND = 1_000_000n;

/**
 * Microseconds since the epoch of an ISO-8601 text; without a zone it is UTC. `undefined` for what is no time. Fractions below a microsecond
 * are cut off.
 */
export function parseTime(text: string): bigint | undefined {
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] =
    TIME.exec(text) ?? [];
  if (year === undefined) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const isDay = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  const isMidnight = Number(hour) === 24 && Number(minute) === 0 && Number(second) === 0;
  if (!isDay || Number(year) === 0 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (Number(hour) > 23 && !isMidnight) return undefined;
  const seconds = BigInt(Number(hour) * 3600 + Number(minute) * 60 + Number(second)) -
    BigInt(zoneSeconds(zone));
  return (BigInt(date.getTime()) / 1000n + seconds) * MICROS_PER_SECOND +
    BigInt(fraction.slice(0, 6).padEnd(6, "0"));
}

/** True for a time that has no ISO-8601 text of four-digit years but is one to the engine. */
export function isOtherTime(text: string): boolean {
  return OTHER_TIME.test(text);
}

/** The form of TIMESTAMP WITH TIME ZONE. */
export function zonedText(micros: bigint): string {
  if (!isFourDigitYear(micros)) return timestampText(micros);
  const time = utcTime(micros);
  return `${day(time)}T${clockTime(time)}.${digits(time)}Z`;
}

/** The form of TIMESTAMP. */
export function localText(micros: bigint): string {
  if (!isFourDigitYear(micros)) return engineTimeText(micros);
  const time = utcTime(micros);
  return `${day(time)}T${clockTime(time)}${time.micro === 0 ? "" : `.${digits(time)}`}`;
}

/** The day, as DATE has it. */
export function dateText(micros: bigint): string {
  return isFourDigitYear(micros)
    ? day(utcTime(micros))
    : timestampText(micros).replace(/ [\d:.+]+$/, "");
}

/** The engine's spelling of a time without a zone: `2026-01-31 12:00:00.5`. */
export function engineTimeText(micros: bigint): string {
  const text = timestampText(micros).replace(/\+00$/, "");
  return text.includes(".") ? text.replace(/0+$/, "") : text;
}

function zoneSeconds(zone: string): number {
  if (zone.toUpperCase() === "Z") return 0;
  const [, sign, hours, minutes = "0"] = /^([+-])(\d{2}):?(\d{2})?$/.exec(zone) ?? [];
  return (Number(hours) * 3600 + Number(minutes) * 60) * (sign === "-" ? -1 : 1);
}

function day(time: UtcTime): string {
  return `${String(time.year).padStart(4, "0")}-${monthAndDay(time)}`;
}

function digits({ micro }: UtcTime): string {
  return String(micro).padStart(6, "0");
}
