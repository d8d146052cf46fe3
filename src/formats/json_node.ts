import { type Column, isMetadataColumn } from "../core/schema.ts";
import { ROW_COLUMN } from "../core/batch.ts";
import { type TypeNode, typeText } from "./type_text.ts";

/** How the numbers of a field are held. `VARCHAR` is not among them: such a field is a text that also takes numbers. */
export type NumberType =
  | { readonly base: "BIGINT" }
  | { readonly base: "DOUBLE" }
  /** DECIMAL(38, scale). */
  | { readonly base: "DECIMAL"; readonly scale: number };

/** What is known about the JSON values at one place (a field, the elements of a list): how they are decoded, and into which type. */
export type JsonNode =
  /** Only nulls so far. */
  | { readonly kind: "unknown" }
  | { readonly kind: "boolean" }
  | { readonly kind: "number"; readonly type: NumberType }
  /** `numbers`: numbers are taken too, as the text that they had. `seenNumbers`: there have been some. */
  | { readonly kind: "text"; readonly numbers: boolean; readonly seenNumbers: boolean }
  /** ISO-8601 date-times with a zone. */
  | { readonly kind: "time" }
  /** Of unknown elements: only empty lists (or lists of nulls) so far. */
  | { readonly kind: "list"; readonly element: JsonNode }
  /** Without fields: only empty objects so far. `growths` counts the batches that added fields. */
  | {
    readonly kind: "object";
    readonly fields: ReadonlyMap<string, JsonNode>;
    readonly growths: number;
  }
  /** Kept as JSON text: mixed lists, objects with dynamic keys. Takes every value, for good. */
  | { readonly kind: "json" }
  /** A type that the definition declares. */
  | { readonly kind: "declared"; readonly type: TypeNode }
  /** The payload's own `_event_ts`. */
  | { readonly kind: "event_time" }
  /** A payload field that a metadata column hides. */
  | { readonly kind: "ignored" };

/** A field of the payload's top level. */
export interface JsonField {
  /** The key in the payload. */
  readonly key: string;
  /** The column that shows it; empty for a field that has none (hidden by a metadata column). */
  readonly column: string;
  readonly node: JsonNode;
}

/** Column of a decoded table while it is worked on: whether the row is right. */
export const OK_COLUMN = "__flow_ok";
/** Column of a decoded table while it is worked on: what did not fit, NULL when all did. */
export const MISFIT_COLUMN = "__flow_misfit";

/** The fields of the payload that are known, in the order of their columns. */
export type JsonSchema = readonly JsonField[];

/** DuckDB's type of the values of a node. */
export function nodeType(node: JsonNode): string {
  switch (node.kind) {
    case "boolean":
      return "BOOLEAN";
    case "number":
      return numberTypeText(node.type);
    case "unknown":
    case "text":
    case "ignored":
      return "VARCHAR";
    case "time":
    case "event_time":
      return "TIMESTAMP WITH TIME ZONE";
    case "json":
      return "JSON";
    case "declared":
      return typeText(node.type);
    case "list":
      return isShapeless(node) ? "JSON" : `${nodeType(node.element)}[]`;
    case "object": {
      if (isShapeless(node)) return "JSON";
      const fields = [...node.fields].map(([key, field]) =>
        `"${key.replaceAll('"', '""')}" ${nodeType(field)}`
      );
      return `STRUCT(${fields.join(", ")})`;
    }
  }
}

/** The text of a number type. */
export function numberTypeText(type: NumberType): string {
  return type.base === "DECIMAL" ? `DECIMAL(38,${type.scale})` : type.base;
}

/** True for a list or object that has only been seen empty: JSON text until its inside is known. */
export function isShapeless(node: JsonNode): boolean {
  if (node.kind === "list") return node.element.kind === "unknown";
  return node.kind === "object" && node.fields.size === 0;
}

/** The user columns of a schema. */
export function schemaColumns(schema: JsonSchema): Column[] {
  return schema.filter((field) => field.column !== "").map((field) => ({
    name: field.column,
    type: nodeType(field.node),
  }));
}

/** True for a payload key whose column the metadata columns hide (column names know no case). */
export function isHiddenKey(key: string): boolean {
  const lower = key.toLowerCase();
  return isMetadataColumn(lower) || lower === ROW_COLUMN;
}

/**
 * The column for a payload key: the key itself, as far as a column can have that name. Column names know no case, so the second of
 * `id` and `ID` becomes `ID_1`. The empty key becomes `_`, a NUL in a key its symbol (U+2400).
 */
export function columnName(key: string, taken: ReadonlySet<string>): string {
  const base = key === "" ? "_" : key.replaceAll("\0", "\u2400");
  let name = base;
  for (let suffix = 1; taken.has(name.toLowerCase()); suffix += 1) name = `${base}_${suffix}`;
  return name;
}

/** True when the keys can be the fields of a STRUCT: none empty, none with a NUL, none equal but for case. */
export function canBeStruct(keys: Iterable<string>): boolean {
  const seen = new Set<string>();
  for (const key of keys) {
    const lower = key.toLowerCase();
    if (key === "" || key.includes("\0") || seen.has(lower)) return false;
    seen.add(lower);
  }
  return true;
}

/** A text that is equal for nodes that decode alike. */
export function nodeKey(node: JsonNode): string {
  switch (node.kind) {
    case "text":
      return node.seenNumbers ? "text and numbers" : "text";
    case "number":
      return numberTypeText(node.type);
    case "declared":
      return `declared ${typeText(node.type)}`;
    case "list":
      return `[${nodeKey(node.element)}]`;
    case "object":
      return `{${
        [...node.fields].map(([key, field]) => `${JSON.stringify(key)}:${nodeKey(field)}`)
      }}`;
    default:
      return node.kind;
  }
}

/** True when the text of numbers matters somewhere: they go into a VARCHAR as they were written. */
export function keepsNumberText(node: JsonNode): boolean {
  switch (node.kind) {
    case "text":
      return node.seenNumbers;
    case "list":
      return keepsNumberText(node.element);
    case "object":
      return [...node.fields.values()].some(keepsNumberText);
    case "declared":
      return typeText(node.type).includes("VARCHAR");
    default:
      return false;
  }
}
