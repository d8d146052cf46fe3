import type { Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { Column } from "../core/schema.ts";
import type { DeclaredColumn } from "../core/table_spec.ts";
import { isNumberType } from "./type_relation.ts";

/** A column on its way from the query to the table. */
export interface ProjectedColumn {
  /** As the query calls it. */
  readonly from: Column;
  /** As the table has it. */
  readonly to: DeclaredColumn;
}

/**
 * Pairs the table's columns with the query's, by name. A column of the query that the table does not declare is left out (`ignored`); one that
 * the table declares and the query does not give is an error, also when it takes NULL.
 *
 * @throws FlowError `query_column_missing`
 */
export function pairColumns(
  pipeline: string,
  declared: readonly DeclaredColumn[],
  query: readonly Column[],
): { readonly pairs: readonly ProjectedColumn[]; readonly ignored: readonly string[] } {
  const pairs: ProjectedColumn[] = [];
  const missing: string[] = [];
  for (const to of declared) {
    const from = query.find(({ name }) => name === to.name) ??
      query.find(({ name }) => name.toLowerCase() === to.name.toLowerCase());
    if (from !== undefined) pairs.push({ from, to });
    else missing.push(to.name);
  }
  if (missing.length > 0) {
    const names = query.map(({ name }) => name).join(", ");
    throw new FlowError(
      `the query of pipeline '${pipeline}' does not give the declared column${
        missing.length === 1 ? "" : "s"
      } ${missing.join(", ")}`,
      {
        code: "query_column_missing",
        domain: "user",
        hint: `it gives ${names}; select ${missing.join(", ")} too, or take it out of the table`,
        details: { pipeline, column: missing.join(", ") },
      },
    );
  }
  const used = new Set(pairs.map(({ from }) => from.name));
  return { pairs, ignored: query.map(({ name }) => name).filter((name) => !used.has(name)) };
}

/** The pairs for a database that does not have the table, and so perhaps not its types: it gives texts, which the table's own database reads. */
export function withoutOwnTypes(pairs: readonly ProjectedColumn[]): readonly ProjectedColumn[] {
  return pairs.map(({ from, to: { ownType, ...to } }) => ({
    from,
    // Numbers are the same everywhere, and checked for what they would lose.
    to: isNumberType(ownType) ? { ...to, ownType } : to,
  }));
}

/** The value of a column as the table takes it: normalized in the order declared, then of the declared type. */
export function projectedValue(
  dialect: Dialect,
  qualifier: string,
  { from, to }: ProjectedColumn,
): string {
  let sql = `${qualifier}.${dialect.quote(from.name)}`;
  let type = from.type;
  for (const normalizer of to.normalizers) {
    sql = dialect.normalize({ sql, type }, normalizer, to.type);
    type = normalizer === "parse_timestamp" ? to.type : type;
  }
  const isAsFound = type === to.type && from.ownType?.name === to.ownType?.name;
  if (isAsFound && (from.ownType === undefined || to.normalizers.length === 0)) return sql;
  if (to.ownType !== undefined && dialect.castToOwn !== undefined) {
    return dialect.castToOwn({ sql, type }, to.ownType.name);
  }
  return type === to.type && from.ownType === undefined
    ? sql
    : dialect.cast({ sql, type }, to.type);
}

/** `SELECT` of the projected columns over a FROM item that is given without alias. */
export function projection(
  dialect: Dialect,
  pairs: readonly ProjectedColumn[],
  relation: string,
  further: readonly string[] = [],
): string {
  const values = pairs.map((pair) =>
    `${projectedValue(dialect, "q", pair)} AS ${dialect.quote(pair.to.name)}`
  );
  return `SELECT ${[...values, ...further].join(", ")} FROM ${relation} AS q`;
}

/**
 * A column as it is compared with another of its kind. JSON documents, and some types of a database's own, have no equality, and texts one that a collation
 * loosens: their exact texts are compared.
 */
export function comparable(
  dialect: Dialect,
  columns: readonly Column[],
  qualifier: string,
  name: string,
): string {
  const sql = `${qualifier}.${dialect.quote(name)}`;
  const column = columns.find((one) => one.name === name);
  if (column === undefined) return sql;
  const { type, ownType } = column;
  if (type === "JSON") return dialect.cast({ sql, type }, "VARCHAR");
  if (isNumberType(ownType)) return sql;
  return dialect.comparable?.({ sql, type }) ?? sql;
}
