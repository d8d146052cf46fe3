import { type Batch, type RejectedRows, ROW_COLUMN } from "../../core/batch.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import { jsonRow } from "../../formats/json_text.ts";
import { type FittedColumn, refusedRows } from "./row_fit.ts";

/** A row that a target refused, by its {@link ROW_COLUMN}. */
export interface RefusedRow {
  readonly row: bigint;
  readonly error: string;
}

/**
 * Writes the rows of a batch whose values fit the columns, and returns the others together with those that the target refuses, as one table that the caller
 * owns; `undefined` when there are none.
 *
 * @param send writes the rows of the relation (quoted; it has {@link ROW_COLUMN}) that `fittingRows` lets through, and returns what the target refuses.
 * `checked` is how many it does not let through.
 */
export async function writeFittingRows(
  session: Session,
  engine: Engine,
  batch: Batch,
  columns: readonly FittedColumn[],
  send: (relation: string, checked: number) => Promise<readonly RefusedRow[]>,
): Promise<RejectedRows | undefined> {
  const numbered = await numberedRelation(session, engine, batch);
  try {
    const relation = quoteIdentifier(numbered.table);
    const checked = await refusedRows(session, engine, relation, columns);
    try {
      const refused = await send(relation, checked?.count ?? 0);
      return await rejectedRows(session, engine, batch, numbered.table, checked, refused);
    } catch (error) {
      if (checked !== undefined) {
        await session.run(`DROP TABLE IF EXISTS ${quoteIdentifier(checked.table)}`);
      }
      throw error;
    }
  } finally {
    await numbered.drop();
  }
}

/**
 * The batch with a row number: its own table, or a numbered copy where its rows have lost theirs.
 */
async function numberedRelation(
  session: Session,
  engine: Engine,
  batch: Batch,
): Promise<{ table: string; drop: () => Promise<void> }> {
  if (batch.hasRowColumn) return { table: batch.table, drop: () => Promise.resolve() };
  const table = engine.newName("numbered");
  await session.run(
    `CREATE TABLE ${
      quoteIdentifier(table)
    } AS SELECT *, row_number() OVER () - 1 AS ${ROW_COLUMN} ` +
      `FROM ${quoteIdentifier(batch.table)}`,
  );
  return { table, drop: () => session.run(`DROP TABLE IF EXISTS ${quoteIdentifier(table)}`) };
}

/**
 * The rows that the engine's checks have refused (`_error`, {@link ROW_COLUMN}; taken over) and those that the target has, as one table.
 *
 * @param numbered the batch's table or its numbered copy
 */
async function rejectedRows(
  session: Session,
  engine: Engine,
  batch: Batch,
  numbered: string,
  checked: { readonly table: string; readonly count: number } | undefined,
  refused: readonly RefusedRow[],
): Promise<RejectedRows | undefined> {
  if (checked === undefined && refused.length === 0) return undefined;
  const table = checked?.table ?? engine.newName("refused");
  if (checked === undefined) {
    await session.run(
      `CREATE TABLE ${quoteIdentifier(table)} (_error VARCHAR, ${ROW_COLUMN} BIGINT)`,
    );
  }
  if (refused.length > 0) {
    const items = refused.map(({ row, error }) => [String(row), error.toWellFormed()]);
    await session.run(
      `INSERT INTO ${quoteIdentifier(table)} SELECT item[2], CAST(item[1] AS BIGINT) FROM ` +
        `(SELECT unnest(from_json_strict($1, '[["VARCHAR"]]')) AS item)`,
      [JSON.stringify(items)],
    );
  }
  const count = (checked?.count ?? 0) + refused.length;
  if (batch.hasRowColumn) return { table, count, by: "row_number" };
  const named = engine.newName("refused");
  await session.run(
    `CREATE TABLE ${quoteIdentifier(named)} AS SELECT refused._error, ` +
      `${jsonRow(batch.columns, "numbered")} AS _row_json FROM ${
        quoteIdentifier(table)
      } AS refused ` +
      `JOIN ${quoteIdentifier(numbered)} AS numbered USING (${ROW_COLUMN})`,
  );
  await session.run(`DROP TABLE ${quoteIdentifier(table)}`);
  return { table: named, count, by: "row_json" };
}
