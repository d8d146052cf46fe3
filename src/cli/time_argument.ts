import type { Clock } from "../core/clock.ts";
import { refusedValue } from "./flags.ts";

const TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?$/;
const ZONE = /(?:Z|[+-]\d\d:?\d\d)$/i;
const AGE = /^(\d+)\s*([smhdw])$/;
const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * A date or time of the command line as ISO-8601 with a zone: without one it is UTC, a date is its midnight. Digits of the fraction are kept.
 *
 * @throws FlowError `usage_invalid` when it is none.
 */
export function timeArgument(flag: string, text: string, takes: string): string {
  const zone = ZONE.exec(text)?.[0] ?? "";
  // The hour's minus of a date alone is no zone.
  const [local, suffix] = /^\d{4}-\d\d-\d\d$/.test(text)
    ? [text, ""]
    : [text.slice(0, text.length - zone.length), zone];
  if (!TIME.test(local)) throw refusedValue(flag, { takes }, text);
  const withTime = local.length === 10 ? `${local}T00:00:00` : local.replace(" ", "T");
  const iso = `${withTime}${suffix === "" ? "Z" : suffix.toUpperCase()}`;
  const time = new Date(iso);
  // 30 February is rolled over to March otherwise.
  const day = new Date(`${local.slice(0, 10)}T00:00:00Z`);
  const isDay = !Number.isNaN(day.getTime()) &&
    day.toISOString().startsWith(local.slice(0, 10));
  if (Number.isNaN(time.getTime()) || !isDay) throw refusedValue(flag, { takes }, text);
  return iso;
}

/**
 * The time that `--since` means: a time as {@link timeArgument} takes it, or an age (`90m`, `24h`, `7d`).
 *
 * @throws FlowError `usage_invalid` when it is neither.
 */
export function sinceArgument(text: string, clock: Clock): string {
  const [, amount = "", unit = ""] = AGE.exec(text) ?? [];
  if (amount === "") {
    return timeArgument("since", text, "a time in ISO-8601, or an age such as 90m, 24h or 7d");
  }
  const since = new Date(clock.now() - Number(amount) * (UNIT_MS[unit] ?? 0));
  if (Number.isNaN(since.getTime())) {
    throw refusedValue("since", { takes: "an age that is not older than time itself" }, text);
  }
  return since.toISOString();
}
