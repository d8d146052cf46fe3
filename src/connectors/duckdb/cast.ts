import { type Column, quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import { parseType, type TypeField, type TypeNode, typeText } from "../../formats/type_text.ts";
import { type Cast, castExpression } from "../_sql/cast.ts";
import { markedCast } from "../_sql/widening.ts";

/**
 * The cast of a batch's column into a column of a DuckDB table; `undefined` when no value could fit. Beyond what goes for every target,
 * nested values fit nested types as long as nothing of them is lost, and JSON columns take valid JSON only.
 */
export async function duckdbCast(
  session: Session,
  column: Column,
  to: string,
): Promise<Cast | undefined> {
  const name = quoteIdentifier(column.name);
  const source = parseType(column.type);
  const target = parseType(to);
  if (typeText(source) === typeText(target)) return { expr: name };
  if (isNested(source) && isNested(target)) return await nestedCast(session, column, to);
  const cast = castExpression(name, column.type, to);
  if (cast === undefined || to !== "JSON") return cast;
  const expr = `TRY_CAST(${cast.expr} AS JSON)`;
  return { expr, badCondition: `(${name} IS NOT NULL AND ${expr} IS NULL)` };
}

/** {@link duckdbCast} into a column that flow made: see `markedCast`. */
export async function markedDuckdbCast(
  session: Session,
  column: Column,
  to: string,
): Promise<Cast | undefined> {
  const isText = to === "JSON" && column.type === "VARCHAR" ||
    to === "VARCHAR" && isNested(parseType(column.type));
  return isText ? markedCast(column, to) : await duckdbCast(session, column, to);
}

async function nestedCast(
  session: Session,
  column: Column,
  to: string,
): Promise<Cast | undefined> {
  const name = quoteIdentifier(column.name);
  const expr = `TRY_CAST(${name} AS ${to})`;
  const back = `TRY_CAST(${expr} AS ${column.type})`;
  try {
    await session.describe(`SELECT ${back} FROM (SELECT NULL::${column.type} AS ${name})`);
  } catch {
    return undefined;
  }
  return { expr, badCondition: `(${name} IS NOT NULL AND ${back} IS DISTINCT FROM ${name})` };
}

/**
 * The target's type with the struct fields that only the batch's type has, at any depth; `undefined` when there are none. Fields keep the
 * types that they have in the target.
 */
export function grownType(target: string, batch: string): string | undefined {
  const before = parseType(target);
  const grown = grow(before, parseType(batch));
  return typeText(grown) === typeText(before) ? undefined : typeText(grown);
}

function grow(target: TypeNode, batch: TypeNode): TypeNode {
  if (target.kind === "struct" && batch.kind === "struct") {
    return { kind: "struct", fields: growFields(target.fields, batch.fields) };
  }
  if (target.kind === "list" && batch.kind === "list") {
    return { ...target, element: grow(target.element, batch.element) };
  }
  if (target.kind === "map" && batch.kind === "map") {
    return { ...target, value: grow(target.value, batch.value) };
  }
  return target;
}

function growFields(target: readonly TypeField[], batch: readonly TypeField[]): TypeField[] {
  const fieldOf = new Map(batch.map((field) => [field.name.toLowerCase(), field]));
  const known = new Set(target.map((field) => field.name.toLowerCase()));
  if (known.has("") || fieldOf.has("")) return [...target];
  return [
    ...target.map((field) => {
      const same = fieldOf.get(field.name.toLowerCase());
      return same === undefined ? field : { name: field.name, type: grow(field.type, same.type) };
    }),
    ...batch.filter((field) => !known.has(field.name.toLowerCase())),
  ];
}

function isNested(type: TypeNode): boolean {
  return type.kind === "struct" || type.kind === "list" || type.kind === "map" ||
    type.kind === "union";
}
