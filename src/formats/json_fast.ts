import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import {
  canBeStruct,
  isShapeless,
  type JsonNode,
  type JsonSchema,
  keepsNumberText,
  nodeType,
  OK_COLUMN,
} from "./json_node.ts";
import { NOT_FINITE, SUSPICIOUS } from "./json_number.ts";
import { isZonedTime, type TextForm } from "./json_text_form.ts";
import { typedValue, valueFits } from "./json_text_value.ts";
import { rowColumns } from "./json_row_columns.ts";

/** Texts inside of structs that `from_json` made: written by the engine, and equal to the payload's. */
const FORM: TextForm = { rawNumbers: true, finite: false };

/**
 * The quick way, for payloads that have all the keys of `shape` in that order: `from_json` makes a struct, and the struct is right exactly when
 * the payload can be made of it again. That one comparison proves keys, kinds, every digit and every character, and rules out whatever
 * the parser is lenient about. A payload that is spelled otherwise (spaces, escapes) is compared with its minified self instead, if it has
 * no number or leniency that minifying would change. What does not pass is decoded the slow way: no row is refused here.
 *
 * @returns the query for a table of the schema's columns, the metadata and {@link OK_COLUMN}; `undefined` when the keys cannot be a struct
 */
export function fastQuery(
  raw: string,
  schema: JsonSchema,
  shape: readonly string[],
): string | undefined {
  const nodes = new Map(schema.map((field) => [field.key, field.node]));
  if (shape.length === 0 || !canBeStruct(shape)) return undefined;
  const members: { readonly key: string; readonly name: string; readonly member: FastMember }[] =
    [];
  const checks = [`__flow_object IS NOT NULL`];
  const values = new Map<string, string>();
  const names: string[] = [];
  for (const [at, key] of shape.entries()) {
    const node = nodes.get(key);
    if (node === undefined) return undefined;
    const name = `__flow_m${at}`;
    const member = fastMember(name, node, 0);
    names.push(`struct_extract(__flow_object, ${quoteLiteral(key)}) AS ${name}`);
    members.push({ key, name, member });
    checks.push(...member.checks);
    values.set(key, member.value);
  }
  const again = "to_json(__flow_object)::VARCHAR";
  const respelled = schema.some((field) => keepsNumberText(field.node))
    ? ""
    : ` WHEN try(json(_payload))::VARCHAR = ${again} ` +
      `THEN NOT regexp_matches(_payload, '${SUSPICIOUS}')`;
  const same = `CASE WHEN ${spelledSame(members, again)} THEN true${respelled} ELSE false END`;
  const structure = members.map(({ key, member }) => `${JSON.stringify(key)}:${member.structure}`);
  checks.push(same);
  const columns = rowColumns(schema, (field) => values.get(field.key));
  return `SELECT ${columns}, coalesce(${checks.join(" AND ")}, false) AS ${OK_COLUMN} ` +
    `FROM (SELECT *, ${names.join(", ")} FROM (SELECT *, try(from_json(_payload, ${
      quoteLiteral(`{${structure.join(",")}}`)
    })) ` +
    `AS __flow_object FROM ${quoteIdentifier(raw)}))`;
}

/**
 * True when the members, put together as JSON, are the payload. As long as no character is escaped in it, a text is what stands between its
 * quotes; `to_json` (`again`) does the same for all payloads, in twice the time.
 */
function spelledSame(
  members: readonly { readonly key: string; readonly name: string; readonly member: FastMember }[],
  again: string,
): string {
  const needsWriter = [`contains(_payload, '\\')`];
  const pieces: string[] = [];
  let between = "{";
  for (const [at, { key, name, member: { structure } }] of members.entries()) {
    between += `${at === 0 ? "" : ","}${JSON.stringify(key)}:`;
    if (structure === '"VARCHAR"') {
      needsWriter.push(`${name} IS NULL`);
      pieces.push(quoteLiteral(`${between}"`), name);
      between = '"';
      continue;
    }
    const isScalar = structure.startsWith('"');
    const text = isScalar ? `${name}::VARCHAR` : `to_json(${name})::VARCHAR`;
    pieces.push(quoteLiteral(between), `coalesce(${text}, 'null')`);
    between = "";
  }
  pieces.push(quoteLiteral(`${between}}`));
  return `CASE WHEN ${needsWriter.join(" OR ")} THEN ${again} = _payload ` +
    `ELSE concat(${pieces.join(", ")}) = _payload END`;
}

interface FastMember {
  /** The member's part of the structure that `from_json` takes. */
  readonly structure: string;
  readonly value: string;
  readonly checks: readonly string[];
}

function fastMember(value: string, node: JsonNode, depth: number): FastMember {
  const structure = directStructure(node);
  if (structure !== undefined) return { structure, value, checks: [] };
  switch (node.kind) {
    case "unknown":
      return { structure: '"VARCHAR"', value, checks: [`${value} IS NULL`] };
    case "time":
      return {
        structure: '"VARCHAR"',
        value: `try_cast(${value} AS TIMESTAMPTZ)`,
        checks: [`(${value} IS NULL OR ${isZonedTime(value)})`],
      };
    case "list":
      return isShapeless(node) ? textMember(value, node) : fastList(value, node.element, depth);
    case "object":
      return isShapeless(node) ? textMember(value, node) : fastObject(value, node, depth);
    default:
      return textMember(value, node);
  }
}

/** A member that comes as JSON text, and goes the way of the slow texts from there. */
function textMember(value: string, node: JsonNode): FastMember {
  const text = `(${value}::VARCHAR)`;
  const checks = [valueFits(text, node, FORM)];
  if (node.kind !== "number") {
    checks.push(`NOT coalesce(regexp_matches(${text}, '${NOT_FINITE}'), false)`);
  }
  return { structure: '"JSON"', value: typedValue(text, node, FORM), checks };
}

function fastList(value: string, node: JsonNode, depth: number): FastMember {
  const item = `e${depth}`;
  const element = fastMember(item, node, depth + 1);
  const right = element.checks.join(" AND ");
  return {
    structure: `[${element.structure}]`,
    value: `list_transform(${value}, lambda ${item}: ${element.value})`,
    checks: right === ""
      ? []
      : [`coalesce(list_bool_and(list_transform(${value}, lambda ${item}: ${right})), true)`],
  };
}

function fastObject(
  value: string,
  node: JsonNode & { kind: "object" },
  depth: number,
): FastMember {
  const members = [...node.fields].map(([key, field]) => ({
    key,
    ...fastMember(`struct_extract(${value}, ${quoteLiteral(key)})`, field, depth),
  }));
  const packed = members.map((member) => `${quoteIdentifier(member.key)} := ${member.value}`);
  return {
    structure: `{${members.map((m) => `${JSON.stringify(m.key)}:${m.structure}`).join(",")}}`,
    value: `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${packed.join(", ")}) END`,
    checks: members.flatMap((member) => member.checks),
  };
}

/** The structure of nodes whose values `from_json` makes as they are to be, and `to_json` writes as they were. */
function directStructure(node: JsonNode): string | undefined {
  switch (node.kind) {
    case "boolean":
      return '"BOOLEAN"';
    case "number":
      return node.type.base === "BIGINT" ? '"BIGINT"' : undefined;
    case "text":
      return node.seenNumbers ? undefined : '"VARCHAR"';
    case "declared": {
      const type = nodeType(node);
      return ["BOOLEAN", "BIGINT", "INTEGER", "VARCHAR"].includes(type) ? `"${type}"` : undefined;
    }
    case "list": {
      if (isShapeless(node)) return undefined;
      const element = directStructure(node.element);
      return element === undefined ? undefined : `[${element}]`;
    }
    case "object": {
      if (isShapeless(node)) return undefined;
      const members: string[] = [];
      for (const [key, field] of node.fields) {
        const structure = directStructure(field);
        if (structure === undefined) return undefined;
        members.push(`${JSON.stringify(key)}:${structure}`);
      }
      return `{${members.join(",")}}`;
    }
    default:
      return undefined;
  }
}
