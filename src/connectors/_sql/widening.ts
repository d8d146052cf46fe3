import { integerRange } from "../../core/engine_type.ts";
import type { Batch } from "../../core/batch.ts";
import { type Column, quoteIdentifier, type TargetColumn } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import { jsonValue } from "../../formats/json_text.ts";
import { parseType } from "../../formats/type_text.ts";
import { type Cast, castExpression, isNested } from "./cast.ts";
import { jointTypes } from "./joint_type.ts";
import type { ShapedTable } from "./table_shape.ts";

/**
 * The comment on a column that flow has made, and the whole of the mechanism: only such columns get a wider type in mid-stream. It lives and
 * dies with the column, and whoever wants to keep a type takes it away. (SQLite has no comments on columns: there it stands in
 * the table's declaration.)
 */
export const MADE_BY_FLOW = "made by flow";

/** A column that may be marked. */
export interface MarkedColumn extends TargetColumn {
  /** True when flow has made the column ({@link MADE_BY_FLOW}) and the target can change its type. */
  readonly widens: boolean;
}

/** A new type for a column of the target. */
export interface Widening<Target extends MarkedColumn> {
  readonly target: Target;
  /** The engine type whose values the column is to hold. */
  readonly type: string;
}

/** What a target knows about changing types. */
export interface Widener<Target extends MarkedColumn> {
  /** The engine type that a column made for this type is read back as; `undefined` where that says too little. */
  stored(type: string): string | undefined;
  /** True when no value that is in the column changes its meaning on the way into the type. Looks at all of them if it has to. */
  holds(target: Target, type: string): Promise<boolean>;
  /** The cast of a batch's column; `undefined` when no value fits. */
  cast(column: Column, to: string): Promise<Cast | undefined>;
}

/** A column of a batch whose type is another one than its target's, so that its values have to be looked at. */
export interface Doubt<Target extends MarkedColumn> {
  readonly column: Column;
  readonly target: Target;
  /** Holds for rows whose value the target's type would change or refuse. */
  readonly condition: string;
}

/**
 * The columns that may have to be widened for a batch. Never those that the table keeps unique: which rows are the same one depends on
 * the type (`1` and `1.0` are equal numbers, and different texts).
 */
export async function doubtfulColumns<Target extends MarkedColumn>(
  shaped: ShapedTable<Target, { readonly uniqueKeys: readonly (readonly string[])[] }>,
  widener: Widener<Target>,
): Promise<Doubt<Target>[]> {
  const kept = new Set([...shaped.table.uniqueKeys.flat(), ...shaped.keys]);
  const doubts: Doubt<Target>[] = [];
  for (const { column, target } of shaped.map.pairs) {
    if (!target.widens || kept.has(target.name) || column.type === target.type) continue;
    const condition = changedValues(column, target.type, await widener.cast(column, target.type));
    if (condition !== undefined) doubts.push({ column, target, condition });
  }
  return doubts;
}

/** The wider types that the batch's values ask for; a column that no type fits is left as it is. */
export async function findWidenings<Target extends MarkedColumn>(
  session: Session,
  batch: Batch,
  doubts: readonly Doubt<Target>[],
  widener: Widener<Target>,
): Promise<Widening<Target>[]> {
  if (doubts.length === 0) return [];
  const found = await whichHold(session, batch, doubts.map(({ condition }) => condition));
  const widenings: Widening<Target>[] = [];
  for (const [at, { column, target }] of doubts.entries()) {
    if (found[at] !== true) continue;
    const scale = await neededScale(session, batch, column);
    for (const type of jointTypes(target.type, column.type, scale)) {
      const stored = widener.stored(type);
      if (stored === undefined || stored === target.type) continue;
      const changed = changedValues(column, stored, await widener.cast(column, stored));
      if (changed !== undefined && (await whichHold(session, batch, [changed]))[0]) continue;
      if (!(await widener.holds(target, type))) continue;
      widenings.push({ target, type });
      break;
    }
  }
  return widenings;
}

/** What has been done, for a notice: `the table public.events: "amount" from bigint to hold DOUBLE`. */
export function toldWidenings<Target extends MarkedColumn>(
  shown: string,
  widenings: readonly Widening<Target>[],
): string {
  const changes = widenings.map(({ target, type }) =>
    `"${target.name}" (${target.nativeType}) now holds ${type}`
  );
  return `widened columns of the table ${shown}: ${changes.join(", ")}`;
}

/**
 * The cast into a column that flow made. Beyond {@link castExpression}, structs and lists fit text, as JSON; and text goes into JSON as a
 * JSON string, since what such a column has so far came out of JSON values.
 */
export function markedCast(column: Column, to: string): Cast | undefined {
  const name = quoteIdentifier(column.name);
  if (to === "JSON" && column.type === "VARCHAR") return { expr: jsonValue(name, "VARCHAR") };
  if (to === "VARCHAR" && isNested(column.type)) return { expr: jsonValue(name, column.type) };
  return castExpression(name, column.type, to);
}

/**
 * A condition for the rows whose value would change or does not fit; `undefined` when there can be none. Never NULL. Beyond the cast's own
 * condition it holds for what an ordinary cast lets through, as a person chose the type there: a decimal that a double rounds, and
 * text such as `007` that a number does not keep.
 */
export function changedValues(
  column: Column,
  to: string,
  cast: Cast | undefined,
): string | undefined {
  const name = quoteIdentifier(column.name);
  if (cast === undefined) return `${name} IS NOT NULL`;
  const inexact = inexactValues(name, column.type, to);
  if (inexact === undefined) return cast.badCondition;
  return cast.badCondition === undefined ? inexact : `(${cast.badCondition} OR ${inexact})`;
}

function inexactValues(name: string, from: string, to: string): string | undefined {
  if (parseType(from).kind === "decimal" && to === "DOUBLE") {
    return `(TRY_CAST(CAST(CAST(${name} AS DOUBLE) AS VARCHAR) AS ${from}) IS DISTINCT FROM ${name})`;
  }
  if (from !== "VARCHAR" || integerRange(to) === undefined) return undefined;
  return `(${name} IS NOT NULL AND CAST(TRY_CAST(${name} AS ${to}) AS VARCHAR) IS DISTINCT FROM ${name})`;
}

async function whichHold(
  session: Session,
  batch: Batch,
  conditions: readonly string[],
): Promise<boolean[]> {
  const items = conditions.map((condition, at) =>
    `coalesce(bool_or(${condition}), false) AS c${at}`
  );
  const [row] = await session.rows<Record<string, boolean>>(
    `SELECT ${items.join(", ")} FROM ${quoteIdentifier(batch.table)}`,
  );
  return conditions.map((_condition, at) => row?.[`c${at}`] === true);
}

/** Decimals of the longest fraction among the batch's doubles; `undefined` when one is written with an exponent, or is no number. */
async function neededScale(
  session: Session,
  batch: Batch,
  column: Column,
): Promise<number | undefined> {
  if (column.type !== "DOUBLE") return undefined;
  const text = `CAST(${quoteIdentifier(column.name)} AS VARCHAR)`;
  const [row] = await session.rows<{ scale: bigint | number | null }>(
    `SELECT max(CASE WHEN regexp_full_match(${text}, '-?[0-9]+[.][0-9]+') ` +
      `THEN length(rtrim(split_part(${text}, '.', 2), '0')) ELSE 99 END) AS scale ` +
      `FROM ${quoteIdentifier(batch.table)} WHERE ${quoteIdentifier(column.name)} IS NOT NULL`,
  );
  const scale = Number(row?.scale ?? 99);
  return scale === 99 ? undefined : scale;
}
