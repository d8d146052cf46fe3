import { type Column, quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import { INTEGER_TYPES } from "../core/engine_type.ts";
import { parseType, type TypeField, type TypeNode, typeText } from "./type_text.ts";

/**
 * An SQL expression with the JSON text (VARCHAR) of one value, by flow's mapping:
 *
 * | type | JSON |
 * | --- | --- |
 * | integers of any length, DECIMAL, BIGNUM | number, exact to the last digit |
 * | FLOAT, DOUBLE | number; NaN and infinities are `null`; -0 is `-0.0` |
 * | BOOLEAN | `true`, `false` |
 * | VARCHAR, ENUM, UUID, DATE, TIME, INTERVAL, BIT | text |
 * | TIMESTAMP WITH TIME ZONE | `"2026-01-31T12:00:00Z"`, with six decimals where there is a fraction, always UTC |
 * | TIMESTAMP | the same without `Z` (nine decimals for TIMESTAMP_NS) |
 * | BLOB | lower-case hex |
 * | STRUCT, MAP | object (a struct without field names: array) |
 * | LIST, ARRAY | array |
 * | UNION | object of the one member that is set |
 * | JSON | as it is |
 *
 * NULL gives SQL NULL at the top and `null` inside. Timestamps outside of the years 1 to 9999 (and infinite ones) are texts in the
 * engine's own spelling. `expression` occurs many times in the result: pass a column, not a computation.
 *
 * @param type the engine's type text of the expression
 */
export function jsonValue(expression: string, type: string): string {
  return valueText(expression, parseType(type), 0);
}

/**
 * An SQL expression with a JSON object text (VARCHAR) per row, keys in the order of `columns`, NULL columns as `null`; never NULL itself.
 *
 * @param relation name of the relation that the columns belong to, where they need it (not quoted here)
 * @example
 * ```ts
 * await session.rows(`SELECT ${jsonRow(batch.columns)} AS line FROM ${batch.table}`);
 * ```
 */
export function jsonRow(columns: readonly Column[], relation?: string): string {
  if (columns.length === 0) return "'{}'";
  const prefix = relation === undefined ? "" : `${relation}.`;
  return objectText(
    columns.map((column) => ({
      name: column.name,
      type: parseType(column.type),
      expression: prefix + quoteIdentifier(column.name),
    })),
    0,
  );
}

interface Member extends TypeField {
  readonly expression: string;
}

/** Types that `to_json` writes as the mapping wants them. */
const PLAIN_SCALARS = new Set([
  ...INTEGER_TYPES,
  "BOOLEAN",
  "VARCHAR",
  "UUID",
  "DATE",
  "TIME",
  "TIME_NS",
  "TIME WITH TIME ZONE",
  "INTERVAL",
  "BIT",
  "NULL",
]);

/** Types whose JSON text must be spliced in, because `to_json` would read it again and change its numbers. */
const SPLICED_SCALARS = new Set(["JSON", "BIGNUM"]);

function isPlain(type: TypeNode): boolean {
  switch (type.kind) {
    case "scalar":
      return PLAIN_SCALARS.has(type.name);
    case "decimal":
      return plainPrecision(type) === type.precision;
    case "enum":
      return true;
    case "list":
      return isPlain(type.element);
    case "struct":
      return type.fields.every((field) => field.name !== "" && isPlain(field.type));
    case "union":
      return type.members.every((member) => isPlain(member.type));
    case "map":
      return isPlainKey(type.key) && isPlain(type.value);
  }
}

/** `to_json` casts map keys to VARCHAR, which is right for these. */
function isPlainKey(type: TypeNode): boolean {
  return type.kind === "enum" || (type.kind === "scalar" && PLAIN_SCALARS.has(type.name));
}

/**
 * The precision at which `to_json` writes a decimal of this scale digit by digit and with a digit before the point: up to 15
 * digits go through double (`1.5` for 1.50, `12.0` for 12), and without an integral digit it writes `.5`, which is not JSON.
 */
function plainPrecision(type: TypeNode & { kind: "decimal" }): number {
  return Math.max(type.precision, 16, type.scale + 1);
}

function needsSplice(type: TypeNode): boolean {
  switch (type.kind) {
    case "scalar":
      return SPLICED_SCALARS.has(type.name);
    case "decimal":
      return plainPrecision(type) > 38;
    case "enum":
      return false;
    case "list":
      return needsSplice(type.element);
    case "struct":
      return type.fields.some((field) => field.name === "" || needsSplice(field.type));
    case "union":
      return !isPlain(type);
    case "map":
      return needsSplice(type.value);
  }
}

/** JSON text of a value; SQL NULL for NULL. */
function valueText(expression: string, type: TypeNode, depth: number): string {
  if (!needsSplice(type)) return `to_json(${toJsonReady(expression, type, depth)})::VARCHAR`;
  switch (type.kind) {
    case "list":
      return guarded(expression, listText(expression, type, depth));
    case "struct":
      return guarded(expression, structText(expression, type.fields, depth));
    case "union":
      return guarded(expression, unionText(expression, type.members, depth));
    case "map":
      return guarded(expression, mapText(expression, type.key, type.value, depth));
    case "decimal":
      return `regexp_replace(${expression}::VARCHAR, '^(-?)[.]', '\\10.')`;
    default:
      return `${expression}::VARCHAR`;
  }
}

function guarded(expression: string, text: string): string {
  return `CASE WHEN ${expression} IS NOT NULL THEN ${text} END`;
}

function orNull(text: string): string {
  return `coalesce(${text}, 'null')`;
}

function listText(list: string, type: TypeNode & { kind: "list" }, depth: number): string {
  const item = `e${depth}`;
  const texts = `list_transform(${asList(list, type)}, lambda ${item}: ${
    orNull(valueText(item, type.element, depth + 1))
  })`;
  return `'[' || array_to_string(${texts}, ',') || ']'`;
}

/** `list_transform` takes no arrays of fixed length. */
function asList(expression: string, type: TypeNode & { kind: "list" }): string {
  return type.length === undefined ? expression : `${expression}::${typeText(type.element)}[]`;
}

function structText(struct: string, fields: readonly TypeField[], depth: number): string {
  if (fields.some((field) => field.name === "")) {
    const items = fields.map((field, at) =>
      orNull(valueText(`struct_extract_at(${struct}, ${at + 1})`, field.type, depth))
    );
    return `'[' || ${items.join(" || ',' || ")} || ']'`;
  }
  return objectText(
    fields.map((field) => ({ ...field, expression: fieldOf(struct, field.name) })),
    depth,
  );
}

function fieldOf(struct: string, name: string): string {
  return `struct_extract(${struct}, ${quoteLiteral(name)})`;
}

function unionText(union: string, members: readonly TypeField[], depth: number): string {
  const cases = members.map((member) => {
    const value = valueText(
      `union_extract(${union}, ${quoteLiteral(member.name)})`,
      member.type,
      depth,
    );
    const key = quoteLiteral(`{${JSON.stringify(member.name)}:`);
    return `WHEN ${quoteLiteral(member.name)} THEN ${key} || ${orNull(value)} || '}'`;
  });
  return `CASE union_tag(${union})::VARCHAR ${cases.join(" ")} END`;
}

function mapText(map: string, key: TypeNode, value: TypeNode, depth: number): string {
  const entry = `e${depth}`;
  const name = `to_json(${keyText(`${entry}.key`, key, depth + 1)})::VARCHAR`;
  const item = orNull(valueText(`${entry}.value`, value, depth + 1));
  return `'{' || array_to_string(list_transform(map_entries(${map}), lambda ${entry}: ` +
    `${name} || ':' || ${item}), ',') || '}'`;
}

/** An object with members of any type: runs of members that `to_json` can do together, spliced with the others. */
function objectText(members: readonly Member[], depth: number): string {
  if (members.every((member) => !needsSplice(member.type))) return runText(members, depth);
  const pieces: string[] = [];
  let run: Member[] = [];
  const endRun = () => {
    if (run.length === 0) return;
    const text = runText(run, depth);
    // Without its braces. DuckDB evaluates the repeated expression once.
    pieces.push(`${text}[2:-2]`);
    run = [];
  };
  for (const member of members) {
    if (!needsSplice(member.type)) {
      run.push(member);
      continue;
    }
    endRun();
    const key = quoteLiteral(`${JSON.stringify(member.name)}:`);
    pieces.push(`${key} || ${orNull(valueText(member.expression, member.type, depth))}`);
  }
  endRun();
  return `('{' || ${pieces.join(" || ',' || ")} || '}')`;
}

function runText(members: readonly Member[], depth: number): string {
  return `(to_json(${
    packed(members.map((m) => [m.name, toJsonReady(m.expression, m.type, depth)]))
  })::VARCHAR)`;
}

function packed(fields: readonly (readonly [name: string, expression: string])[]): string {
  return `struct_pack(${
    fields.map(([name, expression]) => `${quoteIdentifier(name)} := ${expression}`).join(", ")
  })`;
}

/** The value turned into one that `to_json` writes by the mapping. Only for types that need no splicing. */
function toJsonReady(expression: string, type: TypeNode, depth: number): string {
  if (isPlain(type)) return expression;
  switch (type.kind) {
    case "scalar":
      return scalarReady(expression, type.name);
    case "list": {
      const item = `e${depth}`;
      const ready = toJsonReady(item, type.element, depth + 1);
      return `list_transform(${asList(expression, type)}, lambda ${item}: ${ready})`;
    }
    case "struct": {
      const fields = type.fields.map((field) =>
        [field.name, toJsonReady(fieldOf(expression, field.name), field.type, depth)] as const
      );
      return guarded(expression, packed(fields));
    }
    case "map": {
      const entry = `e${depth}`;
      const pair = packed([
        ["key", keyText(`${entry}.key`, type.key, depth + 1)],
        ["value", toJsonReady(`${entry}.value`, type.value, depth + 1)],
      ]);
      const entries = `list_transform(map_entries(${expression}), lambda ${entry}: ${pair})`;
      return guarded(expression, `map_from_entries(${entries})`);
    }
    case "decimal":
      return `${expression}::DECIMAL(${plainPrecision(type)},${type.scale})`;
    default:
      return expression;
  }
}

function scalarReady(expression: string, name: string): string {
  switch (name) {
    case "DOUBLE":
      return `CASE WHEN isfinite(${expression}) THEN ${expression} END`;
    case "FLOAT":
      // By way of the shortest text: 0.1, where the widened number would be 0.10000000149011612.
      return `CASE WHEN isfinite(${expression}) THEN ${expression}::VARCHAR::DOUBLE END`;
    case "BLOB":
      return `lower(hex(${expression}))`;
    case "TIMESTAMP WITH TIME ZONE":
      // epoch_us() knows nothing of zones and costs half of what a cast through ICU does.
      return timeText(expression, `make_timestamp(epoch_us(${expression}))`, "TIMESTAMPTZ", "Z");
    case "TIMESTAMP":
      return timeText(expression, expression, "TIMESTAMP", "");
    case "TIMESTAMP_S":
    case "TIMESTAMP_MS":
      return timeText(`${expression}::TIMESTAMP`, `${expression}::TIMESTAMP`, "TIMESTAMP", "");
    case "TIMESTAMP_NS":
      return `CASE WHEN isfinite(${expression}) THEN ` +
        `strftime(${expression}, '%Y-%m-%dT%H:%M:%S.%n') ELSE ${expression}::VARCHAR END`;
    default:
      return `${expression}::VARCHAR`;
  }
}

function timeText(value: string, local: string, type: string, zone: string): string {
  const zoned = type === "TIMESTAMPTZ" ? "+00" : "";
  return `CASE WHEN ${value} >= ${type} '0001-01-01 00:00:00${zoned}' ` +
    `AND ${value} < ${type} '10000-01-01 00:00:00${zoned}' ` +
    `THEN CASE WHEN epoch_us(${value}) % 1000000 = 0 ` +
    `THEN strftime(${local}, '%Y-%m-%dT%H:%M:%S${zone}') ` +
    `ELSE strftime(${local}, '%Y-%m-%dT%H:%M:%S.%f${zone}') END ` +
    `ELSE ${value}::VARCHAR END`;
}

/** The text that stands as a key for a map's key. */
function keyText(key: string, type: TypeNode, depth: number): string {
  if (type.kind === "scalar" && type.name === "VARCHAR") return key;
  if (isPlainKey(type)) return `${key}::VARCHAR`;
  if (type.kind !== "scalar") return valueText(key, type, depth);
  if (type.name === "DOUBLE" || type.name === "FLOAT") return `${key}::VARCHAR`;
  return `${scalarReady(key, type.name)}::VARCHAR`;
}
