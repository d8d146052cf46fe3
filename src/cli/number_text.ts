import { isoTime } from "../core/utc_time.ts";

/** A whole number with thousands separated: `1,204,000`. */
export function countText(count: number): string {
  return Math.round(count).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 row`, `2,000 rows`. */
export function rowsText(rows: number): string {
  return `${countText(rows)} ${rows === 1 ? "row" : "rows"}`;
}

/** A duration for people: `85 ms`, `1.2 s`, `3 min 5 s`, `2 h 4 min`. */
export function durationText(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  return `${countText(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

/** A number of bytes for people: `812 B`, `1.5 MB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** Microseconds since the epoch as `2026-01-01T00:00:00Z`. */
export function timeText(micros: number): string {
  return isoTime(BigInt(Math.trunc(micros))).replace(/\.\d+Z$/, "Z");
}
