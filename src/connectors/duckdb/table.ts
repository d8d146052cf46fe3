import { FlowError } from "../../core/error.ts";
import type { TableRef } from "../../core/connector.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import { MADE_BY_FLOW, type MarkedColumn } from "../_sql/widening.ts";
import { FILE_DATABASE } from "../../sql/duckdb_file.ts";

/** DuckDB's default schema. */
const DEFAULT_SCHEMA = "main";

/** A table of the file by its full name. */
export interface DuckdbTableName {
  readonly schema: string;
  readonly name: string;
  /** As SQL takes it: `flow_file."main"."events"`. */
  readonly sql: string;
  /** For messages: `main.events`. */
  readonly shown: string;
}

/** The full name of a target's table. */
export function tableName(table: TableRef): DuckdbTableName {
  const schema = table.schema ?? DEFAULT_SCHEMA;
  return {
    schema,
    name: table.name,
    sql: `${FILE_DATABASE}.${quoteIdentifier(schema)}.${quoteIdentifier(table.name)}`,
    shown: `${schema}.${table.name}`,
  };
}

/** A rule of the table that single rows can break, besides NOT NULL. */
export interface DuckdbConstraint {
  readonly kind: "check" | "unique" | "foreign";
  /** In the table's own words: `UNIQUE(u)`. */
  readonly text: string;
  /** CHECK: the condition; otherwise the columns or expressions that make up the key. */
  readonly expressions: readonly string[];
  /** Where a foreign key leads to, as SQL takes it. */
  readonly referenced?: { readonly table: string; readonly columns: readonly string[] };
}

/** A table as it is now. */
export interface DuckdbTable {
  readonly columns: readonly DuckdbColumn[];
  readonly primaryKey: readonly string[];
  /** Column sets that a constraint or index keeps unique, the primary key's included. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

/** A column with its default. */
export interface DuckdbColumn extends MarkedColumn {
  /** The expression of the default, as SQL. */
  readonly defaultExpr: string | null;
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly default_expr: string | null;
  readonly comment: string | null;
}

const SAME_TABLE = `database_name = '${FILE_DATABASE}' AND lower(schema_name) = lower($1) ` +
  "AND lower(table_name) = lower($2)";

/** Reads the table's definition; `undefined` when there is no such table. */
export async function readTable(
  session: Session,
  table: DuckdbTableName,
): Promise<DuckdbTable | undefined> {
  const params = [table.schema, table.name];
  const columns = await session.rows<ColumnRow>(
    "SELECT column_name AS name, data_type AS type, is_nullable AS nullable, " +
      `column_default AS default_expr, comment FROM duckdb_columns() WHERE ${SAME_TABLE} ORDER BY column_index`,
    params,
  );
  if (columns.length === 0) return undefined;
  const keys = await session.rows<{ type: string; names: string }>(
    "SELECT constraint_type AS type, to_json(constraint_column_names)::VARCHAR AS names " +
      `FROM duckdb_constraints() WHERE ${SAME_TABLE} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')`,
    params,
  );
  const declared = keys.map((key) => ({
    isPrimary: key.type === "PRIMARY KEY",
    names: JSON.parse(key.names) as string[],
  }));
  const [dependents] = await session.rows<{ n: bigint }>(
    `SELECT (SELECT count(*) FROM duckdb_indexes() WHERE ${SAME_TABLE}) + ` +
      `(SELECT count(*) FROM duckdb_constraints() WHERE database_name = '${FILE_DATABASE}' ` +
      "AND lower(referenced_table) = lower($2)) AS n",
    params,
  );
  // DuckDB alters no table on which an index or another table depends.
  const alters = dependents?.n === 0n;
  const indexed = (await readUniqueIndexes(session, table)).flatMap((index) => {
    const names = index.expressions.map((expression) =>
      columns.find(({ name }) => name === expression || quoteIdentifier(name) === expression)?.name
    );
    return names.every((name) => name !== undefined) ? [names] : [];
  });
  return {
    columns: columns.map((row) => ({
      name: row.name,
      type: row.type,
      nativeType: row.type,
      nullable: row.nullable,
      hasDefault: row.default_expr !== null,
      defaultExpr: row.default_expr,
      widens: alters && row.comment === MADE_BY_FLOW,
      ...(row.type === "JSON" ? { json: true } : {}),
    })),
    primaryKey: declared.find((key) => key.isPrimary)?.names ?? [],
    uniqueKeys: [...declared.map((key) => key.names), ...indexed],
  };
}

interface ConstraintRow {
  readonly type: string;
  readonly text: string;
  readonly expression: string | null;
  readonly columns: string;
  readonly referenced_table: string | null;
  readonly referenced_columns: string;
}

/** Reads the table's rules, unique indexes among them. */
export async function readConstraints(
  session: Session,
  table: DuckdbTableName,
): Promise<DuckdbConstraint[]> {
  const params = [table.schema, table.name];
  const rows = await session.rows<ConstraintRow>(
    "SELECT constraint_type AS type, constraint_text AS text, expression, " +
      "to_json(constraint_column_names)::VARCHAR AS columns, referenced_table, " +
      "to_json(referenced_column_names)::VARCHAR AS referenced_columns " +
      `FROM duckdb_constraints() WHERE ${SAME_TABLE} ORDER BY constraint_index`,
    params,
  );
  return [
    ...rows.flatMap((row) => toConstraint(row, table)),
    ...(await readUniqueIndexes(session, table)).map((index): DuckdbConstraint => ({
      kind: "unique",
      text: `the unique index ${index.name}`,
      expressions: index.expressions,
    })),
  ];
}

async function readUniqueIndexes(
  session: Session,
  table: DuckdbTableName,
): Promise<{ name: string; expressions: readonly string[] }[]> {
  const rows = await session.rows<{ name: string; expressions: string }>(
    "SELECT index_name AS name, to_json(expressions::VARCHAR[])::VARCHAR AS expressions " +
      `FROM duckdb_indexes() WHERE ${SAME_TABLE} AND is_unique AND NOT is_primary`,
    [table.schema, table.name],
  );
  return rows.map((row) => ({
    name: row.name,
    expressions: JSON.parse(row.expressions) as string[],
  }));
}

function toConstraint(row: ConstraintRow, table: DuckdbTableName): DuckdbConstraint[] {
  const columns = (JSON.parse(row.columns) as string[]).map(quoteIdentifier);
  switch (row.type) {
    case "CHECK":
      return [{ kind: "check", text: row.text, expressions: [row.expression ?? "true"] }];
    case "PRIMARY KEY":
    case "UNIQUE":
      return [{ kind: "unique", text: row.text, expressions: columns }];
    case "FOREIGN KEY":
      return [{
        kind: "foreign",
        text: row.text,
        expressions: columns,
        referenced: {
          table: tableName({ schema: table.schema, name: row.referenced_table ?? "" }).sql,
          columns: (JSON.parse(row.referenced_columns) as string[]).map(quoteIdentifier),
        },
      }];
    default:
      return [];
  }
}

/** The statements that make a table with exactly the batch's types, and `keys` as its primary key. */
export function createStatements(
  table: DuckdbTableName,
  columns: readonly Column[],
  keys: readonly string[],
): string[] {
  const declared = columns.map((column) =>
    `${quoteIdentifier(column.name)} ${storableType(column.type)}`
  );
  const key = keys.length === 0 ? [] : [`PRIMARY KEY (${keys.map(quoteIdentifier).join(", ")})`];
  return [
    ...(table.schema === DEFAULT_SCHEMA ? [] : [
      `CREATE SCHEMA IF NOT EXISTS ${FILE_DATABASE}.${quoteIdentifier(table.schema)}`,
    ]),
    `CREATE TABLE ${table.sql} (${[...declared, ...key].join(", ")})`,
    ...columns.map((column) => markStatement(table, column)),
  ];
}

/** The statements that add a column in mid-stream. */
export function addColumnStatements(table: DuckdbTableName, column: Column): string[] {
  const declared = `${quoteIdentifier(column.name)} ${storableType(column.type)}`;
  return [`ALTER TABLE ${table.sql} ADD COLUMN ${declared}`, markStatement(table, column)];
}

function markStatement(table: DuckdbTableName, column: Column): string {
  return `COMMENT ON COLUMN ${table.sql}.${quoteIdentifier(column.name)} IS ${
    quoteLiteral(MADE_BY_FLOW)
  }`;
}

/** A column of nothing but NULL gets a type that takes whatever comes later. */
export function storableType(type: string): string {
  return /^(SQLNULL|"?NULL"?)$/.test(type) ? "VARCHAR" : type;
}

/** `target_type_mismatch` where the file's own format has no such type (VARIANT in files for older versions of DuckDB). */
export function creationFailure(
  error: unknown,
  table: DuckdbTableName,
  columns: readonly Column[],
): unknown {
  if (!(error instanceof FlowError)) return error;
  const type = /(\w+) columns are not supported in storage/.exec(error.message)?.[1];
  const column = columns.find((candidate) => type !== undefined && candidate.type.includes(type));
  if (column === undefined) return error;
  return new FlowError(
    `column "${column.name}" (${column.type}) cannot go into ${table.shown}: the file's storage version has no such type`,
    {
      code: "target_type_mismatch",
      domain: "user",
      hint: "cast it with [transform] sql, for example to JSON",
      details: { table: table.shown, column: column.name, type: column.type },
      cause: error,
    },
  );
}
