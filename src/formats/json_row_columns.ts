import { ROW_COLUMN } from "../core/batch.ts";
import { quoteIdentifier } from "../core/schema.ts";
import { type JsonField, type JsonSchema, nodeType, schemaColumns } from "./json_node.ts";

const METADATA_ORDER = ["_partition", "_offset", "_event_ts", "_key", "_headers"] as const;

/** The SELECT list of a decoded table: the schema's columns, the metadata, {@link ROW_COLUMN}; `value` gives a field's expression. */
export function rowColumns(
  schema: JsonSchema,
  value: (field: JsonField) => string | undefined,
): string {
  const items: string[] = [];
  let eventTime = "_event_ts";
  for (const field of schema) {
    const expression = value(field);
    if (field.node.kind === "event_time" && expression !== undefined) {
      eventTime = `coalesce(${expression}, _event_ts) AS _event_ts`;
    }
    if (field.column === "") continue;
    items.push(
      `(${expression ?? "NULL"})::${nodeType(field.node)} AS ${quoteIdentifier(field.column)}`,
    );
  }
  return [
    ...items,
    ...METADATA_ORDER.map((name) => name === "_event_ts" ? eventTime : name),
    ROW_COLUMN,
  ].join(", ");
}

/** The names of a decoded table's columns, quoted, in order. */
export function columnNames(schema: JsonSchema): string {
  return [
    ...schemaColumns(schema).map((column) => column.name),
    ...METADATA_ORDER,
    ROW_COLUMN,
  ].map(quoteIdentifier).join(", ");
}

/** The metadata columns of a raw table, as they are. */
export const RAW_METADATA = [...METADATA_ORDER, ROW_COLUMN].join(", ");
