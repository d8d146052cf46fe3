import * as v from "valibot";
import type { Connector, OptionEntries } from "../core/connector.ts";
import { declaredFileSchema } from "./batch_json_schema.ts";
import { anyOf, block, convert, type JsonSchema, TABLE_FORMS } from "./json_schema_parts.ts";
import {
  CONNECTION_ENTRIES,
  SOURCE_ENTRIES,
  TARGET_ENTRIES,
  tomlPipeline,
} from "./pipeline_schema.ts";

/**
 * The JSON Schema of a file of pipelines (draft 7), a streaming one or declared ones, for editors: completion, descriptions, unknown keys. Made from the very schemas that
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
  const streaming = {
    ...pipeline,
    properties: {
      ...pipeline["properties"] as JsonSchema,
      source,
      target,
      sources: { type: "array", minItems: 1, items: source },
      targets: { type: "array", minItems: 1, items: target },
    },
  };
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "flow pipelines",
    ...anyOf([streaming, declaredFileSchema(connectors)]),
  };
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
