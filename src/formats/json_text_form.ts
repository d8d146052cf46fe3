import { decimalPattern, decimalValue, survives, untagNumbers } from "./json_number.ts";

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
  return pointer.includes("\0")
    ? `('${pointer.split("\0").join("' || chr(0) || '")}')`
    : `'${pointer}'`;
}

/** SQL list of the pointers to the keys. */
export function keyPaths(keys: Iterable<string>): string {
  return `[${[...keys].map(keyPath).join(", ")}]`;
}

/** True for null, and for a missing value. */
export function isNull(json: string): string {
  return `(${json} IS NULL OR ${json} = 'null')`;
}

/** True for a string. */
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

/** True for a number that stands as a tagged string. */
export function isTagged(json: string, tag: string): string {
  return `starts_with(${json}, '"${tag}')`;
}

/** The text of a number. */
export function numberText(json: string, form: TextForm): string {
  if (form.tag === undefined) return json;
  return `CASE WHEN ${isTagged(json, form.tag)} THEN ${json}[${
    form.tag.length + 2
  }:-2] ELSE ${json} END`;
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

/** True for an integer of 64 bits that is written as one (not `1.0`, `1e3` or `-0`). */
export function integerFits(json: string, form: TextForm): string {
  const text = `(${numberText(json, form)})`;
  return `coalesce(try_cast(${text} AS BIGINT)::VARCHAR = ${text}, false)`;
}

/** True when the JSON number is the same number in `type`, a name as DuckDB spells it. */
export function numberFits(json: string, type: string, form: TextForm): string {
  const text = numberText(json, form);
  const exact = survives(`(${text})`, type);
  const number = isNumber(json, form);
  if (type === "DOUBLE") {
    // Fifteen digits are always safe.
    const finite = form.finite ? "" : ` AND isfinite(try_cast(${json} AS DOUBLE))`;
    return `(${number}${finite} AND CASE WHEN strlen(${json}) <= 15 AND ascii(${json}) <> 34 ` +
      `THEN true ELSE ${exact} END)`;
  }
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
  if (decimal === null) return `(${number} AND ${exact})`;
  const pattern = decimalPattern(Number(decimal[1]), Number(decimal[2]));
  return `(${number} AND CASE WHEN regexp_full_match(${text}, '${pattern}') THEN true ELSE ${exact} END)`;
}

/** SQL: the number's text as a value of `type`. */
export function numberValue(json: string, type: string, form: TextForm): string {
  const text = numberText(json, form);
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
  if (decimal === null) return `try_cast(${text} AS ${type})`;
  return decimalValue(`(${text})`, Number(decimal[1]), Number(decimal[2]));
}
