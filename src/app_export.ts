import {
  parquetMisfit,
  parquetText,
  parquetValue,
} from "./connectors/object_store_local/sink_query.ts";
import { type Column, quoteIdentifier } from "./core/schema.ts";
import type { Session } from "./core/session.ts";

/** True where a result has integers of 128 bits: how such a column goes into Arrow or Parquet is known once all its values are. */
export function hasWideIntegers(columns: readonly Column[]): boolean {
  return columns.some(({ type }) => /\bU?HUGEINT\b/.test(type));
}

/**
 * The columns as an Arrow stream is to have them: an integer of 128 bits is DECIMAL(38,0), or text where a value has more digits.
 *
 * @param query gives the columns in this order; it is run where there are such integers, so it has to give the same rows again: a table's
 */
export async function arrowColumns(
  session: Session,
  query: string,
  columns: readonly Column[],
): Promise<Column[]> {
  const wide = columns.map(({ type }, at) =>
    /^U?HUGEINT$/.test(type) ? parquetMisfit(`c${at}`, type) : undefined
  );
  const misfits = await anyOf(session, query, wide);
  return columns.map((column, at) => misfits[at] ? { ...column, type: "VARCHAR" } : column);
}

/**
 * The query of a Parquet file with exactly the values of `query`: as the target of files writes them, or as text where a column has an integer
 * of more than 38 digits (nested values as JSON).
 *
 * @param query as for {@link arrowColumns}
 */
export async function parquetExport(
  session: Session,
  query: string,
  columns: readonly Column[],
): Promise<string> {
  const conditions = columns.map(({ type }, at) => parquetMisfit(`c${at}`, type));
  const misfits = await anyOf(session, query, conditions);
  const list = columns.map(({ name, type }, at) => {
    const value = misfits[at] ? parquetText(`c${at}`, type) : parquetValue(`c${at}`, type);
    return `${value} AS ${quoteIdentifier(name)}`;
  });
  return `SELECT ${list.join(", ")} FROM ${numbered(query, columns.length)}`;
}

/** For each condition over the columns `c0`, `c1` … whether a row meets it. */
async function anyOf(
  session: Session,
  query: string,
  conditions: readonly (string | undefined)[],
): Promise<boolean[]> {
  if (conditions.every((condition) => condition === undefined)) return conditions.map(() => false);
  const list = conditions.map((condition, at) => `bool_or(${condition ?? "false"}) AS m${at}`);
  const [row] = await session.rows<Record<string, boolean | null>>(
    `SELECT ${list.join(", ")} FROM ${numbered(query, conditions.length)}`,
  );
  return conditions.map((_condition, at) => row?.[`m${at}`] ?? false);
}

/** The query's own names may repeat. */
function numbered(query: string, count: number): string {
  const names = Array.from({ length: count }, (_, at) => `c${at}`);
  return `(${query}\n) AS flow_rows(${names.join(", ")})`;
}
