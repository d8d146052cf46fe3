import type { BatchTarget } from "../core/batch_spec.ts";
import type { TableRef } from "../core/connector.ts";
import type { DatabaseTable, Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { TargetColumn } from "../core/schema.ts";
import type { DeclaredColumn } from "../core/table_spec.ts";
import { ColumnNames } from "./column_names.ts";
import { BATCH_ID, IS_CURRENT, LOADED_AT, ROW_HASH, VALID_FROM, VALID_TO } from "./load_context.ts";
import { typeRelation } from "./type_relation.ts";

/** What has to be done to a table before rows can be written, and what is worth telling about it. */
export interface TablePlan {
  /** Statements of DDL, in order. */
  readonly ddl: readonly string[];
  /** Columns that the table cannot take (missing under `on_drift = "warn"`); they are not written. */
  readonly skipped: readonly string[];
  readonly notices: readonly string[];
}

interface AddedColumn extends DeclaredColumn {
  readonly key?: boolean;
}

const TIMES = "TIMESTAMP WITH TIME ZONE";

function added(name: string, type: string, nullable: boolean): DeclaredColumn {
  return { name, type, nullable, normalizers: [] };
}

/** The columns that flow adds to the tables of a mode. */
export function augmentedColumns(mode: BatchTarget["mode"]): readonly DeclaredColumn[] {
  const versions = mode !== "scd2" ? [] : [
    added(VALID_FROM, TIMES, false),
    added(VALID_TO, TIMES, true),
    added(IS_CURRENT, "BOOLEAN", false),
    added(ROW_HASH, "BLOB", false),
  ];
  return [...versions, added(LOADED_AT, TIMES, false), added(BATCH_ID, "UUID", false)];
}

/** `schema.table`, for messages. */
export function shownTable({ schema, name }: TableRef): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

/**
 * Compares the table with its declaration and plans what has to happen first: making it, adding columns, widening types.
 *
 * @param keys the columns that tell rows apart
 * @throws FlowError `target_table_missing`, `schema_drift`, `target_not_versioned`
 */
export function planTable(
  dialect: Dialect,
  target: BatchTarget,
  columns: readonly DeclaredColumn[],
  keys: readonly string[],
  table: DatabaseTable | undefined,
): TablePlan {
  if (table === undefined) {
    if (!target.create) throw tableMissing(target.table.ref);
    return { ddl: createTable(dialect, target, columns, keys), skipped: [], notices: [] };
  }
  return evolveTable(dialect, target, columns, table);
}

function tableMissing(ref: TableRef): FlowError {
  return new FlowError(`there is no table ${shownTable(ref)}`, {
    code: "target_table_missing",
    domain: "user",
    hint: "make the table, or let the run make it: create = true",
    details: { table: shownTable(ref) },
  });
}

function createTable(
  dialect: Dialect,
  target: BatchTarget,
  columns: readonly DeclaredColumn[],
  keys: readonly string[],
): readonly string[] {
  const { ref, primaryKey, uniqueGroups, naturalKey } = target.table;
  const versioned = target.mode === "scd2";
  const primary = versioned
    ? [...keys, VALID_FROM]
    : primaryKey.length > 0
    ? primaryKey
    : target.mode === "merge" || target.mode === "incremental"
    ? keys
    : [];
  // What is unique among rows is not among their versions.
  const unique = versioned ? [] : distinctGroups([naturalKey, ...uniqueGroups, keys], primary);
  const indexed = keyColumns(dialect, [primary, ...unique]);
  const definitions = [...columns, ...augmentedColumns(target.mode)].map((column) => {
    const notNull = !column.nullable || primary.includes(column.name) ? " NOT NULL" : "";
    return `${dialect.quote(column.name)} ${nativeType(dialect, column, indexed)}${notNull}`;
  });
  const list = (names: readonly string[]) => names.map((name) => dialect.quote(name)).join(", ");
  if (primary.length > 0) definitions.push(`PRIMARY KEY (${list(primary)})`);
  for (const group of unique) definitions.push(`UNIQUE (${list(group)})`);
  const schema = ref.schema === undefined ? undefined : dialect.createSchema(ref.schema);
  return [
    ...(schema === undefined ? [] : [schema]),
    `CREATE TABLE ${dialect.tableName(ref)} (${definitions.join(", ")})`,
  ];
}

function nativeType(
  dialect: Dialect,
  column: AddedColumn,
  indexed: ColumnNames<{ readonly name: string }>,
): string {
  if (column.ownType !== undefined) return column.ownType.name;
  return dialect.columnType(column.type, {
    key: indexed.has(column.name),
    ...(column.maxLength === undefined ? {} : { maxLength: column.maxLength }),
  });
}

function keyColumns(
  dialect: Dialect,
  groups: readonly (readonly string[])[],
): ColumnNames<{ readonly name: string }> {
  return new ColumnNames(dialect, groups.flat().map((name) => ({ name })));
}

function distinctGroups(
  groups: readonly (readonly string[])[],
  primary: readonly string[],
): readonly (readonly string[])[] {
  const seen = new Set([identity(primary), ""]);
  return groups.filter((group) => {
    const id = identity(group);
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}

function identity(group: readonly string[]): string {
  return group.toSorted().join("\n");
}

function evolveTable(
  dialect: Dialect,
  target: BatchTarget,
  columns: readonly DeclaredColumn[],
  table: DatabaseTable,
): TablePlan {
  const name = dialect.tableName(target.table.ref);
  const inTable = new ColumnNames(dialect, table.columns);
  const known = new ColumnNames(dialect, [...columns, ...augmentedColumns("scd2")]);
  const indexed = keyColumns(dialect, [table.primaryKey, ...table.uniqueKeys]);
  const ddl: string[] = [];
  const drift: string[] = [];
  const conflicts: string[] = [];
  const skipped: string[] = [];
  const evolves = target.onDrift === "evolve";
  for (const declared of columns) {
    const column = indexed.has(declared.name) ? asKey(dialect, declared) : declared;
    const there = inTable.get(column.name);
    if (there === undefined) {
      if (evolves) {
        ddl.push(dialect.addColumn(name, column.name, nativeType(dialect, column, indexed)));
      } else {
        drift.push(`column \`${column.name}\` is declared but missing in the table`);
        skipped.push(column.name);
      }
      continue;
    }
    const relation = typeRelation(column, there, dialect.keepsAnyValue);
    if (relation === "fits") continue;
    const native = nativeType(dialect, column, indexed);
    const widened = evolves && relation === "widen"
      ? dialect.widenColumn(name, there.name, native, there)
      : undefined;
    if (widened !== undefined) ddl.push(widened);
    else conflicts.push(mismatch(column, there));
  }
  for (const column of table.columns) {
    if (known.has(column.name)) continue;
    const unfilled = !column.nullable && !column.hasDefault;
    if (unfilled) conflicts.push(`column \`${column.name}\` takes no NULL, and is not declared`);
    else if (!evolves && target.table.columns.length > 0) {
      drift.push(`column \`${column.name}\` exists in the table but is not declared`);
    }
  }
  addAugmented(dialect, target, name, inTable, ddl);
  const found = [...drift, ...conflicts];
  const text = `schema drift detected:\n${found.map((line) => `  - ${line}`).join("\n")}`;
  if (target.onDrift === "warn") {
    return { ddl, skipped, notices: found.length === 0 ? [] : [text] };
  }
  if (found.length > 0) throw driftError(target, text);
  return { ddl, skipped, notices: ddl.map((statement) => `the table was changed: ${statement}`) };
}

/** The column with the length that its text gets in a key. */
function asKey({ keyTextLength }: Dialect, column: DeclaredColumn): DeclaredColumn {
  const isLimited = column.type === "VARCHAR" && keyTextLength !== undefined;
  return isLimited ? { maxLength: keyTextLength, ...column } : column;
}

/** The columns that flow itself keeps in the table. A table of unversioned rows does not become one of versions by the way. */
function addAugmented(
  dialect: Dialect,
  target: BatchTarget,
  name: string,
  inTable: ColumnNames<TargetColumn>,
  ddl: string[],
): void {
  const missing = augmentedColumns(target.mode).filter((column) => !inTable.has(column.name));
  const unversioned = missing.filter((column) =>
    column.name !== LOADED_AT && column.name !== BATCH_ID
  );
  if (unversioned.length > 0) {
    const shown = shownTable(target.table.ref);
    throw new FlowError(
      `the table ${shown} keeps no versions: it has no ${
        unversioned.map((column) => column.name).join(", ")
      }`,
      {
        code: "target_not_versioned",
        domain: "user",
        hint: "give mode scd2 a table of its own; flow makes it",
        details: { table: shown },
      },
    );
  }
  for (const column of missing) {
    ddl.push(dialect.addColumn(name, column.name, dialect.columnType(column.type)));
  }
}

function mismatch(declared: DeclaredColumn, there: TargetColumn): string {
  const length = declared.maxLength === undefined ? "" : `(${declared.maxLength})`;
  return `type mismatch: \`${declared.name}\` declared ${declared.type}${length}, reflected ${there.nativeType}`;
}

function driftError(target: BatchTarget, text: string): FlowError {
  return new FlowError(text, {
    code: "schema_drift",
    domain: "user",
    hint: target.onDrift === "error"
      ? 'change the table or its declaration; onDrift "evolve" adds columns and widens types by itself'
      : "change the table or its declaration: this is more than adding a column or widening a type",
    details: { table: shownTable(target.table.ref) },
  });
}
