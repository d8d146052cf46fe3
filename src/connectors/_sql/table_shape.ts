import type { Column, TargetColumn } from "../../core/schema.ts";
import type { WriteMode } from "../../core/sink.ts";
import { type ColumnMap, mapColumns } from "./column_map.ts";
import { type KeyedTable, mergeKeys, newTableKeys } from "./merge_keys.ts";
import { targetColumnRequired, targetColumnUnknown, targetTableMissing } from "./target_error.ts";

/** What is asked of a table, and the means to change it. */
export interface TableShaper<Target extends TargetColumn, Table extends TableOf<Target>> {
  /** The table's name for messages. */
  readonly shown: string;
  readonly mode: WriteMode;
  readonly keys: readonly string[];
  /** Make the table when it is missing. */
  readonly create: boolean;
  /** True when this pipeline has written to the target before: new columns are then added instead of refused. */
  known(): Promise<boolean>;
  /** Why the target can have no column of that name; `undefined` when it can. */
  unmakable?(name: string): string | undefined;
  read(): Promise<Table | undefined>;
  makeTable(columns: readonly Column[], keys: readonly string[]): Promise<void>;
  addColumns(columns: readonly Column[]): Promise<void>;
}

/** A table with columns of the target's own kind. */
export type TableOf<Target extends TargetColumn> = Omit<KeyedTable, "shown" | "columns"> & {
  readonly columns: readonly Target[];
};

/** A column that the table lacks and cannot get: rows with a value in it are to be refused. */
export interface RefusedColumn {
  readonly column: Column;
  readonly reason: string;
}

/** A table that is ready for a batch. */
export interface ShapedTable<Target extends TargetColumn, Table> {
  readonly table: Table;
  readonly map: ColumnMap<Target>;
  readonly refused: readonly RefusedColumn[];
  /** Key columns of a merge by their names in the table; empty for append. */
  readonly keys: readonly string[];
}

/**
 * Makes the table, and the columns it lacks, ready for a batch. Columns that the target cannot have are left out.
 *
 * @param current the table as it is known to be; read when not given
 * @throws FlowError `target_table_missing`, `target_column_unknown`, `target_column_required`, `target_key_missing`,
 * `target_key_not_unique` (user).
 */
export async function shapeTable<Target extends TargetColumn, Table extends TableOf<Target>>(
  shaper: TableShaper<Target, Table>,
  columns: readonly Column[],
  current: Table | undefined,
): Promise<ShapedTable<Target, Table>> {
  const { shown } = shaper;
  let table = current ?? await shaper.read();
  if (table === undefined) {
    if (!shaper.create) throw targetTableMissing(shown);
    const makable = columns.filter(({ name }) => shaper.unmakable?.(name) === undefined);
    const keys = shaper.mode === "append" ? [] : newTableKeys(shown, shaper.keys, makable);
    await shaper.makeTable(makable, keys);
    table = await reread(shaper);
  }
  let map = mapColumns(columns, table.columns);
  const refused = map.unknown.flatMap((column) => {
    const reason = shaper.unmakable?.(column.name);
    return reason === undefined ? [] : [{ column, reason }];
  });
  const lacking = map.unknown.filter((column) => !refused.some((one) => one.column === column));
  const [unknown] = lacking;
  if (unknown !== undefined) {
    if (!(await shaper.known())) throw targetColumnUnknown(shown, unknown.name, table.columns);
    await shaper.addColumns(lacking);
    table = await reread(shaper);
    map = mapColumns(columns, table.columns);
  }
  for (const target of map.absent) {
    if (!target.nullable && !target.hasDefault) throw targetColumnRequired(shown, target, columns);
  }
  const written = map.pairs.map(({ target }) => target.name);
  const keys = shaper.mode === "append" ? [] : mergeKeys({ ...table, shown }, shaper.keys, written);
  return { table, map, refused, keys };
}

async function reread<Target extends TargetColumn, Table extends TableOf<Target>>(
  shaper: TableShaper<Target, Table>,
): Promise<Table> {
  const table = await shaper.read();
  if (table === undefined) throw targetTableMissing(shaper.shown);
  return table;
}
