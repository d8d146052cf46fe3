import type { Column } from "../core/schema.ts";
import { quoteIdentifier } from "../core/schema.ts";
import type { Engine, Session, SqlValue } from "../core/session.ts";

/** Parameters of one INSERT. */
const MAX_VALUES = 1000;
/** The column of a result without rows, of which nobody tells the columns. */
const NO_COLUMNS: readonly Column[] = [{ name: "result", type: "VARCHAR" }];

/** A table of the engine, and its columns. */
export interface RowsTable {
  /** Quoted. */
  readonly table: string;
  readonly columns: readonly Column[];
}

/**
 * Puts rows that came as objects into a table of the engine: for the few that a database tells about itself (`SHOW …`, `EXPLAIN …`), which it gives to no query.
 * A column has the type of its values, or is text.
 *
 * @param session writes the table; whoever asked for it drops it
 */
export async function tableOfRows(
  rows: readonly Readonly<Record<string, SqlValue>>[],
  engine: Engine,
  session: Session,
): Promise<RowsTable> {
  const [first] = rows;
  const columns = first === undefined
    ? NO_COLUMNS
    : Object.keys(first).map((name) => ({ name, type: typeOf(rows.map((row) => row[name])) }));
  const table = quoteIdentifier(engine.newName("rows"));
  const declared = columns.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`);
  await session.run(`CREATE TABLE ${table} (${declared.join(", ")})`);
  const atOnce = Math.max(1, Math.floor(MAX_VALUES / columns.length));
  for (let from = 0; from < rows.length; from += atOnce) {
    const values = rows.slice(from, from + atOnce).map((row) =>
      columns.map(({ name, type }) => {
        const value = row[name] ?? null;
        return type === "VARCHAR" && value !== null ? String(value) : value;
      })
    );
    const places = values.map((row, at) =>
      `(${row.map((_, column) => `$${at * row.length + column + 1}`).join(", ")})`
    );
    await session.run(`INSERT INTO ${table} VALUES ${places.join(", ")}`, values.flat());
  }
  return { table, columns };
}

/** Texts of several lines as rows of their own, the other values only in the first: for people, who want to see a plan. */
export function splitLines(
  rows: readonly Readonly<Record<string, SqlValue>>[],
): readonly Readonly<Record<string, SqlValue>>[] {
  return rows.flatMap((row) => {
    const columns = Object.entries(row).map(([name, value]) =>
      [name, typeof value === "string" ? value.trimEnd().split("\n") : [value]] as const
    );
    const height = Math.max(1, ...columns.map(([, lines]) => lines.length));
    return Array.from({ length: height }, (_, at) =>
      Object.fromEntries(
        columns.map(([name, lines]) => [name, at < lines.length ? lines[at] ?? null : ""]),
      ));
  });
}

function typeOf(values: readonly (SqlValue | undefined)[]): string {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length === 0) return "VARCHAR";
  if (known.every((value) => typeof value === "bigint" && BigInt.asIntN(64, value) === value)) {
    return "BIGINT";
  }
  if (known.every((value) => typeof value === "boolean")) return "BOOLEAN";
  return known.every((value) => value instanceof Uint8Array) ? "BLOB" : "VARCHAR";
}
