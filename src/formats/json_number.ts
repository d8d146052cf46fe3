/**
 * JSON as the engine's parser understands it, against JSON as it is. The parser takes trailing commas, NaN and Infinity, and reads numbers
 * with a fraction or exponent as doubles: the text of `0.1000000000000000055` is gone. So a payload is looked at first, by one pattern:
 * only the rows that it finds need the costly ways below.
 */

/** What stands before a value. */
const BEFORE_VALUE = String.raw`[:,\[]\s*`;

/** More digits with a point among them than a double surely holds (16), an exponent, or -0. */
const INEXACT_NUMBER = `-?(?:[0-9.]*[eE]|${
  Array.from({ length: 15 }, (_v, at) => `[0-9]{${at + 1},}\\.[0-9]{${15 - at},}`).join("|")
})|-0(?:[^.0-9]|$)`;

const LENIENT_JSON = String.raw`,\s*[}\]]|${BEFORE_VALUE}-?(?:[nN][aA]|[iI])`;

/** Finds every payload with a number that the parser may change, or with leniencies that are not JSON; some others too. */
export const SUSPICIOUS = `${BEFORE_VALUE}(?:${INEXACT_NUMBER})|${LENIENT_JSON}`;

/** Finds NaN and infinities in the text of one JSON value that the engine has written. */
export const NOT_FINITE = String.raw`(?:^|[:,\[])-?(?:[nN][aA]|[iI])`;

const STRING = String.raw`"(?:[^"\\]|\\.)*"`;

/** True for a text that the engine's parser takes, but that has trailing commas, NaN or infinities. `text` is its SQL. */
export function isLenientOnly(text: string): string {
  const bare = `regexp_replace(${text}, '${STRING}', '""', 'g')`;
  return `regexp_matches(${bare}, ',\\s*[}\\]]|(?i:nan|inf)')`;
}

/**
 * The JSON text with every number made a string `"<tag><number>"`, so that the parser does not touch its digits. Matches are contiguous
 * from the start (each takes whole strings and everything else up to the next number), so none begins inside a string; the last one, at
 * the end, adds an empty tag that is cut off.
 */
export function tagNumbers(text: string, tag: string): string {
  const pattern = String.raw`((?:${STRING}|[^"0-9-])*)(?:(-?[0-9][0-9.eE+-]*)|$)`;
  return `regexp_replace(${text}, '${pattern}', '\\1"${tag}\\2"', 'g')[:-${tag.length + 3}]`;
}

/** The JSON text with the numbers that {@link tagNumbers} made strings as numbers again. */
export function untagNumbers(text: string, tag: string): string {
  return `regexp_replace(${text}, '"${tag}([^"]*)"', '\\1', 'g')`;
}

/**
 * A number's text taken apart, as STRUCT(neg BOOLEAN, digits VARCHAR, exp BIGINT): digits without zeros on either side, so that two texts
 * are the same number exactly when the structs are equal (`1.50` and `15e-1`; 0 and -0 differ).
 */
export function numberParts(text: string): string {
  // An exponent beyond all bounds stays one that no type holds.
  const exponent = `regexp_extract(flow_t, '[eE]([-+]?[0-9]+)$', 1)`;
  const first = `list_transform([${text}], lambda flow_t: {'neg': starts_with(flow_t, '-'), ` +
    `'m': regexp_extract(flow_t, '^-?([0-9.]+)', 1), 'e': CASE WHEN ${exponent} = '' THEN 0::BIGINT ` +
    `ELSE coalesce(try_cast(${exponent} AS INTEGER)::BIGINT, 1000000000000) END})`;
  const second = `list_transform(${first}, lambda flow_p: {'neg': flow_p.neg, ` +
    `'d': ltrim(replace(flow_p.m, '.', ''), '0'), ` +
    `'e': flow_p.e - CASE WHEN contains(flow_p.m, '.') THEN length(flow_p.m) - strpos(flow_p.m, '.') ELSE 0 END})`;
  return `list_transform(${second}, lambda flow_p: {'neg': flow_p.neg, 'digits': rtrim(flow_p.d, '0'), ` +
    `'exp': CASE WHEN rtrim(flow_p.d, '0') = '' THEN 0::BIGINT ` +
    `ELSE flow_p.e + length(flow_p.d) - length(rtrim(flow_p.d, '0')) END})[1]`;
}

/** SQL: true when the number text has an exponent. */
export function hasExponent(text: string): string {
  return `(contains(${text}, 'e') OR contains(${text}, 'E'))`;
}

/** The digits of a number's text without the zeros on either side. */
function significant(text: string): string {
  return `trim(regexp_replace(${text}, '[eE].*$|[.-]', '', 'g'), '0')`;
}

/**
 * True when the number text is the same number after it went through `type`; false otherwise, also for a text that is no number. -0 is the same
 * as 0. Only digits need to be compared: what a cast makes of a number with the same digits cannot be a power of ten away.
 */
export function survives(text: string, type: string): string {
  const back = `try_cast(${text} AS ${type})::VARCHAR`;
  return `coalesce(CASE WHEN ${back} = ${text} THEN true ` +
    `ELSE ${significant(back)} = ${significant(text)} END, false)`;
}

/** Matches the number texts without exponent that are exactly a DECIMAL(precision, scale). */
export function decimalPattern(precision: number, scale: number): string {
  const integer = precision > scale ? `[0-9]{1,${precision - scale}}` : "0";
  return `-?${integer}(?:\\.[0-9]{0,${scale}}0*)?`;
}

/** Digits of a BIGINT, and of a DECIMAL that is held in 64 bits. */
const LONG_DIGITS = 18;

/**
 * The number text as a DECIMAL. The engine's own cast from text to a DECIMAL of more than 18 digits takes 4 to 20 µs, so the parts before
 * and behind the point are cast as integers and added up.
 */
export function decimalValue(text: string, precision: number, scale: number): string {
  const type = `DECIMAL(${precision},${scale})`;
  const plain = `try_cast(${text} AS ${type})`;
  if (precision <= LONG_DIGITS || scale > LONG_DIGITS) return plain;
  const integer =
    `try_cast(try_cast(split_part(ltrim(${text}, '-'), '.', 1) AS HUGEINT) AS ${type})`;
  const digits = `rpad(split_part(${text}, '.', 2), ${scale}, '0')`;
  const unit = `CAST('0.${"1".padStart(scale, "0")}' AS DECIMAL(${LONG_DIGITS},${scale}))`;
  const fraction = scale === 0
    ? ""
    : ` + CAST(try_cast(${digits} AS BIGINT)::DECIMAL(${LONG_DIGITS},0) * ${unit} AS ${type})`;
  const sum = `try(CAST(${integer}${fraction} AS ${type}))`;
  return `CASE WHEN ${hasExponent(text)} THEN ${plain} ` +
    `WHEN starts_with(${text}, '-') THEN -${sum} ELSE ${sum} END`;
}
