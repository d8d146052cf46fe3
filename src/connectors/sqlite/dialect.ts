import type { TableRef } from "../../core/connector.ts";
import type { Dialect, TypedExpression } from "../../core/database.ts";
import { quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { SqlValue } from "../../core/session.ts";
import type { Normalizer } from "../../core/table_spec.ts";
import { nearestFourDigitYear } from "../../core/utc_time.ts";
import { duckdbDialect } from "../../sql/dialect.ts";
import { sharedStatements } from "../../sql/dialect_statements.ts";
import { canonicalType, decimalSize, integerRange, isFloatType } from "../../core/engine_type.ts";
import { keptType } from "../_sql/kept_type.ts";
import { ENCODED_VALUES_PER_CALL } from "./functions.ts";
import { zonedText } from "./time_text.ts";
import { declarationOf } from "./type_map.ts";

/** White space that the normalizer `trim` takes away. */
const WHITE_SPACE = "' ' || char(9, 10, 11, 12, 13)";

/**
 * SQLite's dialect. Values have the forms of `type_map.ts`: decimals and integers of more than 64 bits are text, which SQLite compares
 * as text; booleans are 0 and 1; times are ISO-8601 text. What SQLite has no function for is done by those of `functions.ts`, which only
 * flow's own connections have.
 */
export const sqliteDialect: Dialect = {
  kind: "sqlite",
  quote: quoteIdentifier,
  tableName: (ref) => quoteIdentifier(fileTableName(ref)),
  placeholder: (index) => `?${index}`,
  columnType,
  ...sharedStatements(columnType),
  cast,
  normalize,
  // A column's own collation would call `a` and `A` equal.
  differs: (left, right) => `((${left}) IS NOT (${right}) COLLATE BINARY)`,
  rowHash,
  addSeconds: (expression, seconds) =>
    `flow_add_seconds(${expression.sql}, ${seconds}, ${
      quoteLiteral(canonicalType(expression.type))
    })`,
  // Texts of other years do not sort among these.
  timestampValue: (micros) => zonedText(nearestFourDigitYear(micros)),
  typedParameter,
  sortable: ({ sql, type }) =>
    /^(DATE|TIME|TIMESTAMP)/.test(canonicalType(type))
      ? `flow_cast(${sql}, 'VARCHAR', ${quoteLiteral(canonicalType(type))})`
      : sql,
  lowestValue,
  // NOT EXISTS would be tried row by row, IN is looked up; a NULL in either is no match, as there.
  lacksKey: (source, keys) => {
    const own = keys.map((key) => `t.${quoteIdentifier(key)}`).join(", ");
    const theirs = keys.map((key) => `s.${quoteIdentifier(key)}`).join(", ");
    return `((${own}) IN (SELECT ${theirs} FROM ${source} AS s)) IS NOT TRUE`;
  },
  createSchema: () => undefined,
  widenColumn: () => undefined,
  // A time of nanoseconds is a text like all others.
  keptType: (type) => type === "TIMESTAMP_NS" ? type : keptType(type),
  hasSchemas: false,
  keepsAnyValue: true,
  transactionalDdl: true,
  savepoints: true,
  stableReads: true,
};

function columnType(type: string): string {
  return declarationOf(canonicalType(type), false);
}

/** The table's name in the file: SQLite has no schemas, so that one becomes a prefix. */
export function fileTableName(ref: TableRef): string {
  const isOwn = ref.schema === undefined || ref.schema.toLowerCase() === "main";
  return isOwn ? ref.name : `${ref.schema}_${ref.name}`;
}

function cast(expression: TypedExpression, type: string): string {
  const from = canonicalType(expression.type);
  const to = canonicalType(type);
  if (from === to) return expression.sql;
  return `flow_cast(${expression.sql}, ${quoteLiteral(from)}, ${quoteLiteral(to)})`;
}

function normalize(expression: TypedExpression, normalizer: Normalizer, type: string): string {
  const { sql } = expression;
  switch (normalizer) {
    case "lower":
    case "upper":
      return `flow_${normalizer}(${sql})`;
    case "trim":
      return `trim(${sql}, ${WHITE_SPACE})`;
    case "empty_to_null":
      return `nullif(${sql}, '')`;
    case "parse_timestamp":
      return `flow_cast(${sql}, 'TIMESTAMP WITH TIME ZONE', ${quoteLiteral(canonicalType(type))})`;
  }
}

function rowHash(values: readonly TypedExpression[]): string {
  const calls: string[] = [];
  for (let from = 0; from < values.length; from += ENCODED_VALUES_PER_CALL) {
    const some = values.slice(from, from + ENCODED_VALUES_PER_CALL);
    const listed = some.map(({ sql, type }) => `${quoteLiteral(canonicalType(type))}, ${sql}`);
    calls.push(`flow_encode(${listed.join(", ")})`);
  }
  return `flow_sha256(${calls.length === 0 ? "''" : calls.join(" || ")})`;
}

function typedParameter(placeholder: string, type: string): string {
  const to = canonicalType(type);
  if (isFloatType(to)) return `CAST(${placeholder} AS REAL)`;
  // Compared as numbers, then, also with a column that holds them as text.
  if (isNumberText(to)) return `CAST(${placeholder} AS NUMERIC)`;
  if (integerRange(to) !== undefined) return `CAST(${placeholder} AS INTEGER)`;
  return to === "BLOB" ? placeholder : `flow_cast(${placeholder}, 'VARCHAR', ${quoteLiteral(to)})`;
}

function lowestValue(type: string): SqlValue {
  const to = canonicalType(type);
  if (isFloatType(to) || isNumberText(to)) return -Infinity;
  // A minus sign comes before all digits.
  if (/^(DATE|TIME|TIMESTAMP)/.test(to)) return "-infinity";
  return duckdbDialect.lowestValue(to);
}

function isNumberText(type: string): boolean {
  return decimalSize(type) !== undefined || (integerRange(type)?.bits ?? 0) > 63;
}
