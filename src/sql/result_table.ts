import type { Column } from "../core/schema.ts";
import type { Session, SqlValue } from "../core/session.ts";

/** Cells are cut to so many characters. */
const MAX_CELL = 60;
const GAP = "  ";

/** The first rows of a result as texts, ready to be shown. */
export interface ResultSample {
  /** A text per cell, `null` for NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** There are more rows than these. */
  readonly hasMore: boolean;
}

/** Fetches at most `maxRows` rows of a query as the engine's texts. For people: small. */
export async function sampleRows(
  session: Session,
  query: string,
  columns: readonly Column[],
  maxRows: number,
): Promise<ResultSample> {
  // Numbered names: the query's own may repeat, and rows are objects.
  const names = columns.map((_, i) => `c${i}`);
  const found = await session.rows(
    `SELECT COLUMNS(*)::VARCHAR FROM (${query}\n) AS flow_rows(${names.join(", ")}) ` +
      `LIMIT ${maxRows + 1}`,
  );
  return {
    rows: found.slice(0, maxRows).map((row) => names.map((name) => textOf(row[name]))),
    hasMore: found.length > maxRows,
  };
}

function textOf(value: SqlValue | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}

/**
 * A table for people: names, dashes, rows, numbers to the right, and how many rows there are. Line breaks and control characters in cells are
 * shown as escapes.
 *
 * @param totalRows the number of rows of the whole result, where it is known
 * @param maxCell characters after which cells are cut
 */
export function resultTable(
  columns: readonly Column[],
  { rows, hasMore }: ResultSample,
  totalRows?: number,
  maxCell: number = MAX_CELL,
): string {
  const header = columns.map(({ name }) => cellText(name, maxCell));
  const cells = rows.map((row) =>
    row.map((cell) => cell === null ? "NULL" : cellText(cell, maxCell))
  );
  const widths = header.map((name, column) =>
    [name, ...cells.map((row) => row[column] ?? "")].reduce(
      (widest, cell) => Math.max(widest, [...cell].length),
      1,
    )
  );
  const toRight = columns.map(({ type }) => /INT$|^INTEGER$|^DECIMAL|^FLOAT$|^DOUBLE$/.test(type));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => {
      const fill = " ".repeat((widths[column] ?? 0) - [...cell].length);
      return toRight[column] ? fill + cell : cell + fill;
    }).join(GAP).trimEnd();
  const dashes = widths.map((width) => "-".repeat(width)).join(GAP);
  const count = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
  const foot = !hasMore
    ? `(${count})`
    : totalRows === undefined
    ? `(first ${count}; there are more)`
    : `(first ${count} of ${totalRows})`;
  return `${[line(header), dashes, ...cells.map(line), foot].join("\n")}\n`;
}

function cellText(text: string, maxCell: number): string {
  const shown = text.replace(
    // deno-lint-ignore no-control-regex -- exactly these would garble a terminal
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) =>
      ESCAPES[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  const characters = [...shown];
  return characters.length <= maxCell ? shown : `${characters.slice(0, maxCell - 1).join("")}…`;
}

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
