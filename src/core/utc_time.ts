const MICROS_PER_SECOND = 1_000_000n;
/** The calendar repeats itself after 400 years. */
const CYCLE_YEARS = 400;
const CYCLE_MICROS = 146_097n * 86_400n * MICROS_PER_SECOND;

/** A moment in the calendar, in UTC. */
export interface UtcTime {
  /** 0 is the year before 1 AD. */
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 to 999999. */
  readonly micro: number;
}

/**
 * Any number of microseconds since the epoch in the calendar. `Date` knows no times beyond 8.64e18 of them, the engine and the producers of
 * messages do.
 */
export function utcTime(micros: bigint): UtcTime {
  const withinCycle = modulo(micros, CYCLE_MICROS);
  const cycles = Number((micros - withinCycle) / CYCLE_MICROS);
  const micro = modulo(micros, MICROS_PER_SECOND);
  const date = new Date(Number((withinCycle - micro) / 1000n));
  return {
    year: date.getUTCFullYear() + cycles * CYCLE_YEARS,
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    micro: Number(micro),
  };
}

/** Microseconds since the epoch as ISO-8601 with milliseconds: `2026-01-31T12:00:00.500Z`; years outside of 0 to 9999 as `+294247-01-10T…`. */
export function isoTime(micros: bigint): string {
  const time = utcTime(micros);
  const { year } = time;
  const isPlain = year >= 0 && year <= 9999;
  const years = isPlain ? padded(year, 4) : `${year < 0 ? "-" : "+"}${padded(Math.abs(year), 6)}`;
  const millis = Math.floor(time.micro / 1000);
  return `${years}-${monthAndDay(time)}T${clockTime(time)}.${padded(millis, 3)}Z`;
}

/** `01-31`. */
export function monthAndDay({ month, day }: UtcTime): string {
  return `${padded(month, 2)}-${padded(day, 2)}`;
}

/** `12:00:00`, without the fraction. */
export function clockTime({ hour, minute, second }: UtcTime): string {
  return `${padded(hour, 2)}:${padded(minute, 2)}:${padded(second, 2)}`;
}

const YEAR_1 = -62_135_596_800_000_000n;
const YEAR_10000 = 253_402_300_800_000_000n;

/** True in the years 1 to 9999: those that SQL knows, and whose texts sort as they do. */
export function isFourDigitYear(micros: bigint): boolean {
  return micros >= YEAR_1 && micros < YEAR_10000;
}

/** The time itself, or the nearest one in the years 1 to 9999. */
export function nearestFourDigitYear(micros: bigint): bigint {
  if (isFourDigitYear(micros)) return micros;
  return micros < YEAR_1 ? YEAR_1 : YEAR_10000 - 1n;
}

function modulo(value: bigint, by: bigint): bigint {
  return ((value % by) + by) % by;
}

function padded(part: number, digits: number): string {
  return String(part).padStart(digits, "0");
}
