import { plainRecord, Sealed } from "./plain_data.ts";

/** A value that a query can be given. Dates are given as ISO-8601 texts. */
export type ParameterValue = string | number | bigint | boolean | null | Date;

/** A query with values, made by {@link sql}. */
export class SqlQuery extends Sealed {}

/**
 * A query as a template: what stands in `${…}` becomes a parameter of the query, never a part of its text.
 *
 * @example
 * ```ts
 * import { pipeline, sql, table } from "flow";
 *
 * const since = new Date("2026-01-01T00:00:00Z");
 * pipeline("recent_orders", {
 *   target: table("analytics.recent_orders"),
 *   mode: "truncate",
 *   source: sql`SELECT * FROM raw.orders WHERE ordered_at >= ${since}`,
 * });
 * ```
 */
export function sql(strings: TemplateStringsArray, ...values: readonly ParameterValue[]): SqlQuery {
  const prefix = freePrefix(strings);
  const parameters = Object.fromEntries(
    values.map((value, index) => [`${prefix}${index + 1}`, value]),
  );
  const text = strings.map((part, index) =>
    index < values.length ? `${part}$${prefix}${index + 1}` : part
  ).join("");
  return new SqlQuery(`query with ${values.length} values`, plainRecord({ text, parameters }));
}

/** Names that the author's own parameters do not have. */
function freePrefix(strings: readonly string[]): string {
  let prefix = "value";
  while (strings.some((part) => part.includes(`$${prefix}`))) prefix += "_";
  return prefix;
}
