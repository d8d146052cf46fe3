import type { TableRef } from "../../core/connector.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import { MADE_BY_FLOW } from "../_sql/widening.ts";
import { qualifiedName } from "./catalog.ts";
import { PostgresConnection } from "./connection.ts";
import { isServerError } from "./postgres_error.ts";
import { postgresType } from "./type_map.ts";

/** Longest name; Postgres cuts longer ones without an error. */
export const MAX_NAME_BYTES = 63;

/** Names that columns of the system have in every table. */
const SYSTEM_COLUMNS = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]);

/** Why no table can have a column of that name; `undefined` when one can. */
export function unmakable(name: string): string | undefined {
  if (SYSTEM_COLUMNS.has(name)) return "is the name of a system column of Postgres";
  return new TextEncoder().encode(name).length > MAX_NAME_BYTES
    ? `has a name of more than ${MAX_NAME_BYTES} bytes, which Postgres would cut`
    : undefined;
}

/** Creates the table from a batch's columns, `keys` being its primary key. Within the open transaction. */
export async function createTable(
  connection: PostgresConnection,
  table: TableRef,
  columns: readonly Column[],
  keys: readonly string[],
): Promise<void> {
  const definitions = columns.map((column) => definition(column));
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
  const added = columns.map((column) => `ADD COLUMN IF NOT EXISTS ${definition(column)}`);
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

/**
 * Makes the schema where it is missing, at once and not in the open transaction: another target of the same pipeline may need it before this one
 * commits, and would wait for ever.
 *
 * @returns true when it was missing: a transaction that has looked for it before may not see it
 */
export async function createSchema(
  connection: PostgresConnection,
  schema: string,
): Promise<boolean> {
  // CREATE SCHEMA wants a right that is not needed when the schema is there.
  const { rows } = await connection.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", [
    schema,
  ]);
  if (rows.length > 0) return false;
  const own = await PostgresConnection.connect(connection.address);
  try {
    await own.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
  } catch (error) {
    // Another process made it in the same moment: IF NOT EXISTS does not see what is not committed.
    const raced = isServerError(error) && (error.code === "23505" || error.code === "42P06");
    if (!raced) throw error;
  } finally {
    await own.close();
  }
  return true;
}

function definition(column: Column): string {
  return `${quoteIdentifier(column.name)} ${postgresType(column.type)}`;
}
