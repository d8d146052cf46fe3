/**
 * Writes the reference of all keys, `docs/guide/keys.md`, from the very schemas that validate definitions:
 *
 *     deno run -A scripts/guide_keys.ts && deno fmt docs/guide/keys.md
 *
 * `tests/guide_test.ts` fails when the page says anything else than this would.
 */
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import {
  batchTarget,
  COLUMN_ENTRIES,
  declaredPipeline,
  declaredTable,
  LOAD_ENTRIES,
} from "../src/config/batch_schema.ts";
import { camelName } from "../src/config/key_names.ts";
import {
  CONNECTION_ENTRIES,
  modulePipeline,
  SOURCE_ENTRIES,
  TARGET_ENTRIES,
  tomlPipeline,
} from "../src/config/pipeline_schema.ts";
import { connectors } from "../src/connectors/mod.ts";
import type { Connector, OptionEntries } from "../src/core/connector.ts";

/** The part of JSON Schema that is read here. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly default?: unknown;
  readonly description?: string;
}

const INTRODUCTION = `# All keys

Made from the schemas that validate definitions: \`deno run -A scripts/guide_keys.ts\`. A key that is not here is an error, and the
error names the nearest key that is.

In TypeScript the same names are written in camelCase, as the second column has them. Keys in bold must be given. A dot leads into a
block: \`csv_read_options.has_header\` is the key \`has_header\` of \`[source.csv_read_options]\`.

`;

/** The whole page. */
export function keysPage(): string {
  const { source: _source, target: _target, ...pipeline } = tomlPipeline.entries;
  const { transform, sources, targets, ...top } = pipeline;
  const flat = Object.fromEntries(
    Object.entries(modulePipeline.entries).filter(([key]) => !(key in tomlPipeline.entries)),
  );
  return INTRODUCTION + [
    section("At the top of a file", {
      ...top,
      source: tomlPipeline.entries.source,
      sources,
      target: tomlPipeline.entries.target,
      targets,
      transform,
    }),
    section("At the top of `streamingPipeline(name, {…})` only", flat, FLAT_KEYS),
    section("`[source]` and `[[sources]]`, whatever the kind", {
      ...CONNECTION_ENTRIES,
      ...SOURCE_ENTRIES,
    }),
    section("`[target]` and `[[targets]]`, whatever the kind", {
      ...CONNECTION_ENTRIES,
      ...TARGET_ENTRIES,
    }),
    ...declaredSections(),
    ...connectors.map(connectorSections),
  ].join("\n");
}

/** What stands in place has no name besides. */
const TABLE_NAME = v.optional(
  v.pipe(v.string(), v.description("name of the table; default: NAME")),
);

/** Declared pipelines and tables. */
function declaredSections(): readonly string[] {
  const { target, targets, ...pipeline } = declaredPipeline.entries;
  const others = Object.fromEntries(
    Object.entries(pipeline).filter(([key]) => !(key in LOAD_ENTRIES)),
  );
  const own = Object.fromEntries(
    Object.entries(batchTarget.entries).filter(([key]) => !(key in LOAD_ENTRIES)),
  );
  return [
    section("`[[pipeline]]`, and `pipeline(name, {…})`", { ...others, target, targets }),
    section(
      "How rows are loaded: in `[[pipeline]]` with one target, or in each of its `targets`",
      LOAD_ENTRIES,
    ),
    section("Each of a `[[pipeline]]`'s `targets` besides, and `target(table, {…})`", own),
    section("`[tables.NAME]`, and `table(name, {…})`", {
      ...declaredTable.entries,
      name: TABLE_NAME,
    }),
    section("Each of a table's `columns`, when it is more than its type", COLUMN_ENTRIES),
  ];
}

/** Keys whose schema takes any form, with what they mean. */
const FLAT_KEYS: Readonly<Record<string, string>> = {
  target_table: 'the table to write: "schema.name", ["schema", "name"] or { schema, name }',
};

function connectorSections(connector: Connector): string {
  const parts: readonly (readonly [string, OptionEntries | undefined])[] = [
    ["to connect", connector.connectionOptions],
    ["as a source", connector.sourceOptions],
    ["as a target", connector.targetOptions],
  ];
  return parts.flatMap(([use, entries]) =>
    entries === undefined || Object.keys(entries).length === 0
      ? []
      : [section(`\`${connector.kind}\` ${use}`, entries)]
  ).join("\n");
}

function section(
  title: string,
  entries: OptionEntries,
  described: Readonly<Record<string, string>> = {},
): string {
  const schema = toJsonSchema(v.strictObject(entries), {
    typeMode: "input",
    errorMode: "ignore",
  }) as Schema;
  const rows = rowsOf(schema, entries, "", described);
  return `## ${title}\n\n| key | in TypeScript | value | default | what it is |\n| --- | --- | --- | --- | --- |\n` +
    rows.map((cells) => `| ${cells.map(cell).join(" | ")} |\n`).join("");
}

function rowsOf(
  { properties = {}, required = [] }: Schema,
  entries: OptionEntries,
  above: string,
  described: Readonly<Record<string, string>>,
): string[][] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = above + name;
    const shown = required.includes(name) ? `**\`${path}\`**` : `\`${path}\``;
    const entry = unwrapped(entries[name]);
    const text = described[name] ?? (entry === undefined ? undefined : v.getDescription(entry)) ??
      "";
    const row = [
      shown,
      `\`${path.split(".").map(camelName).join(".")}\``,
      valueText(schema),
      schema.default === undefined ? "" : `\`${JSON.stringify(schema.default)}\``,
      text,
    ];
    const inner = entry !== undefined && "entries" in entry ? entry.entries as OptionEntries : {};
    return [row, ...rowsOf(schema, inner, `${path}.`, described)];
  });
}

/** The schema without `v.optional` around it: the description stands inside. */
function unwrapped(schema: unknown): v.GenericSchema | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  return "wrapped" in schema ? unwrapped(schema.wrapped) : schema as v.GenericSchema;
}

function valueText(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(", ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf !== undefined) {
    return [...new Set(schema.anyOf.map(valueText))].filter((text) => text !== "").join(" or ");
  }
  switch (schema.type) {
    case "string":
      return "text";
    case "object":
      return "table";
    case "array":
      return schema.items === undefined ? "list" : `list of ${valueText(schema.items)}`;
    case undefined:
      return "text";
    default:
      return schema.type;
  }
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

if (import.meta.main) {
  await Deno.mkdir(new URL("../docs/guide/", import.meta.url), { recursive: true });
  await Deno.writeTextFile(new URL("../docs/guide/keys.md", import.meta.url), keysPage());
}
