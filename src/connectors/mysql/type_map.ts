import { canonicalType } from "../../core/engine_type.ts";
import {
  BINARY_CHARSET,
  type ColumnDefinition,
  isBoolean,
  UNSIGNED_FLAG,
  WIRE,
} from "./wire_value.ts";

/**
 * The collation of text that flow makes, and of what it compares: by code points, and without padding, so that `a` is neither `A` nor
 * `a` with a space. MariaDB and MySQL have different names for it; each skips the other's comment.
 */
export const EXACT_COLLATION =
  "/*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */";

/** The comment on columns that flow makes for times with a zone, which MySQL has no own name for. */
export const COMMENT_TIMESTAMPTZ = "flow:timestamptz";
/** The same for UUIDs. */
export const COMMENT_UUID = "flow:uuid";

/** Longest text of a key where the definition gives none: three such columns fit one index of 3072 bytes. */
export const KEY_CHARACTERS = 255;
/** The longest VARCHAR that leaves room for others: all columns of a row share 65535 bytes. */
const LONGEST_VARCHAR = 8_000;

const SCALARS: Readonly<Record<string, string>> = {
  BOOLEAN: "TINYINT(1)",
  TINYINT: "TINYINT",
  SMALLINT: "SMALLINT",
  INTEGER: "INT",
  BIGINT: "BIGINT",
  HUGEINT: "DECIMAL(38,0)",
  UTINYINT: "TINYINT UNSIGNED",
  USMALLINT: "SMALLINT UNSIGNED",
  UINTEGER: "INT UNSIGNED",
  UBIGINT: "BIGINT UNSIGNED",
  UHUGEINT: "DECIMAL(38,0) UNSIGNED",
  FLOAT: "FLOAT",
  DOUBLE: "DOUBLE",
  DATE: "DATE",
  TIME: "TIME(6)",
  TIMESTAMP: "DATETIME(6)",
  TIMESTAMP_S: "DATETIME",
  TIMESTAMP_MS: "DATETIME(3)",
  TIMESTAMP_NS: "DATETIME(6)",
  "TIMESTAMP WITH TIME ZONE": `DATETIME(6) COMMENT '${COMMENT_TIMESTAMPTZ}'`,
  UUID: `CHAR(36) CHARACTER SET ascii COLLATE ascii_bin COMMENT '${COMMENT_UUID}'`,
  JSON: "JSON",
};

/**
 * The column type for an engine type. Times with a zone are DATETIME(6) in UTC, told apart from those without by the column's comment
 * (TIMESTAMP ends in 2038); text is compared exactly; what belongs to a key has a length.
 */
export function mysqlType(
  engineType: string,
  { maxLength, key = false }: { readonly maxLength?: number; readonly key?: boolean } = {},
): string {
  const type = canonicalType(engineType);
  const known = SCALARS[type];
  if (known !== undefined) return known;
  if (/^DECIMAL\(/.test(type)) return type;
  if (type === "BLOB") return key ? `VARBINARY(${KEY_CHARACTERS})` : "LONGBLOB";
  if (/^(STRUCT|MAP|UNION)\(|\]$/.test(type)) return "JSON";
  const length = maxLength ?? (key ? KEY_CHARACTERS : undefined);
  const text = length !== undefined && length <= LONGEST_VARCHAR
    ? `VARCHAR(${length})`
    : "LONGTEXT";
  return `${text} CHARACTER SET utf8mb4 ${EXACT_COLLATION}`;
}

/** A column of `information_schema`, as far as its type goes. */
export interface CatalogType {
  /** `bigint`, `datetime`, `longtext` … */
  readonly dataType: string;
  /** `bigint(20) unsigned`, `tinyint(1)`, `decimal(18,2)`. */
  readonly columnType: string;
  readonly comment: string;
  /** MariaDB: LONGTEXT with the check that JSON columns have. */
  readonly json: boolean;
}

/** The engine's type of a table's column. */
export function engineTypeOfColumn(column: CatalogType): string {
  const unsigned = /\bunsigned\b/i.test(column.columnType);
  switch (column.dataType.toLowerCase()) {
    case "tinyint":
      if (/^tinyint\(1\)/i.test(column.columnType)) return "BOOLEAN";
      return unsigned ? "UTINYINT" : "TINYINT";
    case "smallint":
      return unsigned ? "USMALLINT" : "SMALLINT";
    case "mediumint":
    case "int":
    case "integer":
      return unsigned ? "UINTEGER" : "INTEGER";
    case "bigint":
      return unsigned ? "UBIGINT" : "BIGINT";
    case "decimal":
    case "numeric":
      return decimalType(/\((\d+),(\d+)\)/.exec(column.columnType));
    case "float":
      return "FLOAT";
    case "double":
    case "real":
      return "DOUBLE";
    case "bit":
      return /^bit\(1\)/i.test(column.columnType) ? "BOOLEAN" : "UBIGINT";
    case "year":
      return "INTEGER";
    case "date":
      return "DATE";
    case "time":
      return "TIME";
    case "timestamp":
      return "TIMESTAMP WITH TIME ZONE";
    case "datetime":
      return column.comment === COMMENT_TIMESTAMPTZ ? "TIMESTAMP WITH TIME ZONE" : "TIMESTAMP";
    case "uuid":
      return "UUID";
    case "char":
      return column.comment === COMMENT_UUID ? "UUID" : "VARCHAR";
    case "json":
      return "JSON";
    case "binary":
    case "varbinary":
    case "tinyblob":
    case "blob":
    case "mediumblob":
    case "longblob":
      return "BLOB";
    default:
      return column.json ? "JSON" : "VARCHAR";
  }
}

/** More digits than the engine's 38 are read as text. */
function decimalType(found: RegExpExecArray | null): string {
  const precision = Number(found?.[1] ?? 10);
  const scale = Number(found?.[2] ?? 0);
  return precision <= 38 ? `DECIMAL(${precision},${scale})` : "VARCHAR";
}

/** The engine's type of a query's column, by what the server says of it. Comments are not in it: see `catalog.ts`. */
export function engineTypeOfResult(column: ColumnDefinition): string {
  const unsigned = (column.flags & UNSIGNED_FLAG) !== 0;
  switch (column.columnType) {
    case WIRE.TINY:
      if (isBoolean(column)) return "BOOLEAN";
      return unsigned ? "UTINYINT" : "TINYINT";
    case WIRE.SHORT:
      return unsigned ? "USMALLINT" : "SMALLINT";
    case WIRE.YEAR:
      return "INTEGER";
    case WIRE.LONG:
    case WIRE.INT24:
      return unsigned ? "UINTEGER" : "INTEGER";
    case WIRE.LONGLONG:
      return unsigned ? "UBIGINT" : "BIGINT";
    case WIRE.DECIMAL:
    case WIRE.NEWDECIMAL:
      return resultDecimal(column, unsigned);
    case WIRE.FLOAT:
      return "FLOAT";
    case WIRE.DOUBLE:
      return "DOUBLE";
    case WIRE.BIT:
      return column.columnLength === 1 ? "BOOLEAN" : "UBIGINT";
    case WIRE.DATE:
    case WIRE.NEWDATE:
      return "DATE";
    case WIRE.TIME:
      return "TIME";
    case WIRE.DATETIME:
      return "TIMESTAMP";
    case WIRE.TIMESTAMP:
      return "TIMESTAMP WITH TIME ZONE";
    case WIRE.JSON:
      return "JSON";
    case WIRE.GEOMETRY:
      return "BLOB";
    default:
      if (column.extendedTypeName === "uuid") return "UUID";
      if (column.extendedFormat === "json") return "JSON";
      if (column.extendedTypeName !== undefined) return "VARCHAR";
      return column.characterSet === BINARY_CHARSET && column.columnType !== WIRE.NULL
        ? "BLOB"
        : "VARCHAR";
  }
}

/** The length counts the sign and the point. */
function resultDecimal(column: ColumnDefinition, unsigned: boolean): string {
  const precision = column.columnLength - (unsigned ? 0 : 1) - (column.decimals > 0 ? 1 : 0);
  return decimalType(/(\d+),(\d+)/.exec(`${precision},${column.decimals}`));
}
