import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { RowCheck } from "../_sql/row_fit.ts";
import type { ShapedTable } from "../_sql/table_shape.ts";
import type { PostgresColumn, PostgresTable } from "./catalog.ts";
import { wireValue } from "./wire_value.ts";

/** How the rows of batches with certain columns get into the table. */
export interface WritePlan {
  /** The table's name as SQL takes it. */
  readonly table: string;
  readonly columns: readonly PlannedColumn[];
  /** Rows whose values do not fit the target's types: looked for in every batch, as they would arrive changed. */
  readonly casts: readonly RowCheck[];
  /** Rows that the server would refuse for reasons that the engine can see as well: looked for once bad rows have come. */
  readonly checks: readonly RowCheck[];
  /** Key columns of a merge by their names in the table; empty for append. */
  readonly keys: readonly string[];
}

/** One column of the COPY. */
export interface PlannedColumn {
  readonly target: PostgresColumn;
  /** Engine expression of the value as COPY's CSV takes it. */
  readonly wire: string;
}

/** The table's names. */
export interface TableNames {
  /** As SQL takes it. */
  readonly table: string;
  /** For messages. */
  readonly shown: string;
}

/**
 * Plans the way from a batch's columns into a table that has them.
 *
 * @throws FlowError naming the column: `target_type_mismatch`, `target_column_generated` (user).
 */
export function planWrite(
  names: TableNames,
  shaped: ShapedTable<PostgresColumn, PostgresTable>,
): WritePlan {
  const { keys } = shaped;
  const casts: RowCheck[] = [];
  const checks: RowCheck[] = [];
  const columns = shaped.map.pairs.map(({ column, target }): PlannedColumn => {
    const cast = wireValue(names.shown, column, target);
    if (cast.badCondition !== undefined) {
      const reason = `does not fit ${target.nativeType}`;
      casts.push({ condition: cast.badCondition, reason: reasonWithValue(column, reason) });
    }
    if (keys.includes(target.name)) {
      const reason = `column "${column.name}" is NULL, and it is a key of the merge`;
      casts.push({
        condition: `${quoteIdentifier(column.name)} IS NULL`,
        reason: quoteLiteral(reason),
      });
    }
    const wire = cast.expr;
    checks.push(...checksOf(column, target, wire));
    return { target, wire };
  });
  for (const { column, reason } of shaped.refused) {
    casts.push({
      condition: `${quoteIdentifier(column.name)} IS NOT NULL`,
      reason: quoteLiteral(`column "${column.name}" ${reason}`),
    });
  }
  if (columns.length === 0) {
    casts.push({ condition: "true", reason: quoteLiteral("the row has no column for the table") });
  }
  return { table: names.table, columns, casts, checks, keys };
}

function checksOf(column: Column, target: PostgresColumn, wire: string): RowCheck[] {
  const checks: RowCheck[] = [];
  const add = (condition: string, reason: string) =>
    checks.push({ condition: `coalesce(${condition}, false)`, reason });
  if (!target.nullable) {
    add(
      `${wire} IS NULL`,
      quoteLiteral(`column "${column.name}" is NULL, and the table says NOT NULL`),
    );
  }
  if (target.type !== "VARCHAR" && target.type !== "JSON") return checks;
  add(
    `contains(${wire}, chr(0))`,
    quoteLiteral(`column "${column.name}" has a NUL character, which Postgres does not take`),
  );
  if (target.maxLength !== undefined) {
    // Spaces at the end are cut off by Postgres without an error.
    const length = `length(rtrim(${wire}, ' '))`;
    add(
      `${length} > ${target.maxLength}`,
      `${quoteLiteral(`column "${column.name}" has `)} || ${length} || ` +
        quoteLiteral(` characters, too many for ${target.nativeType}`),
    );
  }
  if (target.type === "JSON") {
    add(`NOT json_valid(${wire})`, reasonWithValue(column, "is not JSON"));
    if (target.typeName === "jsonb") {
      add(
        `regexp_matches(${wire}, '(^|[^\\\\])(\\\\\\\\)*\\\\u0000')`,
        quoteLiteral(`column "${column.name}" has a NUL character, which jsonb does not take`),
      );
    }
  }
  return checks;
}

/** `column "amount": 12.345 does not fit numeric(10,2)`, with the row's own value. */
function reasonWithValue(column: Column, reason: string): string {
  const value = `left(CAST(${quoteIdentifier(column.name)} AS VARCHAR), 60)`;
  return `${quoteLiteral(`column "${column.name}": `)} || ${value} || ${
    quoteLiteral(` ${reason}`)
  }`;
}
