import { nearestName } from "../config/key_names.ts";
import type { BatchTarget } from "../core/batch_spec.ts";
import type { Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import { ColumnNames } from "./column_names.ts";

/**
 * The target with every column that its load names called as it comes. Declarations are checked before; a table without any takes
 * its columns from the query, which is known only now.
 *
 * @throws FlowError `query_column_missing`
 */
export function namedColumns(
  pipeline: string,
  target: BatchTarget,
  columns: readonly { readonly name: string }[],
  dialect: Dialect,
): BatchTarget {
  const known = new ColumnNames(dialect, columns);
  const { eventTimestampColumn, table } = target;
  const list = (names: readonly string[], role: string) => names.map((name) => found(name, role));
  return {
    ...target,
    table: {
      ...table,
      primaryKey: list(table.primaryKey, "in the primary key"),
      naturalKey: list(table.naturalKey, "in the natural key"),
      uniqueGroups: table.uniqueGroups.map((group) => list(group, "in a unique group")),
      mergeKeys: list(table.mergeKeys, "in the merge keys"),
    },
    keys: list(target.keys, "as a key"),
    compareColumns: list(target.compareColumns, "in compareColumns"),
    updateColumns: list(target.updateColumns, "in updateColumns"),
    ...(eventTimestampColumn === undefined
      ? {}
      : { eventTimestampColumn: found(eventTimestampColumn, "as eventTimestampColumn") }),
  };

  function found(name: string, role: string): string {
    const column = known.get(name);
    if (column !== undefined) return column.name;
    throw new FlowError(
      `the query of pipeline '${pipeline}' gives no column '${name}', which is named ${role}`,
      {
        code: "query_column_missing",
        domain: "user",
        hint: missingColumnHint(name, columns),
        details: { pipeline, column: name },
      },
    );
  }
}

/** What to do about a name that is none of the columns: the one that was probably meant, and what there is. */
export function missingColumnHint(
  name: string,
  columns: readonly { readonly name: string }[],
): string {
  const names = columns.map((column) => column.name);
  const near = nearestName(name, names);
  const gives = `it gives ${names.join(", ")}; add the column to the query`;
  return near === undefined ? gives : `did you mean '${near}'? ${gives}`;
}
