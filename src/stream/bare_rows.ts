import { type Batch, type RejectedRows, ROW_COLUMN } from "../core/batch.ts";
import { quoteIdentifier, quoteLiteral, type TargetColumn } from "../core/schema.ts";
import type { Engine, Session } from "../core/session.ts";
import type { WriteMode } from "../core/sink.ts";

/** What rows without fields become on their way into a table. The caller drops the tables. */
export type BareRows = { readonly batch: Batch } | { readonly rejected: RejectedRows };

/**
 * Rows of `{}` in a batch in which no row has a field: there is nothing that SQL could insert. Beside others such rows have NULL in all columns,
 * so they get a column of the target that takes NULL. Where there is none, the rows are refused.
 *
 * @param columns the target's own; `undefined` while it has no table
 */
export async function dressBareRows(
  engine: Engine,
  session: Session,
  batch: Batch,
  columns: readonly TargetColumn[] | undefined,
  mode: WriteMode,
): Promise<BareRows> {
  const spare = columns?.find(({ nullable, hasDefault }) => nullable && !hasDefault);
  const from = `FROM ${quoteIdentifier(batch.table)}`;
  if (spare === undefined || mode === "merge") {
    const reason = mode === "merge"
      ? "the row has no fields, and so no key for the merge"
      : columns === undefined
      ? "the row has no fields, and there is no table yet that tells the columns"
      : "the row has no fields, and every column of the table must have a value";
    const by = batch.hasRowColumn ? ROW_COLUMN : "'{}' AS _row_json";
    const table = engine.newName("bare");
    await session.run(
      `CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${
        quoteLiteral(reason)
      } AS _error, ${by} ${from}`,
    );
    return {
      rejected: { table, count: batch.rows, by: batch.hasRowColumn ? "row_number" : "row_json" },
    };
  }
  const table = engine.newName("dressed");
  const row = batch.hasRowColumn ? `, ${ROW_COLUMN}` : "";
  await session.run(
    `CREATE TABLE ${quoteIdentifier(table)} AS SELECT NULL::${spare.type} AS ${
      quoteIdentifier(spare.name)
    }${row} ${from}`,
  );
  const column = { name: spare.name, type: spare.type };
  return { batch: { ...batch, table, columns: [column] } };
}
