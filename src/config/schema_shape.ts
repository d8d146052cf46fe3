import type * as v from "valibot";
import { Secret } from "../core/secret.ts";
import { camelName, isRecord, renameKeys } from "./key_names.ts";
import type { KeyPath } from "./problem.ts";

/** What this module looks at in a valibot schema: the public fields of the few kinds that definitions use. */
interface Shape {
  readonly type?: string;
  readonly kind?: string;
  readonly wrapped?: Shape;
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly item?: Shape;
  readonly items?: readonly Shape[];
  readonly value?: Shape;
  readonly options?: readonly unknown[];
  readonly pipe?: readonly Shape[];
  readonly operation?: unknown;
  readonly description?: unknown;
}

type AnySchema = v.GenericSchema;

/** A schema without `optional`, `nullish` and the like around it. */
function unwrapped(schema: AnySchema | Shape): Shape {
  let shape = schema as Shape;
  while (shape.wrapped !== undefined) shape = shape.wrapped;
  return shape;
}

function alternatives(shape: Shape): readonly Shape[] {
  if (shape.type !== "union" && shape.type !== "variant") return [shape];
  return (shape.options ?? []).flatMap((option) => alternatives(unwrapped(option as Shape)));
}

/** The names of the keys that an object schema takes; `undefined` for schemas that take any key, or are no objects. */
export function keysOf(schema: AnySchema): readonly string[] | undefined {
  const entries = entriesOf(unwrapped(schema));
  return entries === undefined ? undefined : Object.keys(entries);
}

function entriesOf(shape: Shape): Readonly<Record<string, Shape>> | undefined {
  const objects = alternatives(shape).filter((option) => option.entries !== undefined);
  if (objects.length === 0 || objects.some((option) => option.type === "loose_object")) {
    return undefined;
  }
  return Object.assign({}, ...objects.map((option) => option.entries));
}

/** The schema of the value at a path, `undefined` where the schema says nothing about it. */
export function schemaAt(schema: AnySchema, path: KeyPath): AnySchema | undefined {
  let shape: Shape | undefined = schema as Shape;
  for (const segment of path) {
    if (shape === undefined) return undefined;
    const options: readonly Shape[] = alternatives(unwrapped(shape));
    shape = options.map((option) => {
      if (typeof segment === "number") return option.item ?? option.items?.[segment];
      if (option.type === "record") return option.value;
      return option.entries !== undefined && Object.hasOwn(option.entries, segment)
        ? option.entries[segment]
        : undefined;
    }).find((found) => found !== undefined);
  }
  return shape as AnySchema | undefined;
}

/** A text that makes no secret known when it is wrapped: it has the form of a URL without credentials. */
const PROBE = "probe:";

/** True when the schema makes a {@link Secret} of its text: its values must never be shown. */
export function isSecretSchema(schema: AnySchema): boolean {
  return makesSecret(unwrapped(schema));
}

function makesSecret(shape: Shape): boolean {
  return alternatives(shape).some((option) =>
    (option.pipe ?? []).some((step) => {
      if (step.kind === "schema" && step !== option && step.pipe !== undefined) {
        return makesSecret(unwrapped(step));
      }
      if (typeof step.operation !== "function") return false;
      try {
        return step.operation(PROBE) instanceof Secret;
      } catch {
        return false;
      }
    })
  );
}

/** The object schemas among the alternatives of a union. */
export function objectAlternatives(schema: AnySchema): readonly AnySchema[] {
  return alternatives(unwrapped(schema)).filter((shape) => shape.entries !== undefined)
    .map((shape) => shape as AnySchema);
}

/** The values that a picklist takes, `undefined` for other schemas. */
export function choicesOf(schema: AnySchema): readonly string[] | undefined {
  const found = alternatives(unwrapped(schema)).flatMap((option) =>
    option.type === "picklist" || option.type === "enum" ? option.options ?? [] : []
  );
  return found.length === 0 ? undefined : found.map(String);
}

/** The text of `v.description(…)`, wherever it stands around or inside the schema. */
export function descriptionOf(schema: AnySchema): string | undefined {
  for (let shape: Shape | undefined = schema as Shape; shape !== undefined; shape = shape.wrapped) {
    for (const step of shape.pipe ?? []) {
      if (typeof step.description === "string") return step.description;
    }
  }
  return undefined;
}

/** What {@link findMisfits} tells. */
export interface MisfitReport {
  /** A key that the object schema around it does not know, and those that it does. */
  unknownKey(path: KeyPath, valid: readonly string[]): void;
  /** A list where the schema has a table; valibot lets lists pass for objects. */
  list(path: KeyPath): void;
}

/** Finds what valibot does not tell, or tells only in part: every unknown key at every depth, and lists in the place of tables. */
export function findMisfits(
  schema: AnySchema,
  value: unknown,
  report: MisfitReport,
  path: KeyPath = [],
): void {
  if (Array.isArray(value)) {
    if (!takesLists(unwrapped(schema))) return report.list(path);
    value.forEach((item, index) => {
      const itemSchema = schemaAt(schema, [index]);
      if (itemSchema !== undefined) findMisfits(itemSchema, item, report, [...path, index]);
    });
    return;
  }
  if (!isRecord(value)) return;
  const valid = keysOf(schema);
  for (const [key, item] of Object.entries(value)) {
    if (valid !== undefined && !valid.includes(key)) {
      report.unknownKey([...path, key], valid);
      continue;
    }
    const itemSchema = schemaAt(schema, [key]);
    if (itemSchema !== undefined) findMisfits(itemSchema, item, report, [...path, key]);
  }
}

/** False for schemas of tables only; other schemas see for themselves that a list does not fit. */
function takesLists(shape: Shape): boolean {
  return alternatives(shape).some((option) =>
    option.entries === undefined && option.type !== "record"
  );
}

/**
 * Gives keys that are the user's own data (columns, headers) back their very names: builder calls rename all keys to TOML's spelling,
 * without knowing which ones are names of options.
 */
export function restoreDataKeys(schema: AnySchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map((item, index) => {
      const itemSchema = schemaAt(schema, [index]);
      return itemSchema === undefined ? item : restoreDataKeys(itemSchema, item);
    });
  }
  if (!isRecord(value)) return value;
  const types = alternatives(unwrapped(schema)).map((shape) => shape.type);
  if (types.some((type) => type === "loose_object" || type === "unknown" || type === "any")) {
    return renameKeys(value, camelName);
  }
  const isData = types.includes("record");
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const itemSchema = schemaAt(schema, [key]);
      return [
        isData ? camelName(key) : key,
        itemSchema === undefined ? item : restoreDataKeys(itemSchema, item),
      ];
    }),
  );
}
