import { FlowError } from "../core/error.ts";
import type { TableInput } from "./builder.ts";
import { callerOrigin } from "./caller_origin.ts";
import type { ColumnDefinition } from "./column_builder.ts";
import { isRecord } from "./key_names.ts";
import { tableForm } from "./pipeline_schema.ts";
import { plainRecord, Sealed } from "./plain_data.ts";

/** A table that pipelines write, made by {@link table}. */
export class TableDefinition<Column extends string = string> extends Sealed {
  /** Only for the type checker: names of the columns, for messages about keys that are none. */
  declare readonly columnNames?: Column;
}

/** What {@link table} takes besides the columns. */
export interface TableOptions<Column extends string = string> {
  /** Further sets of columns that are unique together: `[["email", "name"]]`. */
  readonly unique?: readonly (readonly Column[])[];
  /** Columns by which rows are merged, whatever other keys the table has. */
  readonly mergeKeys?: readonly Column[];
}

/**
 * Declares a table: its name (`"schema.name"`), its columns, and what makes its rows unique. Without columns it is taken as it is in the
 * database, or made of what the query gives. Nothing happens before a pipeline that writes it runs.
 *
 * @throws FlowError of code `definition_invalid` when the name is none.
 *
 * @example
 * ```ts
 * import { bigint, string, table, text, timestamptz } from "flow";
 *
 * const customerDim = table("analytics.customer_dim", {
 *   customer_id: bigint().primaryKey(),
 *   email: string(256).nullable().lower().trim(),
 *   name: text().nullable(),
 *   updated_at: timestamptz().parseTimestamp(),
 * }, { unique: [["email", "name"]] });
 * ```
 */
export function table<Column extends string = string>(
  name: TableInput,
  columns: Readonly<Record<Column, ColumnDefinition>> = {} as Record<Column, ColumnDefinition>,
  options: TableOptions<NoInfer<Column>> = {},
): TableDefinition<Column> {
  const origin = callerOrigin(table);
  const ref = tableForm(name);
  if (!isRecord(ref) || typeof ref["name"] !== "string" || ref["name"] === "") {
    throw new FlowError(`table(${JSON.stringify(name)}): this is no table's name`, {
      code: "definition_invalid",
      domain: "user",
      hint:
        'give "name", "schema.name" or ["schema", "name"]; a name with dots stands in double quotes',
    });
  }
  const content = plainRecord({ ...ref, columns, ...options, origin });
  return new TableDefinition(
    `table ${[ref["schema"], ref["name"]].filter(Boolean).join(".")}`,
    content,
  );
}
