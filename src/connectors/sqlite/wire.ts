import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import { jsonValue } from "../../formats/json_text.ts";
import { parseType, type TypeNode, typeText } from "../../formats/type_text.ts";
import { type Cast, castExpression } from "../_sql/cast.ts";
import { markedCast } from "../_sql/widening.ts";
import { fitColumn, type FittedColumn, type RowCheck } from "../_sql/row_fit.ts";
import type { SqliteColumn } from "./table.ts";

/** A column of SQLite that takes values. */
export type WireTarget =
  & Omit<SqliteColumn, "declared" | "widens">
  & Partial<Pick<SqliteColumn, "declared" | "widens">>;

/** A column on its way into SQLite. */
export interface WireColumn extends FittedColumn {
  readonly target: WireTarget;
  /** Engine expression of the value as text; NULL for NULL. */
  readonly text: string;
  /** SQLite's expression of the value from that of the text. */
  readonly taken: (text: string) => string;
}

/** SQLite keeps no more digits of a number that it does not hold as an integer of 64 bits. */
const EXACT_DIGITS = 15;

/**
 * Plans the way of a column; `undefined` when no value could fit. Beyond what goes for every target: booleans fit integer columns as 0 and
 * 1, structs and lists fit text columns as JSON, NaN is NULL, and what SQLite would change by a column's affinity does not fit.
 */
export function wireColumn(
  column: Column,
  target: WireTarget,
  isKey: boolean,
): WireColumn | undefined {
  const source = parseType(column.type);
  const type = target.type === "ANY" ? ownType(source) : realOf(parseType(target.type));
  const cast = sqliteCast(column, source, type, target.widens ?? false);
  if (cast === undefined) return undefined;
  const fitted = fitColumn(column, target, cast, isKey);
  const wire = wireOf(cast.expr, type, target);
  const checks = [...fitted.checks, ...affinityChecks(column, target, wire.text, type)];
  if (isScalar(type, "DOUBLE") && (isKey || !target.nullable)) {
    checks.push({
      condition: `coalesce(isnan(${cast.expr}), false)`,
      reason: quoteLiteral(`column "${target.name}": NaN is NULL in SQLite, which is not allowed`),
    });
  }
  return { ...fitted, ...wire, target, checks };
}

/** SQLite has one floating-point type, also where a stage is declared by another. */
function realOf(type: TypeNode): TypeNode {
  return isScalar(type, "FLOAT") ? scalar("DOUBLE") : type;
}

/** What a column without a type of its own takes a value as. */
function ownType(source: TypeNode): TypeNode {
  if (isScalar(source, "FLOAT")) return realOf(source);
  if (source.kind === "scalar" && source.name === "NULL") return scalar("VARCHAR");
  return isNested(source) ? scalar("JSON") : source;
}

function sqliteCast(
  column: Column,
  source: TypeNode,
  type: TypeNode,
  widens: boolean,
): Cast | undefined {
  const name = quoteIdentifier(column.name);
  if (widens && isScalar(source, "VARCHAR") && isScalar(type, "JSON")) {
    return markedCast(column, "JSON");
  }
  if (isScalar(source, "BOOLEAN") && isScalar(type, "BIGINT")) {
    return { expr: `CAST(${name} AS BIGINT)` };
  }
  if (isScalar(source, "FLOAT") && isScalar(type, "DOUBLE")) {
    // By way of the shortest text: 0.1, where the widened number would be 0.10000000149011612.
    return { expr: `CAST(CAST(${name} AS VARCHAR) AS DOUBLE)` };
  }
  if (isNested(source)) {
    const fits = isScalar(type, "VARCHAR") || isScalar(type, "JSON");
    return fits ? { expr: jsonValue(name, column.type) } : undefined;
  }
  const cast = castExpression(name, column.type, typeText(type));
  if (cast === undefined || !isScalar(type, "JSON") || isScalar(source, "JSON")) return cast;
  return {
    expr: cast.expr,
    badCondition: `coalesce(NOT json_valid(CAST(${cast.expr} AS VARCHAR)), false)`,
  };
}

function wireOf(
  expr: string,
  type: TypeNode,
  target: WireTarget,
): Omit<WireColumn, keyof FittedColumn> {
  const text = (sql: string, taken = (value: string) => value) => ({ text: sql, taken });
  const asInteger = (value: string) => `CAST(${value} AS INTEGER)`;
  if (type.kind === "decimal" && type.scale > 0 && target.affinity === "numeric") {
    // `5.00` would become a double, and `5` an integer of 64 bits.
    return text(`rtrim(rtrim(CAST(${expr} AS VARCHAR), '0'), '.')`);
  }
  if (type.kind !== "scalar") return text(`CAST(${expr} AS VARCHAR)`);
  switch (type.name) {
    case "BOOLEAN":
      return text(`CAST(CAST(${expr} AS TINYINT) AS VARCHAR)`, asInteger);
    case "TINYINT":
    case "SMALLINT":
    case "INTEGER":
    case "BIGINT":
    case "UTINYINT":
    case "USMALLINT":
    case "UINTEGER":
      return text(`CAST(${expr} AS VARCHAR)`, asInteger);
    case "DOUBLE":
      return text(
        `CASE WHEN isfinite(${expr}) THEN CAST(${expr} AS VARCHAR) ` +
          `WHEN isinf(${expr}) THEN if(${expr} > 0, '9e999', '-9e999') END`,
        (value) => `CAST(${value} AS REAL)`,
      );
    case "BLOB":
      return text(`hex(${expr})`, (value) => `unhex(${value})`);
    case "TIMESTAMP":
    case "TIMESTAMP_S":
    case "TIMESTAMP_MS":
    case "TIMESTAMP_NS":
      // JSON's text of a time has no escapes: only the quotes go.
      return text(`(${jsonValue(expr, type.name)})[2:-2]`);
    case "TIMESTAMP WITH TIME ZONE":
      // Always six decimals: `00.5Z` would come before `00Z`.
      return text(
        `regexp_replace((${jsonValue(expr, type.name)})[2:-2], '^([^.]{19})Z$', '\\1.000000Z')`,
      );
    default:
      return text(`CAST(${expr} AS VARCHAR)`);
  }
}

/** Text that looks like a number becomes one in a column of numeric affinity, and loses what a double does not hold. */
function affinityChecks(
  column: Column,
  target: WireTarget,
  text: string,
  type: TypeNode,
): RowCheck[] {
  if (target.affinity !== "numeric") return [];
  const digits = `length(ltrim(regexp_replace(${text}, '[^0-9]', '', 'g'), '0'))`;
  const isWide = `${digits} > ${EXACT_DIGITS} AND NOT (TRY_CAST(${text} AS BIGINT) IS NOT NULL ` +
    `AND regexp_full_match(${text}, '[+-]?[0-9]+'))`;
  const isNumber = `regexp_full_match(${text}, ` +
    `'\\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\\s*')`;
  const isTyped = type.kind === "decimal" || isScalar(type, "JSON") ||
    (type.kind === "scalar" && WIDE_INTEGERS.has(type.name));
  if (!isTyped && !(isScalar(type, "VARCHAR") || type.kind === "enum")) return [];
  return [{
    condition: `coalesce(${isNumber}${isTyped ? ` AND ${isWide}` : ""}, false)`,
    reason: `${quoteLiteral(`column "${target.name}": `)} || left(CAST(${
      quoteIdentifier(column.name)
    } AS VARCHAR), 60) || ${
      quoteLiteral(` would be changed by SQLite in a column declared ${target.nativeType}`)
    }`,
  }];
}

const WIDE_INTEGERS = new Set(["UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM"]);

function scalar(name: string): TypeNode {
  return { kind: "scalar", name };
}

function isScalar(type: TypeNode, name: string): boolean {
  return type.kind === "scalar" && type.name === name;
}

function isNested(type: TypeNode): boolean {
  return type.kind === "struct" || type.kind === "list" || type.kind === "map" ||
    type.kind === "union";
}
