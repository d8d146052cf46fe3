import type { TableRef } from "../../core/connector.ts";
import { quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import { parseType } from "../../formats/type_text.ts";
import { markedCast, type Widener, type Widening } from "../_sql/widening.ts";
import { type PostgresColumn, qualifiedName } from "./catalog.ts";
import type { PostgresConnection } from "./connection.ts";
import { isServerError } from "./postgres_error.ts";
import { engineTypeOf, postgresType } from "./type_map.ts";

/** A double holds every integer up to here. */
const MAX_EXACT = "9007199254740992";
/**
 * The server's reasons why a type cannot change: a view or a rule depends on the column, rights are missing, the table is in use in
 * this transaction.
 */
const REFUSALS = new Set(["0A000", "2BP01", "42501", "55006"]);

/** How values of a column become values of another type. */
interface Conversion {
  readonly expr: string;
  /** Holds for values that stay what they are; absent when all do. */
  readonly exact?: string;
}

/** What a Postgres table can do about its columns' types, within the connection's open transaction. */
export function postgresWidener(
  connection: PostgresConnection,
  table: TableRef,
): Widener<PostgresColumn> {
  return {
    stored: (type) => engineTypeOf(postgresType(type)),
    cast: (column, to) => Promise.resolve(markedCast(column, to)),
    async holds(target, type) {
      const conversion = conversionOf(target, type);
      if (conversion?.exact === undefined) return conversion !== undefined;
      const { rows } = await connection.query(
        `SELECT 1 FROM ${qualifiedName(table)} WHERE NOT (${conversion.exact}) LIMIT 1`,
      );
      return rows.length === 0;
    },
  };
}

/**
 * Gives the columns their new types. The table is locked until the transaction ends, and is written anew by the server.
 *
 * @returns why it cannot be done, if so; the transaction is then as it was before
 */
export async function widenColumns(
  connection: PostgresConnection,
  table: TableRef,
  widenings: readonly Widening<PostgresColumn>[],
): Promise<string | undefined> {
  const actions = widenings.map(({ target, type }) => {
    const name = quoteIdentifier(target.name);
    const expr = conversionOf(target, type)?.expr ?? name;
    return `ALTER COLUMN ${name} TYPE ${postgresType(type)} USING ${expr}`;
  });
  await connection.query("SAVEPOINT flow_widening");
  try {
    await connection.query(`ALTER TABLE ${qualifiedName(table)} ${actions.join(", ")}`);
  } catch (error) {
    if (!isServerError(error) || !REFUSALS.has(error.code ?? "")) throw error;
    await connection.query("ROLLBACK TO SAVEPOINT flow_widening");
    return error.message;
  }
  await connection.query("RELEASE SAVEPOINT flow_widening");
  return undefined;
}

/** `undefined` where there is no way that keeps the values. */
function conversionOf(target: PostgresColumn, to: string): Conversion | undefined {
  const name = quoteIdentifier(target.name);
  const from = parseType(target.type);
  const type = parseType(to);
  const isDouble = target.type === "DOUBLE" || target.type === "FLOAT";
  if (to === "VARCHAR") return { expr: textOf(name, target.type) };
  if (to === "JSON") return { expr: `to_jsonb(${name})` };
  if (to === "DOUBLE" && !isDouble) {
    const expr = `${name}::float8`;
    return from.kind === "decimal"
      ? { expr, exact: `${expr}::text::numeric = ${name} OR ${name} IS NULL` }
      : { expr, exact: `abs(${name}::numeric) <= ${MAX_EXACT} OR ${name} IS NULL` };
  }
  const expr = `${name}::${postgresType(to)}`;
  if (type.kind !== "decimal") return { expr };
  const whole = `1e${type.precision - type.scale}`;
  if (!isDouble) {
    return { expr, exact: `abs(${name}::numeric) < ${whole} OR ${name} IS NULL` };
  }
  // A double straight into numeric is rounded to 15 digits; its text is exact.
  const decimal = `${name}::text::numeric`;
  return {
    expr: `${decimal}::${postgresType(to)}`,
    exact: `${name} IS NULL OR CASE WHEN ${name}::text IN ('NaN', 'Infinity', '-Infinity') ` +
      `THEN false ELSE abs(${decimal}) < ${whole} AND ${decimal} = round(${decimal}, ${type.scale}) END`,
  };
}

/** The text that flow writes for such values. */
function textOf(name: string, type: string): string {
  switch (type) {
    case "FLOAT":
    case "DOUBLE":
      return `${name}::text || CASE WHEN ${name}::text ~ '^-?[0-9]+$' THEN '.0' ELSE '' END`;
    case "TIMESTAMP":
      return timeText(name, name, "");
    case "TIMESTAMP WITH TIME ZONE":
      return timeText(name, `(${name} AT TIME ZONE 'UTC')`, "Z");
    default:
      return `${name}::text`;
  }
}

function timeText(name: string, local: string, zone: string): string {
  const format = (fraction: string) =>
    `to_char(${local}, ${quoteLiteral(`YYYY-MM-DD"T"HH24:MI:SS${fraction}`)})`;
  return `CASE WHEN NOT isfinite(${name}) THEN ${name}::text ` +
    `WHEN date_part('microseconds', ${local})::bigint % 1000000 = 0 THEN ${format("")} ` +
    `ELSE ${format(".US")} END || CASE WHEN isfinite(${name}) THEN '${zone}' ELSE '' END`;
}
