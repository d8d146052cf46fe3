import { type Batch, ROW_COLUMN } from "../../core/batch.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { RowCheck } from "../_sql/row_fit.ts";
import { jsonRow, jsonValue } from "../../formats/json_text.ts";
import { parseType, type TypeNode, typeText } from "../../formats/type_text.ts";

/** Folder name that stands for NULL in a partitioned layout, as Hive and its readers have it. */
const NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__";

/** Longest name of a folder. */
const MAX_FOLDER_BYTES = 255;

/** One line of JSON per row, in the order of the rows. */
export function jsonQuery(batch: Batch, columns: readonly Column[], where: string): string {
  return `SELECT ${jsonRow(columns)} AS line FROM ${quoteIdentifier(batch.table)}${where}${
    orderBy(batch)
  }`;
}

/**
 * The columns as CSV has them: structs, lists, maps and JSON as JSON text, times in ISO-8601, bytes in hex, everything else in
 * the engine's own spelling (`nan` and `inf` included).
 */
export function csvQuery(batch: Batch, columns: readonly Column[], where: string): string {
  return select(
    batch,
    columns.map((column) => `${csvField(column)} AS ${quoteIdentifier(column.name)}`),
    where,
  );
}

/** How CSV is written where it is not the usual way. */
export interface CsvDialect {
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly nullText: string;
}

/**
 * One line of CSV per row, for dialects that DuckDB's own writer refuses (such as the escape `\` with `\N` for NULL). Fields are quoted when
 * they hold a character of the dialect or a line break, are empty, or look like NULL; quotes and escapes in them are escaped.
 */
export function csvLineQuery(
  batch: Batch,
  columns: readonly Column[],
  where: string,
  dialect: CsvDialect,
): string {
  const fields = columns.map((column) => {
    const field = `(${csvField(column)})::VARCHAR`;
    return `coalesce(${quoted(field, dialect)}, ${quoteLiteral(dialect.nullText)})`;
  });
  const line = fields.join(` || ${quoteLiteral(dialect.delimiter)} || `);
  return `SELECT ${line === "" ? "''" : line} AS line FROM ${quoteIdentifier(batch.table)}${where}${
    orderBy(batch)
  }`;
}

/** The line with the column names in the dialect. */
export function csvHeader(columns: readonly Column[], dialect: CsvDialect): string {
  const { delimiter, quote, escape } = dialect;
  const special = [delimiter, quote, escape, "\n", "\r"];
  const names = columns.map(({ name }) => {
    if (name !== "" && !special.some((character) => name.includes(character))) return name;
    const escaped = escape === quote ? name : name.replaceAll(escape, escape + escape);
    return quote + escaped.replaceAll(quote, escape + quote) + quote;
  });
  return `${names.join(delimiter)}\n`;
}

function quoted(field: string, { delimiter, quote, escape, nullText }: CsvDialect): string {
  const [q, e] = [quoteLiteral(quote), quoteLiteral(escape)];
  const special = [...new Set([delimiter, quote, escape, "\n", "\r"])].map((character) =>
    `contains(${field}, ${quoteLiteral(character)})`
  );
  const inner = escape === quote ? field : `replace(${field}, ${e}, ${e} || ${e})`;
  return `CASE WHEN ${special.join(" OR ")} OR ${field} IN ('', ${quoteLiteral(nullText)}) ` +
    `THEN ${q} || replace(${inner}, ${q}, ${e} || ${q}) || ${q} ELSE ${field} END`;
}

/**
 * The columns as Parquet can hold them exactly. What DuckDB's writer would turn into a double becomes DECIMAL(38,0) (HUGEINT, UHUGEINT;
 * see {@link longIntegers}) or text (BIGNUM); unions become JSON text.
 */
export function parquetQuery(batch: Batch, columns: readonly Column[], where: string): string {
  return select(
    batch,
    columns.map(({ name, type }) => {
      const column = quoteIdentifier(name);
      return `${parquetValue(column, type)} AS ${column}`;
    }),
    where,
  );
}

/** The value of a column of this type as {@link parquetQuery} has it. */
export function parquetValue(column: string, type: string): string {
  if (hasUnion(parseType(type))) return jsonValue(column, type);
  const exact = exactType(type);
  return exact === type ? column : `CAST(${column} AS ${exact})`;
}

/** The value as text: what to write where {@link parquetMisfit} holds. */
export function parquetText(column: string, type: string): string {
  return parseType(type).kind === "scalar" ? `CAST(${column} AS VARCHAR)` : jsonValue(column, type);
}

/** The condition under which {@link parquetValue} fails: an integer, also a nested one, has more than 38 digits. `undefined`: never. */
export function parquetMisfit(column: string, type: string): string | undefined {
  if (!/\bU?HUGEINT\b/.test(type) || hasUnion(parseType(type))) return undefined;
  const exact = `TRY_CAST(${column} AS ${exactType(type)})`;
  // In a nested value only the integer becomes NULL.
  return `(${exact}::VARCHAR IS DISTINCT FROM ${column}::VARCHAR)`;
}

/** For Parquet columns: the rows whose integer is too long for DECIMAL(38,0). */
export function longIntegers(columns: readonly Column[]): RowCheck[] {
  return columns.filter(({ type }) => type === "HUGEINT" || type === "UHUGEINT").map(({ name }) => {
    const column = quoteIdentifier(name);
    return {
      condition: `(${column} IS NOT NULL AND TRY_CAST(${column} AS DECIMAL(38,0)) IS NULL)`,
      reason: `${quoteLiteral(`column ${name}: `)} || ${column} || ` +
        `' has more than 38 digits, which Parquet cannot hold'`,
    };
  });
}

/** For partition columns: the rows whose folder would have a longer name than file systems take. */
export function longFolders(columns: readonly Column[]): RowCheck[] {
  return columns.map((column) => ({
    condition: `(length(${folderName(column)}) > ${MAX_FOLDER_BYTES})`,
    reason: quoteLiteral(
      `column ${column.name}: the value is too long for the name of a folder, ` +
        `which has ${MAX_FOLDER_BYTES} bytes at most`,
    ),
  }));
}

/** An SQL expression of a row's folder (`day=2026-01-31/country=DE`) from the partition columns. */
export function folderExpression(columns: readonly Column[]): string {
  return columns.map(folderName).join(" || '/' || ");
}

/** One step of {@link folderExpression}; ASCII, as everything else is encoded. */
function folderName({ name, type }: Column): string {
  const text = isTime(type)
    ? jsonText(quoteIdentifier(name), type)
    : `${quoteIdentifier(name)}::VARCHAR`;
  const value = `coalesce(url_encode(nullif(${text}, '')), ${quoteLiteral(NULL_FOLDER)})`;
  return `${quoteLiteral(`${encodeURIComponent(name)}=`)} || ${value}`;
}

function select(batch: Batch, list: readonly string[], where: string): string {
  return `SELECT ${list.join(", ")} FROM ${quoteIdentifier(batch.table)}${where}${orderBy(batch)}`;
}

function orderBy(batch: Batch): string {
  return batch.hasRowColumn ? ` ORDER BY ${quoteIdentifier(ROW_COLUMN)}` : "";
}

function csvField({ name, type }: Column): string {
  const column = quoteIdentifier(name);
  if (type === "BLOB" || isTime(type)) return jsonText(column, type);
  const { kind } = parseType(type);
  return kind === "scalar" || kind === "enum" ? column : jsonValue(column, type);
}

function isTime(type: string): boolean {
  return type.startsWith("TIMESTAMP");
}

/** The text that JSON has between quotes. Only for types whose texts need no escapes. */
function jsonText(column: string, type: string): string {
  return `(${jsonValue(column, type)})[2:-2]`;
}

function hasUnion(type: TypeNode): boolean {
  switch (type.kind) {
    case "union":
      return true;
    case "list":
      return hasUnion(type.element);
    case "map":
      return hasUnion(type.key) || hasUnion(type.value);
    case "struct":
      return type.fields.some((field) => field.name === "" || hasUnion(field.type));
    default:
      return false;
  }
}

function exactType(type: string): string {
  const node = parseType(type);
  const exact = typeText(exactNode(node));
  return exact === typeText(node) ? type : exact;
}

function exactNode(type: TypeNode): TypeNode {
  switch (type.kind) {
    case "scalar":
      if (type.name === "HUGEINT" || type.name === "UHUGEINT") {
        return { kind: "decimal", precision: 38, scale: 0 };
      }
      return type.name === "BIGNUM" || type.name === "BIT"
        ? { kind: "scalar", name: "VARCHAR" }
        : type;
    case "list":
      return { ...type, element: exactNode(type.element) };
    case "map":
      return { ...type, key: exactNode(type.key), value: exactNode(type.value) };
    case "struct":
      return {
        ...type,
        fields: type.fields.map((field) => ({ ...field, type: exactNode(field.type) })),
      };
    default:
      return type;
  }
}
