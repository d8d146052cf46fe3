import type { Dialect, TypedExpression } from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import { quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Normalizer } from "../../core/table_spec.ts";
import { canonicalType } from "../../core/engine_type.ts";
import { duckdbDialect, timestampText } from "../../sql/dialect.ts";
import { keptType } from "../_sql/kept_type.ts";
import { castToOwn, exactCast, timeFromText } from "./exact_cast.ts";
import { textForm } from "./text_form.ts";
import { MAX_NAME_BYTES } from "./target_table.ts";
import { postgresType } from "./type_map.ts";

/** White space that the normalizer `trim` takes away. */
// Before version 16, E'\v' is the letter.
const WHITE_SPACE = "E' \\t\\n\\r\\f\\x0b'";

/** PostgreSQL 12 and later. Its sessions have the settings that `PostgresDatabase` makes: UTC, ISO dates. */
export const postgresDialect: Dialect = {
  kind: "postgres",
  quote,
  foldName: (name) => name,
  tableName: ({ schema, name }) =>
    schema === undefined ? quote(name) : `${quote(schema)}.${quote(name)}`,
  placeholder: (index) => `$${index}`,
  columnType: (type, { maxLength } = {}) =>
    maxLength !== undefined && canonicalType(type) === "VARCHAR"
      ? `varchar(${maxLength})`
      : postgresType(canonicalType(type)),
  cast: exactCast,
  castToOwn,
  comparable: ({ sql, type }) =>
    canonicalType(type) === "VARCHAR" ? `CAST(${sql} AS text) COLLATE "C"` : sql,
  normalize,
  differs: (left, right) => `(${left} IS DISTINCT FROM ${right})`,
  rowHash,
  addSeconds: ({ sql, type }, seconds) =>
    `CAST(${sql} + (${seconds}) * interval '1 second' AS ${postgresType(type)})`,
  timestampValue: (micros) => {
    const text = timestampText(micros);
    return text.includes(" (BC)") ? `${text.replace(" (BC)", "")} BC` : text;
  },
  // A text may stand for a value of a type that flow reads as text (an enum, a number without precision): the place where it stands tells.
  typedParameter: (placeholder, type) =>
    canonicalType(type) === "VARCHAR"
      ? placeholder
      : `CAST(${placeholder} AS ${postgresType(canonicalType(type))})`,
  // Numbers of any size have 131072 digits before the point.
  lowestValue: (type) => type.startsWith("numeric") ? "-1e131071" : duckdbDialect.lowestValue(type),
  updateFrom: ({ table, source, set, on }) =>
    `UPDATE ${table} AS t SET ${
      Object.entries(set).map(([name, value]) => `${quote(name)} = ${value}`).join(", ")
    } FROM ${source} AS s WHERE ${on}`,
  // A row that was inserted has no xmax; one that was updated carries the lock under which it was.
  upsert: ({ table, source, insert, keys, update, where }) =>
    `WITH done AS (INSERT INTO ${table} AS t (${
      Object.keys(insert).map(quote).join(", ")
    }) SELECT ${Object.values(insert).join(", ")} FROM ${source} AS s ON CONFLICT (${
      keys.map(quote).join(", ")
    }) DO UPDATE SET ${
      update.map((name) => `${quote(name)} = excluded.${quote(name)}`).join(", ")
    } WHERE ${where} RETURNING (xmax = 0) AS fresh) SELECT count(*) FILTER (WHERE fresh) AS inserted, ` +
    `count(*) FILTER (WHERE NOT fresh) AS updated FROM done`,
  deleteWhere: (table, condition) => `DELETE FROM ${table} AS t WHERE ${condition}`,
  // TRUNCATE would be quicker, but it locks out readers until the commit, shows an empty table to transactions that began before, wants a
  // right of its own, and refuses tables that foreign keys point to.
  emptyTable: (table) => `DELETE FROM ${table}`,
  createStageAs: (name, query) => `CREATE TEMP TABLE ${quote(name)} AS ${query}`,
  createStage: (name, columns) =>
    `CREATE TEMP TABLE ${quote(name)} (${
      columns.map((column) =>
        `${quote(column.name)} ${column.ownType?.name ?? postgresType(canonicalType(column.type))}`
      ).join(", ")
    })`,
  stageName: (name) => `pg_temp.${quote(name)}`,
  dropStage: (name) => `DROP TABLE IF EXISTS pg_temp.${quote(name)}`,
  refreshStatistics: (stage) => `ANALYZE ${stage}`,
  createSchema,
  addColumn: (table, name, columnType) =>
    `ALTER TABLE ${table} ADD COLUMN ${quote(name)} ${columnType}`,
  widenColumn: (table, name, columnType) =>
    `ALTER TABLE ${table} ALTER COLUMN ${quote(name)} TYPE ${columnType}`,
  keptType,
  hasSchemas: true,
  keepsAnyValue: false,
  transactionalDdl: true,
  savepoints: true,
  stableReads: true,
};

/** Postgres cuts longer names without an error, and then two of them may be one. */
function quote(name: string): string {
  if (new TextEncoder().encode(name).length <= MAX_NAME_BYTES) return quoteIdentifier(name);
  throw new FlowError(
    `the name "${name}" is too long: Postgres cuts names after ${MAX_NAME_BYTES} bytes`,
    {
      code: "name_too_long",
      domain: "user",
      hint: "choose a shorter name",
      details: { name },
    },
  );
}

function normalize(expression: TypedExpression, normalizer: Normalizer, type: string): string {
  const text = canonicalType(expression.type) === "VARCHAR"
    ? `CAST(${expression.sql} AS text)`
    : expression.sql;
  switch (normalizer) {
    case "lower":
    case "upper":
      // By Unicode, as everywhere else: a database's own collation may know ASCII only.
      return `${normalizer}(CAST(${text} AS text) COLLATE "und-x-icu")`;
    case "trim":
      return `btrim(${text}, ${WHITE_SPACE})`;
    case "empty_to_null":
      return `nullif(${text}, '')`;
    case "parse_timestamp": {
      if (/^(TIMESTAMP|DATE)/.test(canonicalType(expression.type))) {
        return exactCast(expression, type);
      }
      return exactCast({ sql: timeFromText(text), type: "TIMESTAMP WITH TIME ZONE" }, type);
    }
  }
}

/** A call takes 100 arguments at most. */
const ENCODED_VALUES_PER_CALL = 50;
/** Types whose texts are ASCII: as long in every encoding. */
const ASCII_TEXT =
  /^(BOOLEAN|U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DECIMAL\(|FLOAT|DOUBLE|DATE|TIME|UUID)/;

/** Calls of `concat` copy the texts once, `||` copies what came before for each of them. */
function rowHash(values: readonly TypedExpression[]): string {
  const parts = values.map((value) => {
    const text = textForm(value);
    const bytes = ASCII_TEXT.test(canonicalType(value.type)) ? text : `convert_to(${text}, 'UTF8')`;
    return `coalesce(octet_length(${bytes}) || ':' || ${text}, 'N')`;
  });
  const calls: string[] = [];
  for (let from = 0; from < parts.length; from += ENCODED_VALUES_PER_CALL) {
    calls.push(`concat(${parts.slice(from, from + ENCODED_VALUES_PER_CALL).join(", ")})`);
  }
  return `sha256(convert_to(${calls.length === 0 ? "''" : calls.join(" || ")}, 'UTF8'))`;
}

/** CREATE SCHEMA wants a right, also where IF NOT EXISTS has nothing to do. */
function createSchema(schema: string): string {
  const create = `CREATE SCHEMA IF NOT EXISTS ${quote(schema)}`;
  const body = `BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${
    quoteLiteral(schema)
  }) THEN ${create}; END IF; END`;
  return `DO ${quoteLiteral(body)}`;
}
