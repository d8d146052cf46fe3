import { ROW_COLUMN } from "../../core/batch.ts";
import {
  type Column,
  quoteIdentifier,
  quoteLiteral,
  type TargetColumn,
} from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import type { Cast } from "./cast.ts";

/** Rows that do not fit, as SQL over the batch's columns: a condition that is never NULL, and an expression with the reason. */
export interface RowCheck {
  readonly condition: string;
  readonly reason: string;
}

/** A column on its way into a target: what is computed for it, and which rows cannot be. */
export interface FittedColumn {
  readonly column: Column;
  readonly target: TargetColumn;
  readonly expr: string;
  readonly checks: readonly RowCheck[];
}

/**
 * The checks that a cast and the target's declaration ask for: the value must fit the type, be there where NULL is not allowed, and not
 * be too long.
 *
 * @param isKey true for a key column of a merge
 */
export function fitColumn(
  column: Column,
  target: TargetColumn,
  cast: Cast,
  isKey: boolean,
): FittedColumn {
  const name = quoteIdentifier(column.name);
  const shown = quoteLiteral(`column "${target.name}": `);
  const checks: RowCheck[] = [];
  if (cast.badCondition !== undefined) {
    checks.push({
      condition: cast.badCondition,
      reason: `${shown} || left(CAST(${name} AS VARCHAR), 100) || ${
        quoteLiteral(` does not fit ${target.nativeType}`)
      }`,
    });
  }
  if (isKey) {
    checks.push({
      condition: `${name} IS NULL`,
      reason: `${shown} || 'NULL in a key of the merge'`,
    });
  } else if (!target.nullable) {
    checks.push({ condition: `${name} IS NULL`, reason: `${shown} || 'NULL is not allowed'` });
  }
  if (target.maxLength !== undefined) {
    checks.push({
      condition: `coalesce(length(CAST(${cast.expr} AS VARCHAR)) > ${target.maxLength}, false)`,
      reason: `${shown} || ${quoteLiteral(`longer than ${target.maxLength} characters`)}`,
    });
  }
  return { column, target, expr: cast.expr, checks };
}

/** The condition that holds for rows that no check refuses; `true` without checks. */
export function fittingRows(columns: readonly FittedColumn[]): string {
  const conditions = columns.flatMap((column) => column.checks.map((check) => check.condition));
  return conditions.length === 0 ? "true" : `NOT (${conditions.join(" OR ")})`;
}

/**
 * Makes a table of the rows that a check refuses (`_error`, {@link ROW_COLUMN}); `undefined` when there is none. The caller drops it.
 *
 * @param relation the engine's table with the rows, quoted
 */
export async function refusedRows(
  session: Session,
  engine: Engine,
  relation: string,
  columns: readonly FittedColumn[],
): Promise<{ table: string; count: number } | undefined> {
  const checks = columns.flatMap((column) => column.checks);
  if (checks.length === 0) return undefined;
  const table = engine.newName("refused");
  const cases = checks.map(({ condition, reason }) => `WHEN ${condition} THEN ${reason}`).join(" ");
  await session.run(
    `CREATE TABLE ${quoteIdentifier(table)} AS SELECT CASE ${cases} END AS _error, ${ROW_COLUMN} ` +
      `FROM ${relation} WHERE ${checks.map((check) => check.condition).join(" OR ")}`,
  );
  const [found] = await session.rows<{ n: bigint }>(
    `SELECT count(*) AS n FROM ${quoteIdentifier(table)}`,
  );
  const count = Number(found?.n ?? 0n);
  if (count > 0) return { table, count };
  await session.run(`DROP TABLE ${quoteIdentifier(table)}`);
  return undefined;
}
