import type { DeadLetter } from "../../core/dead_letter.ts";
import { FlowError } from "../../core/error.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import {
  DEAD_LETTER_COLUMNS,
  type DeadLetterColumn,
  latestPerId,
} from "../_sql/dead_letter_columns.ts";
import type { SqliteClient } from "./client.ts";
import { qualifiedName, readTable } from "./table.ts";

const TYPES: Readonly<Record<DeadLetterColumn["type"], string>> = {
  text: "TEXT",
  integer: "INTEGER",
  bigint: "INTEGER",
  bytes: "BLOB",
};

/** The name of a dead-letter table given as `name` or `main.name`. */
export function deadLetterTable(table: string): string {
  return mainTable(table.startsWith("main.") ? table.slice("main.".length) : table);
}

/** Refuses names in other schemas. */
function mainTable(name: string): string {
  const dot = name.indexOf(".");
  if (dot === -1) return name;
  throw otherSchema(name.slice(0, dot));
}

/** SQLite has schemas only for attached files, which flow does not attach. */
export function otherSchema(schema: string): FlowError {
  return new FlowError(`a sqlite target has no schema '${schema}'`, {
    code: "target_schema_unknown",
    domain: "user",
    hint: "leave out schema, or give main",
    details: { schema },
  });
}

/** Makes the table where it is missing and puts the letters in; a letter that is there already gets the new attempt. */
export async function insertDeadLetters(
  client: SqliteClient,
  name: string,
  letters: readonly DeadLetter[],
): Promise<void> {
  const table = qualifiedName(name);
  const there = await readTable(client, name);
  if (there === undefined) {
    const declared = DEAD_LETTER_COLUMNS.map((column) =>
      `${quoteIdentifier(column.name)} ${TYPES[column.type]}${column.nullable ? "" : " NOT NULL"}`
    );
    await client.run(
      `CREATE TABLE ${table} (${declared.join(", ")}, ` +
        "status TEXT NOT NULL DEFAULT 'pending', leased_until INTEGER, PRIMARY KEY (id))",
    );
    await client.run(
      `CREATE INDEX main.${quoteIdentifier(`${name}_status`)} ON ${
        quoteIdentifier(name)
      } (pipeline_name, status)`,
    );
  }
  const has = new Set(there?.columns.map((column) => column.name));
  for (const column of there === undefined ? [] : DEAD_LETTER_COLUMNS) {
    if (has.has(column.name)) continue;
    await client.run(
      `ALTER TABLE ${table} ADD COLUMN ${quoteIdentifier(column.name)} ${TYPES[column.type]}`,
    );
  }
  const names = DEAD_LETTER_COLUMNS.map((column) => quoteIdentifier(column.name)).join(", ");
  const updates = ["stage", "error", "failed_at", "attempt"]
    .map((column) => `${column} = excluded.${column}`);
  const values = DEAD_LETTER_COLUMNS.map((column) =>
    column.type === "integer" ? "CAST(? AS INTEGER)" : "?"
  );
  await client.call({
    op: "run_each",
    sql: `INSERT INTO ${table} (${names}) VALUES (${values.join(", ")}) ` +
      `ON CONFLICT (id) DO UPDATE SET ${updates.join(", ")}`,
    params: latestPerId(letters).map((letter) =>
      DEAD_LETTER_COLUMNS.map((column) => column.value(letter))
    ),
  });
}
