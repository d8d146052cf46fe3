import type { BoundQuery } from "./bound_query.ts";
import { typeName } from "./column_types.ts";

/** The query whose values another Postgres takes as they are: only the blanks at the end of a char(n) do not belong to the value. */
export function nativeQuery({ sql, columns }: BoundQuery): string {
  const isPadded = columns.map(({ dataTypeID }) => typeName(dataTypeID) === "bpchar");
  if (!isPadded.includes(true)) return sql;
  const names = columns.map((_, at) => `c${at + 1}`);
  const values = names.map((name, at) => isPadded[at] === true ? `CAST(${name} AS text)` : name);
  return `SELECT ${values.join(", ")} FROM (${sql}\n) AS q (${names.join(", ")})`;
}
