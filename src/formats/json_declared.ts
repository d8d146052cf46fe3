import { quoteIdentifier } from "../core/schema.ts";
import {
  elements,
  isNull,
  isNumber,
  isString,
  jsonText,
  keyPaths,
  numberFits,
  numberText,
  numberValue,
  stringText,
  type TextForm,
  UNZONED_TIME,
  ZONED_TIME,
} from "./json_text_form.ts";
import { INTEGER_TYPES } from "../core/engine_type.ts";
import { type TypeNode, typeText } from "./type_text.ts";

const INTEGERS = new Set(INTEGER_TYPES);

/** Types that numbers go into. */
function isNumeric(type: TypeNode): boolean {
  return type.kind === "decimal" ||
    (type.kind === "scalar" &&
      (INTEGERS.has(type.name) || type.name === "DOUBLE" || type.name === "FLOAT"));
}

/**
 * SQL: true when the JSON value is, exactly, one of the declared type; never NULL. Null and missing always fit. Numeric types take numbers
 * only (not their texts, not booleans), VARCHAR takes strings and numbers (as their text), times take ISO-8601 (for TIMESTAMP, a time
 * with a zone becomes UTC), a STRUCT takes objects without unknown keys, a MAP with text keys any object, JSON anything; all other types take
 * strings that the engine can cast.
 */
export function declaredFits(
  json: string,
  type: TypeNode,
  form: TextForm,
  depth: number,
): string {
  return `coalesce(CASE WHEN ${isNull(json)} THEN true ELSE ${
    presentFits(json, type, form, depth)
  } END, false)`;
}

function presentFits(json: string, type: TypeNode, form: TextForm, depth: number): string {
  if (isNumeric(type)) return numberFits(json, typeText(type), form);
  switch (type.kind) {
    case "list": {
      const element = `e${depth}`;
      const fits = declaredFits(element, type.element, form, depth + 1);
      const length = type.length === undefined
        ? ""
        : ` AND json_array_length(${json}) = ${type.length}`;
      return `(ascii(${json}) = 91${length} AND ` +
        `coalesce(list_bool_and(list_transform(${
          elements(json)
        }, lambda ${element}: ${fits})), true))`;
    }
    case "struct": {
      const values = `o${depth}`;
      const checks = type.fields.map((field, at) =>
        declaredFits(`${values}[${at + 1}]`, field.type, form, depth + 1)
      );
      checks.unshift(`list_count(${values}) = len(json_keys(${json}))`);
      return `(ascii(${json}) = 123 AND list_transform([json_extract(${json}, ` +
        `${keyPaths(type.fields.map((field) => field.name))})::VARCHAR[]], ` +
        `lambda ${values}: ${checks.join(" AND ")})[1])`;
    }
    case "map": {
      const element = `e${depth}`;
      const fits = declaredFits(element, type.value, form, depth + 1);
      return `(ascii(${json}) = 123 AND len(list_distinct(json_keys(${json}))) = len(json_keys(${json})) AND ` +
        `coalesce(list_bool_and(list_transform(${
          members(json)
        }, lambda ${element}: ${fits})), true))`;
    }
    default:
      return scalarFits(json, type, form);
  }
}

function scalarFits(json: string, type: TypeNode, form: TextForm): string {
  const name = typeText(type);
  const string = isString(json, form);
  const text = `(${stringText(json)})`;
  switch (name) {
    case "JSON":
      return "true";
    case "BOOLEAN":
      return `${json} IN ('true', 'false')`;
    case "VARCHAR":
      return `(${string} OR ${isNumber(json, form)})`;
    case "TIMESTAMP WITH TIME ZONE":
      return `(${string} AND regexp_full_match(${text}, '${ZONED_TIME}') AND try_cast(${text} AS TIMESTAMPTZ) IS NOT NULL)`;
    case "TIMESTAMP":
      return `(${string} AND regexp_full_match(${text}, '${UNZONED_TIME}|${ZONED_TIME}') AND ${
        unzoned(text)
      } IS NOT NULL)`;
    case "DATE":
      return `(${string} AND try_cast(${text} AS DATE)::VARCHAR = ${text})`;
    default:
      return `(${string} AND try_cast(${text} AS ${name}) IS NOT NULL)`;
  }
}

/** A time text as the UTC wall clock. */
function unzoned(text: string): string {
  return `CASE WHEN regexp_full_match(${text}, '${UNZONED_TIME}') THEN try_cast(${text} AS TIMESTAMP) ` +
    `ELSE make_timestamp(epoch_us(try_cast(${text} AS TIMESTAMPTZ))) END`;
}

function members(json: string): string {
  return `json_extract(${json}, '$.*')::VARCHAR[]`;
}

/** SQL: the JSON value as a value of the declared type; meaningful only where {@link declaredFits}. */
export function declaredValue(
  json: string,
  type: TypeNode,
  form: TextForm,
  depth: number,
): string {
  const name = typeText(type);
  if (isNumeric(type)) return numberValue(json, name, form);
  switch (type.kind) {
    case "list": {
      const element = `e${depth}`;
      const value = declaredValue(element, type.element, form, depth + 1);
      return `try_cast(CASE WHEN ascii(${json}) = 91 ` +
        `THEN list_transform(${elements(json)}, lambda ${element}: ${value}) END AS ${name})`;
    }
    case "struct": {
      const values = `o${depth}`;
      const fields = type.fields.map((field, at) =>
        `${quoteIdentifier(field.name)} := ${
          declaredValue(`${values}[${at + 1}]`, field.type, form, depth + 1)
        }`
      );
      return `CASE WHEN ascii(${json}) = 123 THEN list_transform([json_extract(${json}, ` +
        `${keyPaths(type.fields.map((field) => field.name))})::VARCHAR[]], ` +
        `lambda ${values}: struct_pack(${fields.join(", ")}))[1] END::${name}`;
    }
    case "map": {
      const element = `e${depth}`;
      const value = declaredValue(element, type.value, form, depth + 1);
      return `try_cast(CASE WHEN ascii(${json}) = 123 THEN try(map(json_keys(${json}), ` +
        `list_transform(${members(json)}, lambda ${element}: ${value}))) END AS ${name})`;
    }
    default:
      return scalarValue(json, name, form);
  }
}

function scalarValue(json: string, name: string, form: TextForm): string {
  const string = isString(json, form);
  const text = `(${stringText(json)})`;
  switch (name) {
    case "JSON":
      return jsonText(json, form);
    case "BOOLEAN":
      return `try_cast(${json} AS BOOLEAN)`;
    case "VARCHAR":
      return `CASE WHEN ${string} THEN ${stringText(json)} WHEN ${isNumber(json, form)} THEN ${
        numberText(json, form)
      } END`;
    case "TIMESTAMP":
      return `CASE WHEN ${string} THEN ${unzoned(text)} END`;
    default:
      return `CASE WHEN ${string} THEN try_cast(${text} AS ${name}) END`;
  }
}
