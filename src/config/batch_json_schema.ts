import * as v from "valibot";
import type { Connector } from "../core/connector.ts";
import { batchTarget, declaredPipeline, declaredTable } from "./batch_schema.ts";
import { anyOf, block, convert, type JsonSchema, TABLE_FORMS } from "./json_schema_parts.ts";

/** The JSON Schema of a file with `[[pipeline]]`, `[tables]` and `[connections]`. */
export function declaredFileSchema(connectors: readonly Connector[]): JsonSchema {
  const name: JsonSchema = { type: "string", minLength: 1 };
  const databases = connectors.filter((connector) => connector.openDatabase !== undefined);
  const connection = anyOf([name, ...databases.map((one) => block(one, undefined, {}))]);
  const table = anyOf([name, convert(declaredTable)]);
  const targets = withForms(convert(batchTarget), { table, connection });
  const pipeline = withForms(convert(declaredPipeline), {
    target: table,
    targets: { type: "array", minItems: 1, items: targets },
    source_table: withoutDraft(convert(TABLE_FORMS)),
    source_connection: connection,
    target_connection: connection,
  });
  // The name of a table in the file is its name in the database, unless it gives another.
  const named = v.strictObject({
    ...declaredTable.entries,
    name: v.optional(declaredTable.entries.name),
  });
  return {
    type: "object",
    additionalProperties: false,
    properties: {
      pipeline: { type: "array", items: pipeline },
      tables: { type: "object", additionalProperties: withoutDraft(convert(named)) },
      connections: {
        type: "object",
        additionalProperties: anyOf(connectors.map(connectionBlock)),
      },
    },
  };
}

/** The schema with parts in all the forms that they may have, under the descriptions that are there. */
function withForms(schema: JsonSchema, forms: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const properties = schema["properties"] as Readonly<Record<string, JsonSchema>>;
  const described = Object.entries(forms).map(([key, form]) => {
    const description = properties[key]?.["description"];
    return [key, description === undefined ? form : { ...form, description }] as const;
  });
  return withoutDraft({
    ...schema,
    properties: { ...properties, ...Object.fromEntries(described) },
  });
}

/** A connection may hold defaults for its uses beside what it needs to connect. */
function connectionBlock(connector: Connector): JsonSchema {
  const uses = { ...connector.sourceOptions, ...connector.targetOptions };
  const optional = Object.fromEntries(
    Object.entries(uses).map(([key, schema]) => [key, v.optional(schema as v.GenericSchema)]),
  );
  return block(connector, undefined, optional);
}

function withoutDraft({ $schema: _schema, ...schema }: JsonSchema): JsonSchema {
  return schema;
}
