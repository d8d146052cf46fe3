import { quoteIdentifier } from "../core/schema.ts";
import { declaredFits, declaredValue } from "./json_declared.ts";
import { isShapeless, type JsonNode, nodeType, numberTypeText } from "./json_node.ts";
import {
  elements,
  integerFits,
  isNull,
  isNumber,
  isString,
  isTagged,
  isZonedTime,
  jsonText,
  keyPaths,
  numberFits,
  numberText,
  numberValue,
  stringText,
  type TextForm,
} from "./json_text_form.ts";

/**
 * SQL: true when the JSON value (VARCHAR; SQL NULL for a missing one) becomes a value of the node's type without any change; never NULL.
 * `json` is used many times: pass a column.
 */
export function valueFits(json: string, node: JsonNode, form: TextForm, depth = 0): string {
  switch (node.kind) {
    case "ignored":
    case "event_time":
    case "json":
      return "true";
    case "unknown":
      return isNull(json);
    case "declared":
      return declaredFits(json, node.type, form, depth);
    default:
      return `coalesce(CASE WHEN ${isNull(json)} THEN true ELSE ${
        presentFits(json, node, form, depth)
      } END, false)`;
  }
}

type Discovered = Extract<
  JsonNode,
  { kind: "boolean" | "number" | "text" | "time" | "list" | "object" }
>;

function presentFits(json: string, node: Discovered, form: TextForm, depth: number): string {
  switch (node.kind) {
    case "boolean":
      return `${json} IN ('true', 'false')`;
    case "number":
      return node.type.base === "BIGINT"
        ? integerFits(json, form)
        : numberFits(json, numberTypeText(node.type), form);
    case "text": {
      const string = isString(json, form);
      if (!node.numbers) return string;
      // The parser's own text of a fraction need not be the payload's.
      const number = isNumber(json, form);
      const raw = form.rawNumbers
        ? number
        : `(${number} AND (NOT contains(${json}, '.')${
          form.tag === undefined ? "" : ` OR ${isTagged(json, form.tag)}`
        }))`;
      return `(${string} OR ${raw})`;
    }
    case "time":
      return `(${isString(json, form)} AND ${isZonedTime(`(${json}[2:-2])`)})`;
    case "list": {
      const element = `e${depth}`;
      const fits = valueFits(element, node.element, form, depth + 1);
      return `(ascii(${json}) = 91 AND ` +
        `coalesce(list_bool_and(list_transform(${
          elements(json)
        }, lambda ${element}: ${fits})), true))`;
    }
    case "object":
      return `(ascii(${json}) = 123 AND ${objectFits(json, [...node.fields], form, depth)})`;
  }
}

function objectFits(
  json: string,
  fields: readonly (readonly [string, JsonNode])[],
  form: TextForm,
  depth: number,
): string {
  if (fields.length === 0) return `${json} = '{}'`;
  const values = `o${depth}`;
  const checks = fields.map(([, node], at) =>
    valueFits(`${values}[${at + 1}]`, node, form, depth + 1)
  );
  // As many known keys as keys: no unknown one, none twice.
  checks.unshift(`list_count(${values}) = len(json_keys(${json}))`);
  const paths = keyPaths(fields.map(([key]) => key));
  return `list_transform([json_extract(${json}, ${paths})::VARCHAR[]], ` +
    `lambda ${values}: ${checks.join(" AND ")})[1]`;
}

/** SQL: the JSON value (VARCHAR) as a value of the node's type; meaningful only where {@link valueFits}. */
export function typedValue(json: string, node: JsonNode, form: TextForm, depth = 0): string {
  switch (node.kind) {
    case "ignored":
    case "unknown":
      return "NULL::VARCHAR";
    case "json":
      return jsonText(json, form);
    case "declared":
      return declaredValue(json, node.type, form, depth);
    case "boolean":
      return `try_cast(${json} AS BOOLEAN)`;
    case "number":
      return numberValue(json, numberTypeText(node.type), form);
    case "text":
      return textValue(json, node.numbers, form);
    case "time":
      return `try_cast(${json}[2:-2] AS TIMESTAMPTZ)`;
    case "event_time":
      return eventTime(json, form);
    case "list": {
      if (isShapeless(node)) return jsonText(json, form);
      const element = `e${depth}`;
      const value = typedValue(element, node.element, form, depth + 1);
      return `CASE WHEN ascii(${json}) = 91 ` +
        `THEN list_transform(${elements(json)}, lambda ${element}: ${value}) END`;
    }
    case "object": {
      if (isShapeless(node)) return jsonText(json, form);
      const values = `o${depth}`;
      const fields = [...node.fields].map(([key, field], at) =>
        `${quoteIdentifier(key)} := ${typedValue(`${values}[${at + 1}]`, field, form, depth + 1)}`
      );
      return `CASE WHEN ascii(${json}) = 123 THEN ` +
        `list_transform([json_extract(${json}, ${keyPaths(node.fields.keys())})::VARCHAR[]], ` +
        `lambda ${values}: struct_pack(${fields.join(", ")}))[1] END::${nodeType(node)}`;
    }
  }
}

function textValue(json: string, numbers: boolean, form: TextForm): string {
  const string = `WHEN ${isString(json, form)} THEN ${stringText(json)}`;
  if (!numbers) return `CASE ${string} END`;
  return `CASE ${string} WHEN ${isNumber(json, form)} THEN ${numberText(json, form)} END`;
}

/** Milliseconds reach the year 5138 below this; from here on they are microseconds. */
const FIRST_MICROS = 100_000_000_000_000n;
/** The year 9999 ends here, in microseconds. */
const LAST_MICROS = 253_402_300_799_999_999n;

function eventTime(json: string, form: TextForm): string {
  const number = `try_cast(${numberText(json, form)} AS BIGINT)`;
  return `CASE WHEN ${isString(json, form)} THEN ` +
    `CASE WHEN ${isZonedTime(`(${json}[2:-2])`)} THEN try_cast(${json}[2:-2] AS TIMESTAMPTZ) END ` +
    `WHEN ${numberFits(json, "BIGINT", form)} THEN ` +
    `CASE WHEN abs(${number}::HUGEINT) < ${FIRST_MICROS} THEN make_timestamptz(${number} * 1000) ` +
    `WHEN ${number} BETWEEN 0 AND ${LAST_MICROS} THEN make_timestamptz(${number}) END END`;
}
