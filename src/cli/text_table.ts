/** A table for people: columns are padded to their widest cell. */

/** Gap between two columns. */
const GAP = "  ";

/** Lines of cells, each ended by a newline; nothing stands after the last cell of a line. */
export function alignedRows(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, textWidth(cell));
    });
  }
  return rows.map((row) => `${line(row, widths)}\n`).join("");
}

/** The same with a header and a line of dashes below it. */
export function headedTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = header.map((name, column) =>
    Math.max(textWidth(name), ...rows.map((row) => textWidth(row[column] ?? "")))
  );
  const dashes = widths.map((width) => "-".repeat(width)).join(GAP);
  return [line(header, widths), dashes, ...rows.map((row) => line(row, widths))].join("\n") + "\n";
}

function line(row: readonly string[], widths: readonly number[]): string {
  return row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - textWidth(cell)))
    .join(GAP).trimEnd();
}

function textWidth(text: string): number {
  return [...text].length;
}
