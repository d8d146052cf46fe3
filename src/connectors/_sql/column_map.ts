import { closest, distance } from "fastest-levenshtein";
import type { Column, TargetColumn } from "../../core/schema.ts";

/** Which column of a batch goes into which column of a target table. */
export interface ColumnMap<Target extends TargetColumn = TargetColumn> {
  readonly pairs: readonly { readonly column: Column; readonly target: Target }[];
  /** Columns of the batch that the target does not have. */
  readonly unknown: readonly Column[];
  /** Columns of the target that the batch does not have. */
  readonly absent: readonly Target[];
}

/**
 * Pairs columns by name: exactly, and where that finds nothing without regard to case, if just one column on either side has that name.
 */
export function mapColumns<Target extends TargetColumn>(
  columns: readonly Column[],
  targets: readonly Target[],
): ColumnMap<Target> {
  const free = new Map(targets.map((target) => [target.name, target]));
  const found = new Map<Column, Target>();
  for (const column of columns) {
    const target = free.get(column.name);
    if (target === undefined) continue;
    found.set(column, target);
    free.delete(column.name);
  }
  const leftColumns = Map.groupBy(
    columns.filter((column) => !found.has(column)),
    (column) => column.name.toLowerCase(),
  );
  const leftTargets = Map.groupBy(free.values(), (target) => target.name.toLowerCase());
  for (const [name, [column, ...moreColumns]] of leftColumns) {
    const [target, ...moreTargets] = leftTargets.get(name) ?? [];
    if (column === undefined || target === undefined) continue;
    if (moreColumns.length > 0 || moreTargets.length > 0) continue;
    found.set(column, target);
    free.delete(target.name);
  }
  return {
    pairs: columns.flatMap((column) => {
      const target = found.get(column);
      return target === undefined ? [] : [{ column, target }];
    }),
    unknown: columns.filter((column) => !found.has(column)),
    absent: [...free.values()],
  };
}

/** The candidate that `name` was probably meant to be; `undefined` when none is near. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined;
  const nearest = closest(name, [...candidates]);
  const limit = Math.max(2, Math.floor(name.length / 3));
  return distance(name.toLowerCase(), nearest.toLowerCase()) <= limit ? nearest : undefined;
}
