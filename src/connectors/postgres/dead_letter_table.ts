import type { TableRef } from "../../core/connector.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import {
  DEAD_LETTER_COLUMNS,
  type DeadLetterColumn,
  latestPerId,
} from "../_sql/dead_letter_columns.ts";
import { qualifiedName, readTable } from "./catalog.ts";
import type { Parameter, PostgresConnection } from "./connection.ts";

const TYPES: Readonly<Record<DeadLetterColumn["type"], string>> = {
  text: "text",
  integer: "integer",
  bigint: "bigint",
  bytes: "bytea",
};

/** Bounds of one INSERT; a statement's parameters are held in memory several times over. */
const MAX_LETTERS = 1_000;
const MAX_BYTES = 4 << 20;

/** `schema.table`, or `table` in the default schema. */
export function deadLetterTable(name: string): TableRef {
  const dot = name.indexOf(".");
  return dot === -1 ? { name } : { schema: name.slice(0, dot), name: name.slice(dot + 1) };
}

/** Makes the table where it is missing, and adds the columns that an older one lacks. Within the open transaction. */
export async function ensureDeadLetterTable(
  connection: PostgresConnection,
  table: TableRef,
): Promise<void> {
  const name = qualifiedName(table);
  const there = await readTable(connection, table);
  if (there === undefined) {
    const columns = DEAD_LETTER_COLUMNS.map((column) =>
      `${column.name} ${TYPES[column.type]}${column.nullable ? "" : " NOT NULL"}`
    );
    await connection.query(
      `CREATE TABLE IF NOT EXISTS ${name} (${columns.join(", ")}, ` +
        "seq bigint GENERATED ALWAYS AS IDENTITY, status text NOT NULL DEFAULT 'pending', " +
        `leased_until bigint, PRIMARY KEY (id)); ` +
        `CREATE INDEX ON ${name} (pipeline_name, status); CREATE INDEX ON ${name} (pipeline_name, seq)`,
    );
    return;
  }
  const has = new Set(there.columns.map((column) => column.name));
  for (const column of DEAD_LETTER_COLUMNS) {
    if (has.has(column.name)) continue;
    await connection.query(
      `ALTER TABLE ${name} ADD COLUMN IF NOT EXISTS ${column.name} ${TYPES[column.type]}`,
    );
  }
}

/** Writes the letters within the open transaction; a letter that is there already gets the new attempt. */
export async function insertDeadLetters(
  connection: PostgresConnection,
  table: TableRef,
  letters: readonly DeadLetter[],
): Promise<void> {
  for (const part of parts(latestPerId(letters))) {
    const arrays: Parameter[] = DEAD_LETTER_COLUMNS.map((column) =>
      part.map((letter) => {
        const value = column.value(letter);
        return value instanceof Uint8Array ? `\\x${value.toHex()}` : value;
      })
    );
    await connection.query(insertSql(qualifiedName(table)), arrays);
  }
}

function insertSql(table: string): string {
  const names = DEAD_LETTER_COLUMNS.map((column) => quoteIdentifier(column.name)).join(", ");
  const arrays = DEAD_LETTER_COLUMNS.map((column, at) => `$${at + 1}::${TYPES[column.type]}[]`);
  const updated = ["stage", "error", "failed_at", "attempt"]
    .map((name) => `${name} = EXCLUDED.${name}`);
  return `INSERT INTO ${table} (${names}) SELECT * FROM unnest(${arrays.join(", ")}) ` +
    `ON CONFLICT (id) DO UPDATE SET ${updated.join(", ")}`;
}

function* parts(letters: readonly DeadLetter[]): Iterable<DeadLetter[]> {
  let part: DeadLetter[] = [];
  let bytes = 0;
  for (const letter of letters) {
    part.push(letter);
    bytes += letter.payload?.length ?? 0;
    if (part.length < MAX_LETTERS && bytes < MAX_BYTES) continue;
    yield part;
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield part;
}
