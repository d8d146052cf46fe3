import { holdsIntegers, integerRange, isFloatType, isMomentType } from "../../core/engine_type.ts";
import { jsonValue } from "../../formats/json_text.ts";
import { parseType, type TypeNode, typeText } from "../../formats/type_text.ts";
import { bytesOfText, losesDigits, TIME_OF_DAY } from "../../sql/exact_cast.ts";

/** How a column of one engine type becomes one of another, row by row, without any value changing its meaning. */
export interface Cast {
  /** An expression of the type asked for; NULL where {@link badCondition} holds. */
  readonly expr: string;
  /** True for rows whose value does not fit; `undefined` when every value fits. Never NULL. */
  readonly badCondition?: string;
}

/**
 * The expression that casts a column exactly, or `undefined` where the two types have nothing to do with each other
 * (a struct into text, a boolean into a number, a number into a time): then the whole column does not fit.
 *
 * A value fits when nothing is lost: 1.5 does not fit `BIGINT`, 1.255 not `DECIMAL(10,2)`, 2^53+1 not `DOUBLE`. Decimals and doubles
 * into binary floating point are rounded to the nearest number, which is what such a type means; text keeps its zone on the way
 * into `TIMESTAMP WITH TIME ZONE` and is taken to UTC on the way into `TIMESTAMP`; fractions of a microsecond are cut off.
 * Anything into `JSON` follows flow's mapping, but text is taken for JSON text.
 *
 * @param column a column reference of the engine (it occurs several times in the result)
 * @param from the column's type text
 * @param to the type text asked for, `JSON` included
 */
export function castExpression(column: string, from: string, to: string): Cast | undefined {
  const source = parseType(from);
  const target = parseType(to);
  if (typeText(source) === typeText(target)) return { expr: column };
  if (isNamed(source, "NULL")) return { expr: `CAST(NULL AS ${to})` };
  if (isNamed(target, "JSON")) return toJson(column, source);
  if (isNamed(target, "VARCHAR")) return toText(column, source);
  switch (family(source)) {
    case "text":
      return fromText(
        isNamed(source, "VARCHAR") ? column : `CAST(${column} AS VARCHAR)`,
        target,
        to,
      );
    case "integer":
    case "decimal":
    case "float":
      return numberToNumber(column, source, target);
    case "time":
      return timeToTime(column, source, target);
    default:
      return undefined;
  }
}

/** True for structs, lists, maps and unions. */
export function isNested(type: string): boolean {
  return family(parseType(type)) === "nested";
}

type Family = "integer" | "decimal" | "float" | "text" | "time" | "nested" | "other";

function family(type: TypeNode): Family {
  switch (type.kind) {
    case "decimal":
      return "decimal";
    case "enum":
      return "text";
    case "scalar":
      if (integerRange(type.name) !== undefined) return "integer";
      if (isFloatType(type.name)) return "float";
      // BIGNUM has no arithmetic of its own worth using: its digits are checked as text.
      if (type.name === "VARCHAR" || type.name === "JSON" || type.name === "BIGNUM") return "text";
      return isMomentType(type.name) ? "time" : "other";
    default:
      return "nested";
  }
}

function isNamed(type: TypeNode, name: string): boolean {
  return type.kind === "scalar" && type.name === name;
}

function toJson(column: string, source: TypeNode): Cast {
  if (family(source) === "text") return { expr: `CAST(${column} AS VARCHAR)` };
  return { expr: jsonValue(column, typeText(source)) };
}

function toText(column: string, source: TypeNode): Cast | undefined {
  switch (family(source)) {
    case "nested":
      return undefined;
    case "time":
      if (isNamed(source, "DATE")) return { expr: `CAST(${column} AS VARCHAR)` };
      return { expr: `json_extract_string(${jsonValue(column, typeText(source))}, '$')` };
    default:
      if (!isNamed(source, "BLOB")) return { expr: `CAST(${column} AS VARCHAR)` };
      return tried(column, `try(decode(${column}))`);
  }
}

/** A cast that gives NULL where it fails, and the condition that finds those rows. */
function tried(column: string, expr: string, orElse?: string): Cast {
  const fails = orElse === undefined ? `${expr} IS NULL` : `(${expr} IS NULL OR ${orElse})`;
  return { expr, badCondition: `(${column} IS NOT NULL AND ${fails})` };
}

/** A cast whose result must give the value again when it is cast back. */
function reversible(column: string, source: TypeNode, to: string): Cast {
  const expr = `TRY_CAST(${column} AS ${to})`;
  return tried(
    column,
    expr,
    `TRY_CAST(${expr} AS ${typeText(source)}) IS DISTINCT FROM ${column}`,
  );
}

function numberToNumber(column: string, source: TypeNode, target: TypeNode): Cast | undefined {
  const to = typeText(target);
  const always: Cast = { expr: `CAST(${column} AS ${to})` };
  const toInteger = integerRange(to);
  const fromInteger = integerRange(typeText(source));
  switch (family(target)) {
    case "integer": {
      if (fromInteger === undefined || toInteger === undefined) {
        return reversible(column, source, to);
      }
      return holdsIntegers(toInteger, fromInteger)
        ? always
        : tried(column, `TRY_CAST(${column} AS ${to})`);
    }
    case "decimal":
      return numberToDecimal(column, source, target as TypeNode & { kind: "decimal" });
    case "float": {
      if (fromInteger !== undefined) {
        const exactBits = isNamed(target, "DOUBLE") ? 53 : 24;
        return fromInteger.bits <= exactBits ? always : reversible(column, source, to);
      }
      if (source.kind === "decimal" || isNamed(source, "FLOAT")) return always;
      return tried(column, `TRY_CAST(${column} AS ${to})`);
    }
    case "text":
      return isNamed(target, "BIGNUM") ? reversible(column, source, to) : undefined;
    default:
      return undefined;
  }
}

function numberToDecimal(
  column: string,
  source: TypeNode,
  target: TypeNode & { kind: "decimal" },
): Cast {
  const to = typeText(target);
  const wholeDigits = target.precision - target.scale;
  if (family(source) === "float") {
    // By way of the shortest text: multiplying a double by a power of ten would bring in digits that it never had.
    const expr = `TRY_CAST(CAST(${column} AS VARCHAR) AS ${to})`;
    const back = `TRY_CAST(${expr} AS ${typeText(source)})`;
    return tried(column, expr, `${back} IS DISTINCT FROM ${column}`);
  }
  const fits = source.kind === "decimal"
    ? source.scale <= target.scale && source.precision - source.scale <= wholeDigits
    : (integerRange(typeText(source))?.digits ?? Infinity) <= wholeDigits;
  if (fits) return { expr: `CAST(${column} AS ${to})` };
  return source.kind === "decimal"
    ? reversible(column, source, to)
    : tried(column, `TRY_CAST(${column} AS ${to})`);
}

function timeToTime(column: string, source: TypeNode, target: TypeNode): Cast | undefined {
  if (family(target) !== "time") return undefined;
  const to = typeText(target);
  if (isNamed(source, "DATE")) return { expr: `CAST(${column} AS ${to})` };
  const narrows = target.kind === "scalar" && source.kind === "scalar" &&
    (target.name === "DATE" || target.name === "TIMESTAMP_S" || target.name === "TIMESTAMP_MS" ||
      source.name === "TIMESTAMP_NS");
  return narrows ? reversible(column, source, to) : { expr: `CAST(${column} AS ${to})` };
}

function fromText(text: string, target: TypeNode, to: string): Cast | undefined {
  const expr = `TRY_CAST(${text} AS ${to})`;
  if (target.kind === "decimal") return tried(text, expr, losesDigits(text, expr, target.scale));
  if (target.kind === "enum") return tried(text, expr);
  if (target.kind !== "scalar") return undefined;
  if (integerRange(target.name) !== undefined || target.name === "BIGNUM") {
    return tried(text, expr, `NOT regexp_full_match(${text}, '\\s*[+-]?[0-9]+([.]0*)?\\s*')`);
  }
  switch (target.name) {
    case "DOUBLE":
    case "FLOAT":
      return tried(
        text,
        expr,
        `contains(${text}, '_') OR ` +
          `(isinf(${expr}) AND NOT regexp_full_match(${text}, '(?i)\\s*[+-]?inf(inity)?\\s*'))`,
      );
    case "DATE":
      return tried(
        text,
        expr,
        `CAST(${expr} AS TIMESTAMP) IS DISTINCT FROM TRY_CAST(${text} AS TIMESTAMP)`,
      );
    case "TIME":
      return tried(text, expr, `NOT regexp_full_match(${text}, '${TIME_OF_DAY}')`);
    case "TIMESTAMP":
      return tried(text, `CAST(TRY_CAST(${text} AS TIMESTAMPTZ) AS TIMESTAMP)`);
    case "BLOB":
      return { expr: bytesOfText(text) };
    default:
      return tried(text, expr);
  }
}
