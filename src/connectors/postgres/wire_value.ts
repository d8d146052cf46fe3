import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier, type TargetColumn } from "../../core/schema.ts";
import { type Cast, castExpression, isNested } from "../_sql/cast.ts";
import { targetTypeMismatch } from "../_sql/target_error.ts";
import { markedCast } from "../_sql/widening.ts";
import type { PostgresColumn } from "./catalog.ts";

/** A column to write into, as far as it is known: a stage's columns are not in the catalogue yet. */
export type WireTarget =
  & TargetColumn
  & Partial<Pick<PostgresColumn, "typeName" | "generated" | "widens">>;

/**
 * The value of a column as COPY takes it: cast exactly to the target's type, bytes as `\x` and hex digits.
 *
 * @param shown the table's name for messages
 * @throws FlowError `target_type_mismatch`, `target_column_generated` (user)
 */
export function wireValue(shown: string, column: Column, target: WireTarget): Cast {
  const cast = castTo(shown, column, target);
  switch (target.type) {
    case "BLOB":
      return { ...cast, expr: `('\\x' || lower(hex(${cast.expr})))` };
    case "TIMESTAMP WITH TIME ZONE":
      return { ...cast, expr: zonedTime(cast.expr) };
    default:
      return cast;
  }
}

/**
 * A time as text, without a zone where that says the same: the server's session is in UTC. The engine needs its calendar to write a zone,
 * and that takes a third of the time in which a row of eight columns is written.
 */
function zonedTime(expr: string): string {
  return `CASE WHEN ${expr} >= TIMESTAMPTZ '0001-01-01 00:00:00+00' ` +
    `AND ${expr} < TIMESTAMPTZ '10000-01-01 00:00:00+00' ` +
    `THEN CAST(make_timestamp(epoch_us(${expr})) AS VARCHAR) ELSE CAST(${expr} AS VARCHAR) END`;
}

function castTo(shown: string, column: Column, target: WireTarget): Cast {
  if (target.generated === true) {
    throw new FlowError(
      `column "${column.name}" cannot go into ${shown}."${target.name}": Postgres generates that column`,
      {
        code: "target_column_generated",
        domain: "user",
        hint: "leave the column out with [transform] sql",
        details: { table: shown, column: column.name },
      },
    );
  }
  const name = quoteIdentifier(column.name);
  // A numeric without precision holds any number, which the engine can only write as text.
  const isAnyNumeric = target.type === "VARCHAR" &&
    (target.typeName ?? target.nativeType) === "numeric";
  const fits = !isAnyNumeric ||
    castExpression(name, column.type, "DECIMAL(38,10)") !== undefined;
  const cast = !fits
    ? undefined
    : target.widens === true
    ? markedCast(column, target.type)
    : castExpression(name, column.type, target.type);
  if (cast !== undefined) return cast;
  throw targetTypeMismatch(
    shown,
    column,
    target,
    isNested(column.type)
      ? "make the target's column jsonb, or take the fields out with [transform] sql"
      : "cast the column with [transform] sql, or change the target's type",
  );
}
