import { ROW_COLUMN } from "../../core/batch.ts";
import { quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import { type FittedColumn, fittingRows } from "../_sql/row_fit.ts";
import type { StagedRows } from "./violations.ts";

/** A staged batch: a database file in the scratch directory with one table `rows`. */
export interface Stage extends StagedRows {
  /** The name to attach it under. */
  readonly name: string;
  readonly path: string;
}

/** The staged table's column with the batch's row number. */
export const STAGED_ROW = "r";

/**
 * Writes the rows that fit into a DuckDB file in the scratch directory, cast to the target's types, as columns `c0`, `c1` … and
 * {@link STAGED_ROW}. DuckDB's own file format carries every type exactly, which Parquet does not. For a merge only the last row
 * of each key is taken.
 *
 * @param relation the engine's table with the batch, quoted
 */
export async function stageRows(
  session: Session,
  engine: Engine,
  relation: string,
  columns: readonly FittedColumn[],
  mode: "append" | "merge",
  keys: readonly string[],
): Promise<Stage> {
  const name = engine.newName("stage");
  const path = `${engine.scratchDir}/${name}.duckdb`;
  const items = columns.map((column, at) => `${column.expr} AS c${at}`);
  const keyColumns = columns.flatMap((column, at) =>
    keys.includes(column.target.name) ? [`c${at}`] : []
  );
  const lastOfKey = mode === "append" ? "" : ` QUALIFY row_number() OVER ` +
    `(PARTITION BY ${keyColumns.join(", ")} ORDER BY ${STAGED_ROW} DESC) = 1`;
  await session.run(`ATTACH ${quoteLiteral(path)} AS ${name} (STORAGE_VERSION 'latest')`);
  try {
    await session.run(
      `CREATE TABLE ${name}.rows AS SELECT ${items.join(", ")}, ${ROW_COLUMN} AS ${STAGED_ROW} ` +
        `FROM ${relation} WHERE ${fittingRows(columns)}${lastOfKey}`,
    );
  } finally {
    await session.run(`DETACH ${name}`);
  }
  return {
    name,
    path,
    sql: `${name}.rows`,
    columns: columns.map((column, at) => ({ staged: `c${at}`, target: column.target.name })),
    keys,
    mode,
  };
}

/**
 * The statement that writes staged rows into the table. A merge touches no row that stays the same.
 *
 * @param condition which of the staged rows, over the staged table's columns and `rowid`
 */
export function writeStatement(table: string, stage: StagedRows, condition: string): string {
  const targets = stage.columns.map((column) => quoteIdentifier(column.target));
  const staged = stage.columns.map((column) => column.staged);
  const rows = `SELECT ${staged.join(", ")} FROM ${stage.sql} WHERE ${condition}`;
  if (stage.mode === "append") return `INSERT INTO ${table} (${targets.join(", ")}) ${rows}`;
  const isKey = (target: string) => stage.keys.includes(target);
  const on = stage.columns.filter((column) => isKey(column.target)).map((column) =>
    `flow_target.${quoteIdentifier(column.target)} = flow_rows.${column.staged}`
  );
  const values = stage.columns.filter((column) => !isKey(column.target));
  const changed = values.map((column) =>
    `flow_target.${quoteIdentifier(column.target)} IS DISTINCT FROM flow_rows.${column.staged}`
  );
  const set = values.map((column) =>
    `${quoteIdentifier(column.target)} = flow_rows.${column.staged}`
  );
  const update = values.length === 0
    ? ""
    : `WHEN MATCHED AND (${changed.join(" OR ")}) THEN UPDATE SET ${set.join(", ")} `;
  return `MERGE INTO ${table} AS flow_target USING (${rows}) AS flow_rows ON (${
    on.join(" AND ")
  }) ` +
    `${update}WHEN NOT MATCHED THEN INSERT (${targets.join(", ")}) ` +
    `VALUES (${staged.map((column) => `flow_rows.${column}`).join(", ")})`;
}
