import type { Dialect } from "../core/database.ts";
import { quoteIdentifier } from "../core/schema.ts";

/** What DuckDB and SQLite spell alike: both keep temporary tables in a schema `temp`, and fold ASCII letters of names only. */
export type SharedStatements = Pick<
  Dialect,
  | "foldName"
  | "updateFrom"
  | "deleteWhere"
  | "emptyTable"
  | "createStageAs"
  | "createStage"
  | "stageName"
  | "dropStage"
  | "addColumn"
>;

/**
 * The statements for a dialect of DuckDB or SQLite.
 *
 * @param columnType the dialect's own
 */
export function sharedStatements(columnType: (type: string) => string): SharedStatements {
  return {
    foldName: (name) => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase()),
    updateFrom: ({ table, source, set, on }) =>
      `UPDATE ${table} AS t SET ${
        Object.entries(set).map(([name, value]) => `${quoteIdentifier(name)} = ${value}`).join(", ")
      } FROM ${source} AS s WHERE ${on}`,
    deleteWhere: (table, condition) => `DELETE FROM ${table} AS t WHERE ${condition}`,
    emptyTable: (table) => `DELETE FROM ${table}`,
    createStageAs: (name, query) => `CREATE TEMPORARY TABLE ${quoteIdentifier(name)} AS ${query}`,
    createStage: (name, columns) =>
      `CREATE TEMPORARY TABLE ${quoteIdentifier(name)} (${
        columns.map((column) => `${quoteIdentifier(column.name)} ${columnType(column.type)}`)
          .join(", ")
      })`,
    stageName: (name) => `temp.${quoteIdentifier(name)}`,
    dropStage: (name) => `DROP TABLE IF EXISTS temp.${quoteIdentifier(name)}`,
    addColumn: (table, name, type) =>
      `ALTER TABLE ${table} ADD COLUMN ${quoteIdentifier(name)} ${type}`,
  };
}
