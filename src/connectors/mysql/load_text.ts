import { type Column, quoteLiteral, type TargetColumn } from "../../core/schema.ts";
import { canonicalType } from "../../core/engine_type.ts";
import { exactCast } from "../../sql/exact_cast.ts";
import { mysqlDialect } from "./dialect.ts";

/** How rows of the engine become texts, and the texts columns of a table. */
export interface LoadPlan {
  /** Engine: one line per row for LOAD DATA, cells between tabs. */
  readonly lines: string;
  /** Engine: one JSON array of texts per row. */
  readonly arrays: string;
  readonly table: string;
  readonly columns: readonly TargetColumn[];
}

/**
 * The plan to load a query of the engine. Values that do not fit their column make the engine's statement fail, with the column and the value in
 * its message: the server would cut some of them off without an error.
 *
 * @param given the columns of the query
 */
export function loadPlan(
  table: string,
  columns: readonly TargetColumn[],
  query: string,
  given: readonly Column[],
): LoadPlan {
  const cells = columns.map((column, at) => {
    const type = given[at]?.type;
    return type === undefined ? "CAST(NULL AS VARCHAR)" : cellText(`c${at}`, type, column);
  });
  const names = columns.map((_, at) => `c${at}`).join(", ");
  const texts = `SELECT ${cells.map((cell, at) => `${cell} AS t${at}`).join(", ")} ` +
    `FROM (\n${query}\n) AS loaded(${names})`;
  const escaped = columns.map((_, at) => `coalesce(${escapedText(`t${at}`)}, '\\N')`);
  return {
    lines: `SELECT ${escaped.join(" || chr(9) || ")} AS line FROM (${texts})`,
    arrays:
      `SELECT CAST(to_json([${columns.map((_, at) => `t${at}`).join(", ")}]) AS VARCHAR) AS line ` +
      `FROM (${texts})`,
    table,
    columns,
  };
}

/** The text that the server reads as the value; bytes as hex. */
function cellText(name: string, from: string, column: TargetColumn): string {
  const type = canonicalType(column.type);
  const value = exactCast({ sql: name, type: from }, type);
  switch (type) {
    case "BLOB":
      return `hex(${value})`;
    case "BOOLEAN":
      return `CAST(CAST(${value} AS TINYINT) AS VARCHAR)`;
    case "FLOAT":
      // The shortest text of the largest ones is a larger double, which the server refuses.
      return `CAST(CAST(${value} AS DOUBLE) AS VARCHAR)`;
    case "TIMESTAMP WITH TIME ZONE":
      // The engine's sessions are in UTC.
      return `CAST(CAST(${value} AS TIMESTAMP) AS VARCHAR)`;
    case "VARCHAR":
      return column.maxLength === undefined ? value : limited(value, column, column.maxLength);
    default:
      return `CAST(${value} AS VARCHAR)`;
  }
}

function limited(value: string, column: TargetColumn, maxLength: number): string {
  const message = `${quoteLiteral("the value '")} || left(${value}, 80) || ` +
    quoteLiteral(`' of column ${column.name} does not fit ${column.nativeType}`);
  return `CASE WHEN length(${value}) > ${maxLength} THEN error(${message}) ELSE ${value} END`;
}

function escapedText(sql: string): string {
  return `replace(replace(replace(replace(${sql}, '\\', '\\\\'), chr(9), '\\t'), ` +
    `chr(10), '\\n'), chr(0), '\\0')`;
}

/** `LOAD DATA LOCAL INFILE` for {@link LoadPlan.lines}. */
export function loadDataStatement({ table, columns }: LoadPlan): string {
  const places: string[] = [];
  const sets: string[] = [];
  columns.forEach((column, at) => {
    const name = mysqlDialect.quote(column.name);
    const value = converted(`@v${at}`, column);
    places.push(value === undefined ? name : `@v${at}`);
    if (value !== undefined) sets.push(`${name} = ${value}`);
  });
  return `LOAD DATA LOCAL INFILE 'flow' INTO TABLE ${table} CHARACTER SET utf8mb4 ` +
    "FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' " +
    `(${places.join(", ")})${sets.length === 0 ? "" : ` SET ${sets.join(", ")}`}`;
}

/** An INSERT whose one parameter is a JSON array of {@link LoadPlan.arrays}. */
export function insertStatement({ table, columns }: LoadPlan): string {
  const names = columns.map((column) => mysqlDialect.quote(column.name));
  const values = columns.map((column, at) => converted(`j.c${at}`, column) ?? `j.c${at}`);
  const paths = columns.map((_, at) => `c${at} LONGTEXT PATH '$[${at}]'`);
  return `INSERT INTO ${table} (${names.join(", ")}) SELECT ${values.join(", ")} ` +
    `FROM JSON_TABLE(?, '$[*]' COLUMNS (${paths.join(", ")})) AS j`;
}

/** What must be done to a text on its way into the column; `undefined` where the server's own conversion is exact. */
function converted(text: string, column: TargetColumn): string | undefined {
  if (column.type === "BLOB") return `UNHEX(${text})`;
  if (/^bit\b/i.test(column.nativeType)) return `CAST(${text} AS UNSIGNED)`;
  return undefined;
}
