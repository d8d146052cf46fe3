import { closest, distance } from "fastest-levenshtein";

/**
 * A TypeScript name in TOML's spelling: `sourceQuery` becomes `source_query`. Underscores are doubled, so that {@link camelName} gives
 * back the very name, whatever it was.
 */
export function snakeName(name: string): string {
  return name.replace(
    /[A-Z_]/g,
    (char) => (char === "_" ? "__" : `_${char.toLowerCase()}`),
  );
}

/** A TOML name in TypeScript's spelling: `source_query` becomes `sourceQuery`. The inverse of {@link snakeName}. */
export function camelName(name: string): string {
  return name.replace(
    /_([a-z_])/g,
    (_all, char: string) => (char === "_" ? "_" : char.toUpperCase()),
  );
}

/** Plain data with all keys renamed, at every depth. Arrays keep their order; other values stay as they are. */
export function renameKeys(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renameKeys(item, rename));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [rename(key), renameKeys(item, rename)]),
  );
}

/** True for plain objects and TOML tables, the only values whose keys are part of a definition. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The valid name that the user probably meant, if one is near enough to be a slip of the pen. */
export function nearestName(name: string, valid: readonly string[]): string | undefined {
  if (valid.length === 0) return undefined;
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_ ]/g, "");
  const same = valid.find((candidate) => plain(candidate) === plain(name));
  if (same !== undefined) return same;
  const begun = valid.filter((candidate) => name.length > 2 && candidate.startsWith(name));
  if (begun.length === 1) return begun[0];
  const nearest = closest(name, [...valid]);
  const far = Math.max(2, Math.floor(Math.max(name.length, nearest.length) * 0.4));
  return distance(name, nearest) <= far ? nearest : undefined;
}
