import type { TypedExpression } from "../../core/database.ts";
import { quoteLiteral } from "../../core/schema.ts";
import {
  canonicalType,
  decimalSize,
  hasCommonValues,
  integerRange,
  isFloatType,
  isMomentType,
  isNumericType,
} from "../../core/engine_type.ts";
import { postgresType } from "./type_map.ts";

/** Types whose range is the Postgres type's own. */
const NATIVE_RANGE = /^(SMALLINT|INTEGER|BIGINT)$/;
const TIME_OF_DAY = "^\\s*[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?\\s*$";

/**
 * The value as another type, by the rules of `exactCast` for the engine: nothing of it is lost, or the statement fails and names the
 * value, where Postgres's own casts would round 1.5 to 2 and cut times off. The session's time zone is UTC. An expression of type VARCHAR may be of
 * any type of Postgres that flow reads as text (enums, arrays, numbers without precision).
 */
export function exactCast(expression: TypedExpression, to: string): string {
  const source = canonicalType(expression.type);
  const target = canonicalType(to);
  const value = `(${expression.sql})`;
  if (target === "VARCHAR") return toText(value, source);
  if (source === target) return expression.sql;
  const plain = `CAST(${value} AS ${postgresType(target)})`;
  if (target === "JSON") return toJson(value, source);
  if (source === "VARCHAR" || source === "JSON" || source.startsWith("ENUM(")) {
    return fromText(`CAST(${value} AS text)`, target);
  }
  if (!hasCommonValues(source, target)) {
    return orFail(value, `CAST(NULL AS ${postgresType(target)})`, target, "false");
  }
  if (target === "BOOLEAN" && isNumericType(source)) {
    return orFail(value, `(${value} <> 0)`, target, `${value} IN (0, 1)`);
  }
  if (source === "BOOLEAN" && isNumericType(target)) {
    return `CAST(CAST(${value} AS integer) AS ${postgresType(target)})`;
  }
  if (isMomentType(source) && isMomentType(target)) return timeToTime(value, source, target);
  if (isNumericType(source) && isNumericType(target)) return numberToNumber(value, source, target);
  if (source === "TIME WITH TIME ZONE" && target === "TIME") {
    return orFail(value, plain, target, `CAST(${plain} AS timetz) = ${value}`);
  }
  return plain;
}

/**
 * The value as a type that only Postgres knows, by way of its text. A number that has more digits than the type is an error, as everywhere; the
 * other types are given without a size, to which a cast would cut silently.
 */
export function castToOwn(expression: TypedExpression, ownType: string): string {
  const text = exactCast(expression, "VARCHAR");
  const value = `CAST(${text} AS ${ownType})`;
  if (!/^numeric\(/.test(ownType)) return value;
  return orFail(text, value, ownType, `${value} = CAST(${text} AS numeric)`);
}

function toText(value: string, source: string): string {
  return source === "BLOB" ? `convert_from(${value}, 'UTF8')` : `CAST(${value} AS text)`;
}

function toJson(value: string, source: string): string {
  if (source === "BLOB") return `CAST(convert_from(${value}, 'UTF8') AS jsonb)`;
  return source === "VARCHAR" ? `CAST(CAST(${value} AS text) AS jsonb)` : `to_jsonb(${value})`;
}

/** Postgres has no function that fails; a text that is no value of the type does. */
function orFail(value: string, cast: string, target: string, fits: string): string {
  const message = `'the value ''' || left(CAST(${value} AS text), 80) || ${
    quoteLiteral(`' does not fit ${target}`)
  }`;
  const type = target.startsWith("numeric(") ? target : postgresType(target);
  // Every text is a value of bytea.
  const failure = type === "bytea"
    ? `convert_to(CAST(CAST(CAST(${message} AS text) AS date) AS text), 'UTF8')`
    : `CAST(CAST(${message} AS text) AS ${type})`;
  return `CASE WHEN ${value} IS NULL OR ${fits} THEN ${cast} ELSE ${failure} END`;
}

function numberToNumber(value: string, source: string, target: string): string {
  const type = postgresType(target);
  const plain = `CAST(${value} AS ${type})`;
  const whole = integerRange(source);
  if (integerRange(target) !== undefined) {
    // NaN and infinity are whole to trunc(); the cast refuses them.
    const isWhole = whole === undefined ? [`${value} = trunc(${value})`] : [];
    const fits = [...isWhole, ...rangeChecks(value, target)];
    return fits.length === 0 ? plain : orFail(value, plain, target, fits.join(" AND "));
  }
  if (decimalSize(target) !== undefined) {
    if (whole !== undefined) return plain;
    // By way of the shortest text: Postgres's own cast keeps 15 digits of a double.
    const number = isFloatType(source) ? `CAST(CAST(${value} AS text) AS numeric)` : value;
    const cast = `CAST(${number} AS ${type})`;
    return orFail(value, cast, target, `${cast} = ${number} AND ${cast} <> 'NaN'`);
  }
  const exactBits = target === "DOUBLE" ? 53 : 24;
  if (whole === undefined || whole.bits <= exactBits) return plain;
  return orFail(value, plain, target, `CAST(${plain} AS ${postgresType(source)}) = ${value}`);
}

/** What Postgres's wider type would let through. */
function rangeChecks(value: string, target: string): readonly string[] {
  const range = integerRange(target);
  if (range === undefined || NATIVE_RANGE.test(target)) return [];
  return [`${value} BETWEEN ${range.least} AND ${range.greatest}`];
}

function timeToTime(value: string, source: string, target: string): string {
  const cast = `CAST(${value} AS ${postgresType(target)})`;
  if (source === "DATE") return cast;
  if (target === "DATE") {
    return orFail(value, cast, target, `CAST(${cast} AS ${postgresType(source)}) = ${value}`);
  }
  const unit = target === "TIMESTAMP_S"
    ? "second"
    : target === "TIMESTAMP_MS"
    ? "milliseconds"
    : undefined;
  return unit === undefined
    ? cast
    : orFail(value, cast, target, `date_trunc('${unit}', ${value}) = ${value}`);
}

/** @param text an expression of type text */
function fromText(text: string, target: string): string {
  const plain = `CAST(${text} AS ${postgresType(target)})`;
  if (integerRange(target) !== undefined) {
    const whole = `${text} ~ '^\\s*[+-]?[0-9]+([.]0*)?\\s*$'`;
    const number = `CAST(${text} AS numeric)`;
    const cast = `CAST(${number} AS ${postgresType(target)})`;
    return orFail(text, cast, target, [whole, ...rangeChecks(number, target)].join(" AND "));
  }
  if (decimalSize(target) !== undefined) {
    return orFail(text, plain, target, `${plain} = CAST(${text} AS numeric) AND ${plain} <> 'NaN'`);
  }
  switch (target) {
    case "TIMESTAMP WITH TIME ZONE":
      return timeFromText(text);
    case "DATE":
    case "TIMESTAMP":
    case "TIMESTAMP_S":
    case "TIMESTAMP_MS":
    case "TIMESTAMP_NS":
      return timeToTime(`(${timeFromText(text)})`, "TIMESTAMP WITH TIME ZONE", target);
    case "TIME": {
      const cast = `CAST(${withSixDecimals(text)} AS time)`;
      return orFail(text, cast, target, `${text} ~ '${TIME_OF_DAY}'`);
    }
    case "BLOB":
      return `CASE WHEN ${text} ~ '^\\\\x([0-9a-fA-F]{2})*$' THEN decode(substr(${text}, 3), 'hex') ` +
        `ELSE convert_to(${text}, 'UTF8') END`;
    default:
      return plain;
  }
}

/**
 * An ISO-8601 text as a time with zone, UTC where it names none. Postgres alone would take `now` and `tomorrow` for times, guess at
 * `01/02/2026`, and round fractions of a microsecond, which are cut off everywhere else.
 *
 * @param text an expression of type text
 */
export function timeFromText(text: string): string {
  const time = `CAST(${withSixDecimals(text)} AS timestamptz)`;
  const iso = `${text} ~* '^\\s*([0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2}([t ].*)?|[+-]?infinity)\\s*$'`;
  return orFail(text, time, "TIMESTAMP WITH TIME ZONE", iso);
}

/** Postgres would round what is behind them. */
function withSixDecimals(text: string): string {
  return `regexp_replace(${text}, '([.][0-9]{6})[0-9]+', '\\1')`;
}
