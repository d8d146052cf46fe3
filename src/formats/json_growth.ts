import {
  canBeStruct,
  columnName,
  isHiddenKey,
  type JsonField,
  type JsonNode,
  type JsonSchema,
  MISFIT_COLUMN,
  type NumberType,
  OK_COLUMN,
} from "./json_node.ts";
import { MAX_FIELDS, MAX_OBJECT_KEYS, type Observation } from "./json_observation.ts";
import { METADATA_COLUMNS } from "../core/schema.ts";
import { ROW_COLUMN } from "../core/batch.ts";

/** After so many batches that added fields to an object, its keys are taken for data, and it is kept as JSON. */
const MAX_GROWTHS = 20;
const DECIMAL_DIGITS = 38;

/** How a field that is met for the first time begins, and what else depends on its name. */
export interface FieldHint {
  readonly node: JsonNode;
  readonly inferTimes: boolean;
  /** The column of the target that is the field's own. */
  readonly column?: string;
}

/** How {@link grow} decides. */
export interface GrowthRules {
  readonly hint: (key: string) => FieldHint;
  /**
   * How many values of the field's present kind there are besides those observed: a kind takes a field over only when it has more values than
   * all others together. Infinite: a change of kind never takes over.
   */
  readonly others: (key: string) => number;
  /** For a part of odd rows: the kind that is not the present one wins wherever there is one. */
  readonly odd: boolean;
}

/** What {@link grow} found. */
export interface Growth {
  readonly schema: JsonSchema;
  /**
   * Fields whose numbers need a wider type, which was chosen by the observed values alone: right only when all of the batch's were observed.
   */
  readonly widened: readonly string[];
}

interface Context {
  readonly inferTimes: boolean;
  readonly others: number;
  readonly odd: boolean;
  widened: boolean;
}

/** The schema that takes what was observed: with new fields, first types, wider numbers, and kinds that have taken over. */
export function grow(schema: JsonSchema, observed: Observation, rules: GrowthRules): Growth {
  const taken = new Set<string>([...METADATA_COLUMNS, ROW_COLUMN, OK_COLUMN, MISFIT_COLUMN]);
  for (const field of schema) taken.add(field.column.toLowerCase());
  const widened: string[] = [];
  const known = new Map<string, JsonField>(schema.map((field) => [field.key, field]));
  const own = new Map<string, string>();
  for (const key of observed.fields?.keys() ?? []) {
    const column = known.has(key) ? undefined : rules.hint(key).column;
    if (column === undefined || taken.has(column.toLowerCase())) continue;
    own.set(key, column);
    taken.add(column.toLowerCase());
  }
  for (const [key, values] of observed.fields ?? []) {
    const field = known.get(key);
    if (field === undefined && known.size >= MAX_FIELDS) continue;
    const hint = rules.hint(key);
    const context: Context = {
      inferTimes: hint.inferTimes,
      others: rules.others(key),
      odd: rules.odd,
      widened: false,
    };
    const node = growNode(field?.node ?? hint.node, values, context);
    if (context.widened) widened.push(key);
    const column = field?.column ?? own.get(key) ??
      (isHiddenKey(key) ? "" : columnName(key, taken));
    taken.add(column.toLowerCase());
    known.set(key, { key, column, node });
  }
  return { schema: [...known.values()], widened };
}

type Kind = "boolean" | "number" | "text" | "time" | "list" | "object";

function growNode(node: JsonNode, observed: Observation, context: Context): JsonNode {
  if (
    node.kind === "json" || node.kind === "declared" || node.kind === "event_time" ||
    node.kind === "ignored"
  ) return node;
  const kind = nextKind(node, observed, context);
  if (kind === undefined) return node;
  switch (kind) {
    case "boolean":
    case "time":
      return { kind };
    case "text": {
      const numbers = node.kind === "text" && node.numbers;
      const seenNumbers = numbers && (node.seenNumbers || observed.numbers.count > 0);
      return { kind: "text", numbers, seenNumbers };
    }
    case "number":
      return growNumber(node, observed, context);
    case "list": {
      if (observed.fields === undefined) return { kind: "json" };
      const element = node.kind === "list" ? node.element : { kind: "unknown" as const };
      if (observed.element === undefined) return { kind: "list", element };
      // Unlike a field, a list whose elements are of several kinds has no single type.
      if (element.kind === "unknown" && countKinds(observed.element) > 1) return { kind: "json" };
      return { kind: "list", element: growNode(element, observed.element, context) };
    }
    case "object":
      return growObject(node, observed, context);
  }
}

function countKinds(observed: Observation): number {
  return [
    observed.booleans,
    observed.strings,
    observed.numbers.count,
    observed.lists,
    observed.objects,
  ].filter((count) => count > 0).length;
}

function nextKind(node: JsonNode, observed: Observation, context: Context): Kind | undefined {
  const present = node.kind === "unknown" ? undefined : node.kind as Kind;
  const numbersAreTexts = node.kind === "text" && node.numbers;
  const counts = new Map<Kind, number>([
    ["boolean", observed.booleans],
    ["number", numbersAreTexts ? 0 : observed.numbers.count],
    ["list", observed.lists],
    ["object", observed.objects],
  ]);
  const allTimes = context.inferTimes && observed.times === observed.strings;
  const numberTexts = numbersAreTexts ? observed.numbers.count : 0;
  if (present === "time") {
    counts.set("time", observed.times).set("text", observed.strings - observed.times);
  } else {
    const kind = allTimes && present !== "text" ? "time" : "text";
    counts.set(kind, observed.strings + numberTexts);
  }
  const found = [...counts].filter(([, count]) => count > 0);
  const [largest, count] = found.reduce<readonly [Kind | undefined, number]>(
    (best, entry) => entry[1] > best[1] && !(context.odd && entry[0] === present) ? entry : best,
    [undefined, 0],
  );
  if (present === undefined || largest === undefined) return largest ?? present;
  if (context.odd) return largest;
  const rest = found.reduce((sum, entry) => sum + entry[1], 0) - count + context.others;
  return count > rest ? largest : present;
}

function growNumber(node: JsonNode, observed: Observation, context: Context): JsonNode {
  const { numbers } = observed;
  const present: NumberType = node.kind === "number" ? node.type : { base: "BIGINT" };
  if (numbers.count === 0) return node.kind === "number" ? node : { kind: "number", type: present };
  const type = widerNumber(present, numbers);
  if (node.kind === "number" && !sameNumberType(type, present)) context.widened = true;
  return type === undefined
    ? { kind: "text", numbers: true, seenNumbers: true }
    : { kind: "number", type };
}

function sameNumberType(a: NumberType | undefined, b: NumberType): boolean {
  return a?.base === b.base &&
    (a.base !== "DECIMAL" || (b.base === "DECIMAL" && a.scale === b.scale));
}

/**
 * The first type, from the present one on, that holds the numbers exactly: BIGINT, DECIMAL(38,0), DOUBLE, DECIMAL(38,s) with a growing
 * scale. Never back, so that a stream does not change its type to and fro. `undefined` when there is none: then their text is kept.
 */
function widerNumber(
  present: NumberType,
  numbers: Observation["numbers"],
): NumberType | undefined {
  const integers = numbers.fractions === 0;
  const digitsFit = (scale: number) =>
    numbers.scale <= scale && numbers.integerDigits + scale <= DECIMAL_DIGITS;
  if (present.base === "BIGINT") {
    if (integers && numbers.long === 0) return present;
    return widerNumber({ base: "DECIMAL", scale: 0 }, numbers);
  }
  if (present.base === "DECIMAL" && present.scale === 0) {
    if (integers && digitsFit(0)) return present;
    if (integers) return undefined;
    return widerNumber({ base: "DOUBLE" }, numbers);
  }
  if (present.base === "DOUBLE") {
    if (numbers.notDouble === 0) return present;
    return digitsFit(numbers.scale) ? { base: "DECIMAL", scale: numbers.scale } : undefined;
  }
  const scale = Math.max(present.scale, numbers.scale);
  return digitsFit(scale) ? { base: "DECIMAL", scale } : undefined;
}

function growObject(node: JsonNode, observed: Observation, context: Context): JsonNode {
  const present = node.kind === "object" ? node : undefined;
  if (observed.fields === undefined) return { kind: "json" };
  const fields = new Map<string, JsonNode>(present?.fields);
  for (const [key, values] of observed.fields) {
    fields.set(key, growNode(fields.get(key) ?? { kind: "unknown" }, values, context));
  }
  const grown = fields.size > (present?.fields.size ?? 0);
  const growths = (present?.growths ?? 0) + (grown && present !== undefined ? 1 : 0);
  if (fields.size > MAX_OBJECT_KEYS || growths > MAX_GROWTHS || !canBeStruct(fields.keys())) {
    return { kind: "json" };
  }
  return { kind: "object", fields, growths };
}
