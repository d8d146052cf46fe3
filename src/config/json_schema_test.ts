import assert from "node:assert/strict";
import { fakeConnectors } from "./fake_connectors.ts";
import { batchConnectors } from "./batch_fixtures.ts";
import { jsonSchema } from "./json_schema.ts";
import type { JsonSchema } from "./json_schema_parts.ts";

function part(schema: unknown, ...path: (string | number)[]): JsonSchema {
  let at = schema;
  for (const key of path) at = (at as Record<string | number, unknown>)[key];
  assert.ok(typeof at === "object" && at !== null, path.join("."));
  return at as JsonSchema;
}

Deno.test("the JSON Schema has every kind that can be a source or a target, and is plain data", () => {
  const whole = jsonSchema(fakeConnectors);
  assert.deepEqual(JSON.parse(JSON.stringify(whole)), whole);
  const schema = part(whole, "anyOf", 0);
  assert.equal(schema["additionalProperties"], false);
  assert.deepEqual(schema["required"], ["pipeline_name"]);
  const sources = part(schema, "properties", "source", "anyOf") as unknown as JsonSchema[];
  assert.deepEqual(
    sources.map((source) => part(source, "properties", "kind")["const"]),
    ["kafka", "object_store_local", "datagen", undefined],
  );
  const targets = part(
    schema,
    "properties",
    "targets",
    "items",
    "anyOf",
  ) as unknown as JsonSchema[];
  assert.deepEqual(
    targets.map((target) => part(target, "properties", "kind")["const"]),
    ["kafka", "postgres", "object_store_local", undefined],
  );
});

Deno.test("required keys, choices, defaults, descriptions and secrets are those of the validation", () => {
  const schema = part(jsonSchema(fakeConnectors), "anyOf", 0);
  const kafka = part(schema, "properties", "source", "anyOf", 0);
  assert.deepEqual(kafka["required"], ["kind", "bootstrap_servers"]);
  assert.equal(kafka["additionalProperties"], false);
  assert.deepEqual(part(kafka, "properties", "auto_offset_reset")["enum"], ["earliest", "latest"]);
  assert.equal(part(kafka, "properties", "sasl_plain_password")["type"], "string");
  assert.equal(part(schema, "properties", "idle_pause_ms")["default"], 500);
  assert.match(String(part(schema, "properties", "pipeline_name")["description"]), /metrics/);
  const postgres = part(schema, "properties", "target", "anyOf", 1);
  // The kind may be told by the URL's scheme.
  assert.deepEqual(postgres["required"], ["url"]);
});

Deno.test("a file of declared pipelines has its own form", () => {
  const schema = part(jsonSchema(batchConnectors), "anyOf", 1);
  assert.deepEqual(Object.keys(part(schema, "properties")), ["pipeline", "tables", "connections"]);
  const pipeline = part(schema, "properties", "pipeline", "items");
  assert.deepEqual(pipeline["required"], ["name"]);
  assert.equal(pipeline["additionalProperties"], false);
  assert.deepEqual(part(pipeline, "properties", "mode")["enum"], [
    "append",
    "truncate",
    "merge",
    "scd2",
    "incremental",
  ]);
  const connection = part(pipeline, "properties", "source_connection");
  assert.match(String(connection["description"]), /^where the query runs/);
  const forms = part(connection, "anyOf") as unknown as JsonSchema[];
  assert.deepEqual(forms.map((form) => form["required"]), [undefined, ["url"], ["kind", "path"]]);
  const targets = part(pipeline, "properties", "targets", "items");
  assert.deepEqual(targets["required"], ["table"]);
  const table = part(schema, "properties", "tables", "additionalProperties");
  assert.deepEqual(table["required"], []);
  const columns = part(table, "properties", "columns", "additionalProperties", "anyOf", 1);
  assert.deepEqual(columns["required"], ["type"]);
});
