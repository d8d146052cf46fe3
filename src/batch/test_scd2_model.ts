import { createHash } from "node:crypto";
import type { LoadCounts } from "./load_context.ts";

/**
 * An incoming row of one key: `v` is compared, `c` is carried along; `tie` tells apart all that is not compared. Moments are microseconds
 * since the epoch.
 */
export interface ModelRow {
  readonly at: bigint | undefined;
  readonly v: string | null;
  readonly c: string;
  readonly tie: string;
}

/** A version of one key; open without `to`. `tie` is that of the row that it was made from. */
export interface ModelVersion {
  readonly from: bigint;
  readonly to: bigint | undefined;
  readonly v: string | null;
  readonly c: string;
  readonly tie: string;
}

/** What a run is asked for. */
export interface ModelRun {
  readonly started: bigint;
  readonly eventTime: boolean;
  readonly soft: boolean;
  readonly ttl: bigint | undefined;
  readonly restate: bigint | undefined;
}

type Point =
  | {
    readonly kind: "row" | "version";
    readonly v: string | null;
    readonly c: string;
    readonly tie: string;
    /** The row's own time, where it stands elsewhere. */
    readonly seen?: bigint;
  }
  | {
    readonly kind: "closing";
    readonly v: string | null;
    readonly origin: bigint;
    readonly expiry: "no" | "kept" | "due";
  };

/** The hash of columns, given as the engine's texts of their values. */
export function modelHash(...values: readonly (string | null)[]): string {
  const text = values.map((value) =>
    value === null ? "N" : `${new TextEncoder().encode(value).length}:${value}`
  ).join("");
  return createHash("sha256").update(text).digest("hex");
}

/** The rows of one key have different values and no event time. */
export class AmbiguousKey extends Error {}

const latest = (moments: Iterable<bigint>): bigint | undefined =>
  [...moments].reduce<bigint | undefined>((a, b) => a === undefined || b > a ? b : a, undefined);

const later = (a: bigint, b: bigint): bigint => a > b ? a : b;

/** One key's versions after a run, by brute force: what `applyScd2` says, step by step. */
export function modelTimeline(
  existing: readonly ModelVersion[],
  rows: readonly ModelRow[],
  run: ModelRun,
): ModelVersion[] {
  const restate = run.restate;
  const kept = restate === undefined ? existing : existing
    .filter((version) => version.from < restate)
    .map((version) =>
      version.to !== undefined && version.to >= restate ? { ...version, to: undefined } : version
    );
  const points = new Map<bigint, Point>();
  for (const version of kept) addVersion(points, kept, version, run);
  if (run.eventTime) addEvents(points, existing, rows, run);
  else addCurrentRow(points, rows, run);
  dropOverruledEnds(points);
  return versionsOf(points, run, existing, rows.length > 0);
}

function addVersion(
  points: Map<bigint, Point>,
  all: readonly ModelVersion[],
  { from, to, v, c, tie }: ModelVersion,
  { started, ttl, restate }: ModelRun,
): void {
  points.set(from, { kind: "version", v, c, tie });
  if (to === undefined) {
    if (ttl !== undefined && restate === undefined && from < started - ttl) {
      points.set(from + ttl, { kind: "closing", v, origin: from, expiry: "due" });
    }
  } else if (!all.some((other) => other.from === to)) {
    const expiry = ttl !== undefined && to >= from + ttl ? "kept" : "no";
    points.set(to, { kind: "closing", v, origin: from, expiry });
  }
}

function addEvents(
  points: Map<bigint, Point>,
  existing: readonly ModelVersion[],
  rows: readonly ModelRow[],
  { started, soft, ttl, restate }: ModelRun,
): void {
  const placed = rows.map((row) => ({ ...row, at: row.at ?? started }));
  const rank = ({ v, c }: ModelRow) => modelHash(v) + modelHash(c);
  const byRank = placed.toSorted((a, b) =>
    a.at === b.at ? (rank(a) < rank(b) ? -1 : 1) : a.at < b.at ? -1 : 1
  );
  const winners = new Map(byRank.map((row) => [row.at, row]));
  for (const { at, v, c, tie } of winners.values()) {
    const there = points.get(at);
    if (there?.kind === "version" && there.v === v) continue;
    points.set(at, { kind: "row", v, c, tie });
  }
  const last = latest(points.keys());
  const end = last === undefined ? undefined : points.get(last);
  const row = byRank.at(-1);
  if (soft && row !== undefined && last !== undefined && end?.kind === "closing") {
    const removed = latest(
      existing.filter(({ from, to }) =>
        restate !== undefined && from >= restate &&
        (to === undefined || (ttl !== undefined && to >= from + ttl))
      ).map(({ from }) => from),
    );
    if (removed !== undefined) points.set(removed, { ...row, kind: "row", seen: row.at });
    else if (end.expiry === "no") points.set(later(last, started), { ...row, kind: "row" });
  }
}

function addCurrentRow(
  points: Map<bigint, Point>,
  rows: readonly ModelRow[],
  { started }: ModelRun,
): void {
  const row = rows[0];
  if (row === undefined) return;
  if (rows.some(({ v }) => v !== row.v)) throw new AmbiguousKey();
  const last = latest(points.keys());
  const end = last === undefined ? undefined : points.get(last);
  if (end?.kind === "closing" && end.expiry !== "no" && end.v === row.v) return;
  const at = last === undefined || last < started ? started : last + 1n;
  points.set(at, { ...row, kind: "row" });
}

function inOrder(points: ReadonlyMap<bigint, Point>): [bigint, Point][] {
  return [...points].toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
}

function dropOverruledEnds(points: Map<bigint, Point>): void {
  const ordered = inOrder(points);
  const dropped: bigint[] = [];
  for (const [index, [at, point]] of ordered.entries()) {
    if (point.kind !== "closing" || point.expiry === "no") continue;
    const before = ordered[index - 1];
    if (before === undefined) continue;
    const next = ordered[index + 1];
    let groupStart = before[0];
    for (let back = index - 2; back >= 0; back -= 1) {
      const earlier = ordered[back];
      if (earlier === undefined) break;
      if (earlier[1].kind === "closing" || earlier[1].v !== before[1].v) break;
      groupStart = earlier[0];
    }
    const gives = point.expiry === "due" && next !== undefined && next[1].v !== before[1].v;
    if (groupStart > point.origin || gives) dropped.push(at);
  }
  for (const at of dropped) points.delete(at);
}

function versionsOf(
  points: ReadonlyMap<bigint, Point>,
  { started, ttl, soft, restate }: ModelRun,
  existing: readonly ModelVersion[],
  hasRows: boolean,
): ModelVersion[] {
  const versions: (Omit<ModelVersion, "to"> & { to: bigint | undefined })[] = [];
  let current: (typeof versions)[number] | undefined;
  let lastMember = 0n;
  for (const [at, point] of inOrder(points)) {
    if (point.kind !== "closing" && current !== undefined && current.v === point.v) {
      lastMember = later(lastMember, point.seen ?? at);
      continue;
    }
    if (current !== undefined) current.to = at;
    current = undefined;
    if (point.kind === "closing") continue;
    current = { from: at, to: undefined, v: point.v, c: point.c, tie: point.tie };
    versions.push(current);
    lastMember = at;
  }
  if (current === undefined) return versions;
  if (ttl !== undefined && current.from < started - ttl) {
    current.to = later(current.from + ttl, lastMember + 1n);
  } else if (soft && !hasRows) {
    const wasOpen = existing.some(({ to }) => to === undefined);
    const known = latest(existing.flatMap(({ to }) => to === undefined ? [] : [to]));
    current.to = restate !== undefined && !wasOpen && known !== undefined
      ? known
      : later(started, current.from + 1n);
  }
  return versions;
}

/** What a run did to one key, by comparison. */
export function modelCounts(
  before: readonly ModelVersion[],
  after: readonly ModelVersion[],
): Required<Omit<LoadCounts, "rowsUnchanged">> {
  const counts = { rowsInserted: 0, rowsClosed: 0, rowsUpdated: 0, rowsDeleted: 0 };
  for (const version of after) {
    const old = before.find(({ from }) => from === version.from);
    if (old === undefined) counts.rowsInserted += 1;
    else if (old.to === undefined && version.to !== undefined) counts.rowsClosed += 1;
    else if (old.to !== version.to || old.v !== version.v || old.tie !== version.tie) {
      counts.rowsUpdated += 1;
    }
  }
  for (const version of before) {
    if (!after.some(({ from }) => from === version.from)) counts.rowsDeleted += 1;
  }
  return counts;
}
