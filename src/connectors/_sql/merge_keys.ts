import { FlowError } from "../../core/error.ts";
import type { Column, TargetColumn } from "../../core/schema.ts";
import { mapColumns, nearestName } from "./column_map.ts";
import { targetColumnUnknown } from "./target_error.ts";

/** What a table says about its keys; columns by their names in the table. */
export interface KeyedTable {
  /** For messages. */
  readonly shown: string;
  readonly columns: readonly TargetColumn[];
  readonly primaryKey: readonly string[];
  /** Column sets that the table keeps unique, the primary key's included. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

/**
 * The columns by which a merge finds rows, by their names in the table: `keys`, or its primary key. The table must keep them unique, and
 * the rows must have them.
 *
 * @param written the table's columns that the rows have
 * @throws FlowError `target_key_missing`, `target_key_not_unique`, `target_column_unknown` (user).
 */
export function mergeKeys(
  table: KeyedTable,
  keys: readonly string[],
  written: readonly string[],
): readonly string[] {
  const found = keys.length === 0 ? table.primaryKey : keysInTable(table, keys);
  if (found.length === 0) {
    throw new FlowError(
      `cannot merge into ${table.shown}: it has no primary key, and the target names no keys`,
      {
        code: "target_key_missing",
        domain: "user",
        hint: 'set keys = ["column", …] in [target], or give the table a primary key',
        details: { table: table.shown },
      },
    );
  }
  const wanted = new Set(found);
  const isUnique = table.uniqueKeys.some((names) =>
    names.length === wanted.size && names.every((name) => wanted.has(name))
  );
  if (!isUnique) {
    throw new FlowError(
      `cannot merge into ${table.shown}: it has no unique index on exactly (${found.join(", ")})`,
      {
        code: "target_key_not_unique",
        domain: "user",
        hint: "make a unique index on these columns, or leave the table for flow to create",
        details: { table: table.shown, keys: found.join(", ") },
      },
    );
  }
  const lost = found.find((key) => !written.includes(key));
  if (lost !== undefined) throw keyMissing(table.shown, lost, written);
  return found;
}

/**
 * The primary key of a table that a merge makes: `keys` by the names of the batch's columns.
 *
 * @throws FlowError `target_key_missing` (user).
 */
export function newTableKeys(
  shown: string,
  keys: readonly string[],
  columns: readonly Column[],
): readonly string[] {
  const names = columns.map((column) => column.name);
  if (keys.length === 0) {
    throw new FlowError(`cannot create ${shown} for a merge: the target names no keys`, {
      code: "target_key_missing",
      domain: "user",
      hint: 'set keys = ["column", …] in [target]',
      details: { table: shown },
    });
  }
  const { pairs, unknown } = mapColumns(asColumns(keys), asTargets(names));
  const [missing] = unknown;
  if (missing !== undefined) throw keyMissing(shown, missing.name, names);
  return pairs.map(({ target }) => target.name);
}

function keysInTable(table: KeyedTable, keys: readonly string[]): string[] {
  const { pairs, unknown } = mapColumns(asColumns(keys), table.columns);
  const [missing] = unknown;
  if (missing !== undefined) throw targetColumnUnknown(table.shown, missing.name, table.columns);
  return pairs.map(({ target }) => target.name);
}

function asColumns(names: readonly string[]): Column[] {
  return names.map((name) => ({ name, type: "" }));
}

function asTargets(names: readonly string[]): TargetColumn[] {
  return names.map((name) => ({
    name,
    type: "",
    nativeType: "",
    nullable: true,
    hasDefault: false,
  }));
}

function keyMissing(shown: string, key: string, names: readonly string[]): FlowError {
  const nearest = nearestName(key, names);
  return new FlowError(`cannot merge into ${shown}: the rows have no column for its key "${key}"`, {
    code: "target_key_missing",
    domain: "user",
    hint: (nearest === undefined ? "" : `is "${nearest}" meant? `) +
      "Name it with [transform] sql, or set keys in [target]",
    details: { table: shown, key },
  });
}
