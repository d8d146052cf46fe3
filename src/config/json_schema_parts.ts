import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import type { Connector, OptionEntries } from "../core/connector.ts";
import { CONNECTION_ENTRIES, TARGET_ENTRIES } from "./pipeline_schema.ts";
import { isSecretSchema } from "./schema_shape.ts";

/** A JSON Schema document, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Every form that `tableForm` knows. */
export const TABLE_FORMS = v.optional(v.union([
  TARGET_ENTRIES.table.wrapped,
  v.pipe(v.array(TARGET_ENTRIES.table.wrapped), v.length(1)),
  v.pipe(v.string(), v.nonEmpty()),
  v.strictTuple([v.pipe(v.string(), v.nonEmpty()), v.pipe(v.string(), v.nonEmpty())]),
]));

/** A block whose `kind` is written down, or told by its URL. */
export function block(
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

/** What a user may write: inputs, so transformations and checks by functions say nothing. */
export function convert(schema: v.GenericSchema): JsonSchema {
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

/** One of several forms. */
export function anyOf(options: readonly JsonSchema[]): JsonSchema {
  return { anyOf: options.map(({ $schema: _schema, ...rest }) => rest) };
}
