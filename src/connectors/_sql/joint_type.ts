import { holdsIntegers, INTEGER_TYPES, integerRange, isFloatType } from "../../core/engine_type.ts";
import { parseType, type TypeNode, typeText } from "../../formats/type_text.ts";

/** Digits of the engine's widest decimal. */
const MAX_DIGITS = 38;
/** Decimals for numbers of which some are fractions and some too long for a double. */
const USUAL_SCALE = 10;

type Kind = "integer" | "decimal" | "float" | "boolean" | "time" | "text" | "nested" | "single";

/** Scalars of one kind each that become text, and nothing else, beside another kind. */
const SINGLE = new Set(["UUID", "TIME", "TIME_NS"]);
const TIMES: readonly string[] = [
  "DATE",
  "TIMESTAMP_S",
  "TIMESTAMP_MS",
  "TIMESTAMP",
  "TIMESTAMP WITH TIME ZONE",
  "TIMESTAMP_NS",
];

/**
 * The engine types that may hold what a column holds now and values of another type, the best first. Types alone do not decide: a
 * BIGINT and a DOUBLE go into a DOUBLE only as long as no integer is longer than 53 bits. So each is to be tried on the values of both
 * sides, and the last, if there is one, holds all of them.
 *
 * | present        | incoming       | joint types                                   |
 * | -------------- | -------------- | --------------------------------------------- |
 * | integer        | longer integer | the first integer type for both, DECIMAL(38,0), VARCHAR |
 * | integer        | DECIMAL(p,s)   | a DECIMAL of enough digits, VARCHAR           |
 * | integer        | DOUBLE         | DOUBLE, DECIMAL(38,scale), VARCHAR            |
 * | DECIMAL        | DECIMAL        | a DECIMAL of enough digits, VARCHAR           |
 * | DECIMAL        | DOUBLE         | DECIMAL(38,scale), DOUBLE, VARCHAR            |
 * | DOUBLE         | integer, DECIMAL | DECIMAL(38,scale), DECIMAL(38,10), VARCHAR  |
 * | FLOAT          | DOUBLE         | DOUBLE, VARCHAR                               |
 * | DATE, TIMESTAMP | a finer time  | that time, VARCHAR                            |
 * | number, BOOLEAN | STRUCT, list, JSON | JSON                                     |
 * | STRUCT, list   | another one    | one with the joint types of its fields, JSON  |
 * | STRUCT, list   | anything else  | JSON                                          |
 * | any other, such as BOOLEAN and a number, or text | | VARCHAR                  |
 *
 * Empty where nothing can be wider than the present type (VARCHAR and JSON hold everything), and for bytes and intervals, whose text
 * the engines spell differently.
 *
 * @param scale decimals that the incoming values need, where they are DOUBLE; `undefined` when no scale holds them
 */
export function jointTypes(
  present: string,
  incoming: string,
  scale: number | undefined,
): readonly string[] {
  const from = parseType(present);
  const other = parseType(incoming);
  const [kind, otherKind] = [kindOf(from), kindOf(other)];
  if (kind === undefined || otherKind === undefined || kind === "text") return [];
  if (isNamed(from, "JSON")) return [];
  if (kind === "nested" || otherKind === "nested") {
    if (kind === "time" || kind === "single") return ["VARCHAR"];
    const joint = kind === otherKind ? jointNested(from, other, scale) : undefined;
    return joint === undefined || joint === "JSON" ? ["JSON"] : [joint, "JSON"];
  }
  const found = isNumber(kind) && isNumber(otherKind)
    ? jointNumbers(from, other, scale)
    : kind === "time" && otherKind === "time"
    ? jointTimes(from, other)
    : [];
  const names = [...new Set(found)].filter((type) => type !== typeText(from));
  return [...names, "VARCHAR"];
}

function jointNumbers(from: TypeNode, other: TypeNode, scale: number | undefined): string[] {
  const [kind, otherKind] = [kindOf(from), kindOf(other)];
  const ofScale = (decimals: number | undefined) =>
    decimals === undefined || decimals > MAX_DIGITS ? [] : [`DECIMAL(${MAX_DIGITS},${decimals})`];
  if (kind === "integer" && otherKind === "integer") {
    return [jointIntegers(from, other), `DECIMAL(${MAX_DIGITS},0)`];
  }
  if (otherKind === "float") {
    if (kind === "float") return ["DOUBLE"];
    if (kind === "integer") return ["DOUBLE", ...ofScale(scale)];
    const ownScale = decimalsOf(from);
    return [...ofScale(scale === undefined ? undefined : Math.max(scale, ownScale)), "DOUBLE"];
  }
  if (kind === "float") {
    const decimals = decimalsOf(other);
    return [...ofScale(decimals), ...ofScale(Math.max(decimals, USUAL_SCALE))];
  }
  const decimals = Math.max(decimalsOf(from), decimalsOf(other));
  const whole = Math.max(wholeDigits(from), wholeDigits(other));
  return [`DECIMAL(${Math.min(MAX_DIGITS, whole + decimals)},${decimals})`];
}

function jointIntegers(from: TypeNode, other: TypeNode): string {
  const ranges = [from, other].map((type) => integerRange(typeText(type)))
    .filter((range) => range !== undefined);
  const isSigned = ranges.some(({ signed }) => signed);
  const joint = INTEGER_TYPES.find((name) => {
    const own = integerRange(name);
    return own?.signed === isSigned && ranges.every((range) => holdsIntegers(own, range));
  });
  // Not all that UHUGEINT has besides, but perhaps all that occur.
  return joint ?? "HUGEINT";
}

function jointTimes(from: TypeNode, other: TypeNode): string[] {
  const place = (type: TypeNode) => TIMES.indexOf(typeText(type));
  return place(other) > place(from) ? [typeText(other)] : [];
}

/** Struct with struct and list with list, field by field; `undefined` where some field has no joint type inside of them. */
function jointNested(
  from: TypeNode,
  other: TypeNode,
  scale: number | undefined,
): string | undefined {
  const joint = jointNode(from, other, scale);
  return joint === undefined || typeText(joint) === typeText(from) ? undefined : typeText(joint);
}

function jointNode(
  from: TypeNode,
  other: TypeNode,
  scale: number | undefined,
): TypeNode | undefined {
  if (typeText(from) === typeText(other)) return from;
  if (from.kind === "list" && other.kind === "list") {
    const element = jointNode(from.element, other.element, scale);
    return element === undefined ? undefined : { ...from, element };
  }
  if (from.kind === "struct" && other.kind === "struct") {
    const others = new Map(other.fields.map((field) => [field.name.toLowerCase(), field.type]));
    const fields = from.fields.map((field) => {
      const type = others.get(field.name.toLowerCase());
      return {
        name: field.name,
        type: type === undefined ? field.type : jointNode(field.type, type, scale),
      };
    });
    const known = fields.flatMap(({ name, type }) => type === undefined ? [] : [{ name, type }]);
    return known.length < fields.length ? undefined : { kind: "struct", fields: known };
  }
  if (isNamed(from, "VARCHAR") || isNamed(from, "JSON")) return from;
  if (kindOf(from) === "nested" && kindOf(other) === "nested") return parseType("JSON");
  const [first] = jointTypes(typeText(from), typeText(other), scale);
  return first === undefined ? undefined : parseType(first);
}

function kindOf(type: TypeNode): Kind | undefined {
  switch (type.kind) {
    case "decimal":
      return "decimal";
    case "enum":
      return "text";
    case "scalar":
      if (integerRange(type.name) !== undefined) return "integer";
      if (isFloatType(type.name)) return "float";
      if (type.name === "BOOLEAN") return "boolean";
      if (type.name === "VARCHAR") return "text";
      if (type.name === "JSON") return "nested";
      if (TIMES.includes(type.name)) return "time";
      return SINGLE.has(type.name) ? "single" : undefined;
    default:
      return "nested";
  }
}

function isNumber(kind: Kind): boolean {
  return kind === "integer" || kind === "decimal" || kind === "float";
}

function isNamed(type: TypeNode, name: string): boolean {
  return type.kind === "scalar" && type.name === name;
}

function decimalsOf(type: TypeNode): number {
  return type.kind === "decimal" ? type.scale : 0;
}

function wholeDigits(type: TypeNode): number {
  if (type.kind === "decimal") return type.precision - type.scale;
  return integerRange(typeText(type))?.digits ?? MAX_DIGITS;
}
