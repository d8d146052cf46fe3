import { ROW_COLUMN } from "../../core/batch.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import { fittingRows } from "../_sql/row_fit.ts";
import { qualifiedName } from "./table.ts";
import type { WireColumn } from "./wire.ts";

/**
 * The engine's query of the lines for {@link insertStatement}: per row a JSON array of texts, the row's number last, and a comma. For a
 * merge only the last row of each key.
 *
 * @param relation the engine's table with the batch, quoted
 */
export function linesQuery(
  relation: string,
  columns: readonly WireColumn[],
  keys: readonly string[],
): string {
  const texts = [...columns.map(({ text }) => text), `CAST(${ROW_COLUMN} AS VARCHAR)`];
  const keyTexts = columns.filter(({ target }) => keys.includes(target.name)).map(({ text }) =>
    text
  );
  const lastOfKey = keys.length === 0 ? "" : ` QUALIFY row_number() OVER ` +
    `(PARTITION BY ${keyTexts.join(", ")} ORDER BY ${ROW_COLUMN} DESC) = 1`;
  return `SELECT CAST(to_json([${texts.join(", ")}]) AS VARCHAR) || ',' FROM ${relation} ` +
    `WHERE ${fittingRows(columns)}${lastOfKey}`;
}

/**
 * The statement by which the Worker writes an array of rows. A merge leaves rows alone that would not change. Conflict clauses in the table's
 * own declaration do not apply: a row that breaks a rule is refused, neither replaced nor dropped in silence.
 */
export function insertStatement(
  table: string,
  columns: readonly WireColumn[],
  keys: readonly string[],
): string {
  const names = columns.map(({ target }) => quoteIdentifier(target.name));
  const values = columns.map(({ taken }, at) => taken(`json_extract(flow_rows.value, '$[${at}]')`));
  // Without a condition SQLite would take ON CONFLICT for the ON of a join.
  return `INSERT OR ABORT INTO ${qualifiedName(table)} AS flow_target (${names.join(", ")}) ` +
    `SELECT ${values.join(", ")} FROM json_each(CAST(? AS TEXT)) AS flow_rows WHERE true` +
    (keys.length === 0 ? "" : mergeClause(columns, keys));
}

function mergeClause(columns: readonly WireColumn[], keys: readonly string[]): string {
  const conflict = ` ON CONFLICT (${keys.map(quoteIdentifier).join(", ")})`;
  const others = columns.filter(({ target }) => !keys.includes(target.name))
    .map(({ target }) => quoteIdentifier(target.name));
  if (others.length === 0) return `${conflict} DO NOTHING`;
  const sets = others.map((name) => `${name} = excluded.${name}`);
  // Whatever the column's own collation calls equal: another text is a change.
  const changed = others.map((name) =>
    `flow_target.${name} IS NOT excluded.${name} COLLATE BINARY`
  );
  return `${conflict} DO UPDATE SET ${sets.join(", ")} WHERE ${changed.join(" OR ")}`;
}
