import type { DeadLetter } from "../../core/dead_letter.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import {
  DEAD_LETTER_COLUMNS,
  type DeadLetterColumn,
  latestPerId,
} from "../_sql/dead_letter_columns.ts";
import { type DuckdbTableName, tableName } from "./table.ts";

const TYPES: Readonly<Record<DeadLetterColumn["type"], string>> = {
  text: "VARCHAR",
  integer: "INTEGER",
  bigint: "BIGINT",
  bytes: "BLOB",
};

/** Letters that go into one statement. */
const PIECE_LETTERS = 500;

/** The full name of a dead-letter table given as `name` or `schema.name`. */
export function deadLetterTable(table: string): DuckdbTableName {
  const dot = table.indexOf(".");
  return tableName(
    dot === -1 ? { name: table } : { schema: table.slice(0, dot), name: table.slice(dot + 1) },
  );
}

/** Makes the table where it is missing and puts the letters in; a letter that is there already gets the new attempt. */
export async function insertDeadLetters(
  session: Session,
  table: DuckdbTableName,
  letters: readonly DeadLetter[],
): Promise<void> {
  const declared = DEAD_LETTER_COLUMNS.map((column) =>
    `${quoteIdentifier(column.name)} ${TYPES[column.type]}${column.nullable ? "" : " NOT NULL"}`
  );
  await session.run(
    `CREATE TABLE IF NOT EXISTS ${table.sql} (${declared.join(", ")}, ` +
      "status VARCHAR NOT NULL DEFAULT 'pending', leased_until BIGINT, PRIMARY KEY (id))",
  );
  for (const column of DEAD_LETTER_COLUMNS) {
    await session.run(
      `ALTER TABLE ${table.sql} ADD COLUMN IF NOT EXISTS ${quoteIdentifier(column.name)} ${
        TYPES[column.type]
      }`,
    );
  }
  const names = DEAD_LETTER_COLUMNS.map((column) => quoteIdentifier(column.name));
  const updates = ["stage", "error", "failed_at", "attempt"]
    .map((name) => `${name} = excluded.${name}`).join(", ");
  const fields = DEAD_LETTER_COLUMNS.map((_column, at) => `"c${at}":"VARCHAR"`).join(",");
  const values = DEAD_LETTER_COLUMNS.map((column, at) =>
    column.type === "bytes" ? `from_base64(l.c${at})` : `CAST(l.c${at} AS ${TYPES[column.type]})`
  );
  const latest = latestPerId(letters);
  for (let from = 0; from < latest.length; from += PIECE_LETTERS) {
    const piece = latest.slice(from, from + PIECE_LETTERS).map((letter) =>
      Object.fromEntries(
        DEAD_LETTER_COLUMNS.map((column, at) => [`c${at}`, asText(column.value(letter))]),
      )
    );
    await session.run(
      `INSERT INTO ${table.sql} (${names.join(", ")}) SELECT ${values.join(", ")} FROM ` +
        `(SELECT unnest(from_json_strict($1, '[{${fields}}]')) AS l) ` +
        `ON CONFLICT (id) DO UPDATE SET ${updates}`,
      [JSON.stringify(piece)],
    );
  }
}

function asText(value: string | number | bigint | Uint8Array | null): string | null {
  if (value === null) return null;
  return value instanceof Uint8Array ? value.toBase64() : String(value).toWellFormed();
}
