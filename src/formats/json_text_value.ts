import { quoteIdentifier } from "../core/schema.ts";
import { declaredFits, declaredValue } from "./json_declared.ts";
import { isShapeless, type JsonNode, nodeType, numberTypeText } from "./json_node.ts";
import { survives, untagNumbers } from "./json_number.ts";

/** What is known about the JSON texts that an expression goes through. */
export interface TextForm {
  /** Numbers may stand as strings that begin with this tag. */
  readonly tag?: string;
  /** Numbers have the text of the payload, even where that is not the engine's own spelling. */
  readonly rawNumbers: boolean;
  /** NaN and infinities are ruled out beforehand. */
  readonly finite: boolean;
}

const YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])";
const LOCAL_TIME =
  `${YEAR}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?`;
const ZONE = "(?:Z|[+-](?:0[0-9]|1[0-8])(?::?[0-5][0-9])?)";
/** ISO-8601 date-time with a zone and at most microseconds. */
export const ZONED_TIME = `${LOCAL_TIME}${ZONE}`;
/** ISO-8601 date-time without zone. */
export const UNZONED_TIME = LOCAL_TIME;

/** The JSON pointer to a key, as an SQL literal. */
export function keyPath(key: string): string {
  const pointer = `/${key.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll("'", "''")}`;
  // A NUL would end the statement's text.
  return pointer.includes("\0") ? `('${pointer.split("\0").join("' || chr(0) || '")}')` : `'${pointer}'`;
}

/** SQL list of the pointers to the keys. */
export function keyPaths(keys: Iterable<string>): string {
  return `[${[...keys].map(keyPath).join(", ")}]`;
}

export function isNull(json: string): string {
  return `(${json} IS NULL OR ${json} = 'null')`;
}

export function isString(json: string, form: TextForm): string {
  const quoted = `ascii(${json}) = 34`;
  return form.tag === undefined ? quoted : `(${quoted} AND NOT ${isTagged(json, form.tag)})`;
}

/** True for a number; also for `-Infinity`, unless {@link TextForm.finite}. */
export function isNumber(json: string, form: TextForm): string {
  // "-" is 45, the digits are 48 to 57; nothing else of JSON begins between.
  const plain = `ascii(${json}) BETWEEN 45 AND 57`;
  return form.tag === undefined ? plain : `(${plain} OR ${isTagged(json, form.tag)})`;
}

function isTagged(json: string, tag: string): string {
  return `starts_with(${json}, '"${tag}')`;
}

/** The text of a number. */
export function numberText(json: string, form: TextForm): string {
  if (form.tag === undefined) return json;
  return `CASE WHEN ${isTagged(json, form.tag)} THEN ${json}[${form.tag.length + 2}:-2] ELSE ${json} END`;
}

/** The content of a JSON string. */
export function stringText(json: string): string {
  return `CASE WHEN contains(${json}, '\\') THEN json_extract_string(${json}, '$') ELSE ${json}[2:-2] END`;
}

/** The JSON text as the engine's JSON type, its numbers as they were. */
export function jsonText(json: string, form: TextForm): string {
  const text = form.tag === undefined ? json : untagNumbers(json, form.tag);
  return `CASE WHEN NOT ${isNull(json)} THEN (${text})::JSON END`;
}

/** The elements of a list as JSON texts. */
export function elements(json: string): string {
  return `json_extract(${json}, '$[*]')::VARCHAR[]`;
}

/** True when a text (not JSON) is a valid ISO-8601 time with zone. */
export function isZonedTime(text: string): string {
  return `(regexp_full_match(${text}, '${ZONED_TIME}') AND try_cast(${text} AS TIMESTAMPTZ) IS NOT NULL)`;
}

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
      return numberFits(json, numberTypeText(node.type), form);
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
        `coalesce(list_bool_and(list_transform(${elements(json)}, lambda ${element}: ${fits})), true))`;
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

/** True when the JSON number is the same number in `type`. */
export function numberFits(json: string, type: string, form: TextForm, keepSign?: boolean): string {
  const text = numberText(json, form);
  const exact = survives(`(${text})`, type, keepSign ?? (type === "BIGINT" || type === "DOUBLE"));
  if (type !== "DOUBLE") return `(${isNumber(json, form)} AND ${exact})`;
  // Fifteen digits are always safe.
  const finite = form.finite ? "" : ` AND isfinite(try_cast(${json} AS DOUBLE))`;
  return `(${isNumber(json, form)}${finite} AND CASE WHEN length(${json}) <= 15 ` +
    `AND ascii(${json}) <> 34 THEN true ELSE ${exact} END)`;
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
      return `try_cast(${numberText(json, form)} AS ${numberTypeText(node.type)})`;
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
    `WHEN ${numberFits(json, "BIGINT", form, false)} THEN ` +
    `CASE WHEN abs(${number}::HUGEINT) < ${FIRST_MICROS} THEN make_timestamptz(${number} * 1000) ` +
    `WHEN ${number} BETWEEN 0 AND ${LAST_MICROS} THEN make_timestamptz(${number}) END END`;
}
