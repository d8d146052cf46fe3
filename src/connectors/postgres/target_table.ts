import type { TableRef } from "../../core/connector.ts";
import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import { MADE_BY_FLOW } from "../_sql/widening.ts";
import { qualifiedName, shownName } from "./catalog.ts";
import type { PostgresConnection } from "./connection.ts";
import { postgresType } from "./type_map.ts";

/** Longest name; Postgres cuts longer ones without an error. */
export const MAX_NAME_BYTES = 63;

/** Creates the table (and its schema) from a batch's columns, `keys` being its primary key. Within the open transaction. */
export async function createTable(
  connection: PostgresConnection,
  table: TableRef,
  columns: readonly Column[],
  keys: readonly string[],
): Promise<void> {
  if (table.schema !== undefined) await createSchema(connection, table.schema);
  const definitions = columns.map((column) => definition(table, column));
  if (keys.length > 0) definitions.push(`PRIMARY KEY (${keys.map(quoteIdentifier).join(", ")})`);
  await connection.query(
    `CREATE TABLE IF NOT EXISTS ${qualifiedName(table)} (${definitions.join(", ")})`,
  );
  await markColumns(connection, table, columns);
}

/** Adds columns that came up in mid-stream; rows that are there have NULL in them. Within the open transaction. */
export async function addColumns(
  connection: PostgresConnection,
  table: TableRef,
  columns: readonly Column[],
): Promise<void> {
  const added = columns.map((column) => `ADD COLUMN IF NOT EXISTS ${definition(table, column)}`);
  await connection.query(`ALTER TABLE ${qualifiedName(table)} ${added.join(", ")}`);
  await markColumns(connection, table, columns);
}

async function markColumns(
  connection: PostgresConnection,
  table: TableRef,
  columns: readonly Column[],
): Promise<void> {
  const name = qualifiedName(table);
  const comments = columns.map((column) =>
    `COMMENT ON COLUMN ${name}.${quoteIdentifier(column.name)} IS ${quoteLiteral(MADE_BY_FLOW)}`
  );
  await connection.query(comments.join("; "));
}

async function createSchema(connection: PostgresConnection, schema: string): Promise<void> {
  // CREATE SCHEMA wants a right that is not needed when the schema is there.
  const { rows } = await connection.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [
    schema,
  ]);
  if (rows.length > 0) return;
  await connection.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
}

function definition(table: TableRef, column: Column): string {
  if (new TextEncoder().encode(column.name).length > MAX_NAME_BYTES) {
    throw new FlowError(
      `cannot create the column "${column.name}" in ${
        shownName(table)
      }: Postgres cuts names after ${MAX_NAME_BYTES} bytes`,
      {
        code: "target_column_name_too_long",
        domain: "user",
        hint: "give the column a shorter name with [transform] sql",
        details: { table: shownName(table), column: column.name },
      },
    );
  }
  return `${quoteIdentifier(column.name)} ${postgresType(column.type)}`;
}
