import { FlowError } from "../../core/error.ts";
import type { Column, TargetColumn } from "../../core/schema.ts";
import { nearestName } from "./column_map.ts";

/** `target_table_missing`: the table is not there, and flow may not make it. */
export function targetTableMissing(table: string): FlowError {
  return new FlowError(
    `the target table ${table} does not exist, and the target says create = false`,
    {
      code: "target_table_missing",
      domain: "user",
      hint:
        "create the table, or leave out create = false so that flow makes it from the first batch",
      details: { table },
    },
  );
}

/** `target_column_unknown`: the batch has a column that the table lacks. */
export function targetColumnUnknown(
  table: string,
  column: string,
  targets: readonly TargetColumn[],
): FlowError {
  const nearest = nearestName(column, targets.map((target) => target.name));
  return new FlowError(`the target table ${table} has no column "${column}"`, {
    code: "target_column_unknown",
    domain: "user",
    hint: (nearest === undefined ? "" : `did you mean "${nearest}"? Otherwise `) +
      "add the column to the table, or leave it out with [transform] sql",
    details: { table, column, ...(nearest === undefined ? {} : { nearest }) },
  });
}

/** `target_type_mismatch`: no value of the column could go into the target's column. */
export function targetTypeMismatch(
  table: string,
  column: Column,
  target: TargetColumn,
  hint: string,
): FlowError {
  return new FlowError(
    `column "${column.name}" (${column.type}) cannot go into ${table}."${target.name}" (${target.nativeType})`,
    {
      code: "target_type_mismatch",
      domain: "user",
      hint,
      details: { table, column: column.name, type: column.type, targetType: target.nativeType },
    },
  );
}

/** `target_column_required`: the table wants a value that no row of the batch has. */
export function targetColumnRequired(
  table: string,
  target: TargetColumn,
  columns: readonly Column[],
): FlowError {
  const nearest = nearestName(target.name, columns.map((column) => column.name));
  return new FlowError(
    `the target table ${table} requires a value in "${target.name}" (${target.nativeType} NOT NULL), ` +
      "and the rows have no such column",
    {
      code: "target_column_required",
      domain: "user",
      hint: (nearest === undefined ? "" : `is "${nearest}" meant? `) +
        "Name it with [transform] sql, give the column a DEFAULT, or drop its NOT NULL",
      details: { table, column: target.name },
    },
  );
}
