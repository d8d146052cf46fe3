import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import type { Connector, OptionEntries } from "../core/connector.ts";
import {
  CONNECTION_ENTRIES,
  SOURCE_ENTRIES,
  TARGET_ENTRIES,
  tomlPipeline,
} from "./pipeline_schema.ts";
import { isSecretSchema } from "./schema_shape.ts";

/** A JSON Schema document, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema of a pipeline file (draft 7), for editors: completion, descriptions, unknown keys. Made from the very schemas that
 * validate, so it cannot differ from them; what only several keys together tell (cross checks) is not in it.
 *
 * @example
 * ```ts ignore
 * const text = JSON.stringify(jsonSchema(connectors), null, 2);
 * ```
 */
export function jsonSchema(connectors: readonly Connector[]): JsonSchema {
  const sources = connectors.filter((connector) => connector.createSource !== undefined);
  const targets = connectors.filter((connector) => connector.createSink !== undefined);
  const source = anyOf([
    ...sources.map((connector) => block(connector, connector.sourceOptions, SOURCE_ENTRIES)),
    named(sources, (connector) => connector.sourceOptions, SOURCE_ENTRIES),
  ]);
  const common = { ...TARGET_ENTRIES, table: TABLE_FORMS };
  const target = anyOf([
    ...targets.map((connector) => block(connector, connector.targetOptions, common)),
    named(targets, (connector) => connector.targetOptions, common),
  ]);
  const pipeline = convert(tomlPipeline);
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "flow pipeline",
    ...pipeline,
    properties: {
      ...pipeline["properties"] as JsonSchema,
      source,
      target,
      sources: { type: "array", minItems: 1, items: source },
      targets: { type: "array", minItems: 1, items: target },
    },
  };
}

/** Every form that `tableForm` knows. */
const TABLE_FORMS = v.optional(v.union([
  TARGET_ENTRIES.table.wrapped,
  v.pipe(v.array(TARGET_ENTRIES.table.wrapped), v.length(1)),
  v.pipe(v.string(), v.nonEmpty()),
  v.strictTuple([v.pipe(v.string(), v.nonEmpty()), v.pipe(v.string(), v.nonEmpty())]),
]));

/** A block whose `kind` is written down, or told by its URL. */
function block(
  connector: Connector,
  own: OptionEntries | undefined,
  common: OptionEntries,
): JsonSchema {
  const { kind: _kind, connection: _connection, ...identity } = CONNECTION_ENTRIES;
  const isToldByUrl = connector.urlSchemes !== undefined;
  const kind = v.literal(connector.kind);
  return convert(v.strictObject({
    kind: isToldByUrl ? v.optional(kind) : kind,
    ...identity,
    ...common,
    ...connector.connectionOptions,
    ...own,
  }));
}

/** A block with `connection = "name"`: its kind is not known here, so it takes the options of any, and needs none. */
function named(
  connectors: readonly Connector[],
  own: (connector: Connector) => OptionEntries | undefined,
  common: OptionEntries,
): JsonSchema {
  const entries: Record<string, v.GenericSchema> = {};
  for (const connector of connectors) {
    for (
      const [key, schema] of Object.entries({ ...connector.connectionOptions, ...own(connector) })
    ) {
      entries[key] ??= v.optional(schema as v.GenericSchema);
    }
  }
  return convert(v.strictObject({
    ...entries,
    ...common,
    ...CONNECTION_ENTRIES,
    connection: v.pipe(v.string(), v.nonEmpty()),
  }));
}

/** What a user may write: inputs, so transformations and checks by functions say nothing. */
function convert(schema: v.GenericSchema): JsonSchema {
  return {
    ...toJsonSchema(schema, {
      typeMode: "input",
      errorMode: "ignore",
      overrideSchema: ({ valibotSchema, jsonSchema }) =>
        isSecretSchema(valibotSchema as v.GenericSchema)
          ? { ...jsonSchema, type: "string" }
          : undefined,
    }),
  };
}

function anyOf(options: readonly JsonSchema[]): JsonSchema {
  return { anyOf: options.map(({ $schema: _schema, ...rest }) => rest) };
}
