import assert from "node:assert/strict";
import type { RawDefinition } from "../core/request.ts";
import { Secret } from "../core/secret.ts";
import {
  errorOf,
  fromModule,
  fromToml,
  HEAD,
  KAFKA,
  POSTGRES,
  problemsOf,
} from "./definition_fixtures.ts";
import { loadDefinitions } from "./definitions.ts";
import { fakeConnectors } from "./fake_connectors.ts";
import { fakeHost, type FakeHostContent } from "./fake_host.ts";

Deno.test("a minimal pipeline gets every default", async () => {
  const spec = await (await fromToml(HEAD + KAFKA + POSTGRES)).streaming();
  const { options, ...target } = spec.targets[0] ?? assert.fail();
  assert.deepEqual({ ...spec, targets: [] }, {
    name: "p",
    origin: { file: "p.toml", line: 1, column: 1 },
    sources: [{
      sourceId: "events",
      kind: "kafka",
      query: "events",
      options: {
        bootstrap_servers: "localhost:9092",
        tls: false,
        group_id: "flow",
        auto_offset_reset: "earliest",
        payload_format: "json",
      },
    }],
    targets: [],
    delivery: "auto",
    idlePauseMs: 500,
    maxBatchRows: 100_000,
    maxBatchBytes: 6 * 1024 * 1024,
    maxBatchWaitMs: 1000,
  });
  assert.deepEqual(target, {
    kind: "postgres",
    table: { name: "t" },
    mode: "append",
    keys: [],
    create: true,
  });
  assert.ok(options["url"] instanceof Secret);
  assert.equal(options["url"].reveal(), "postgres://localhost/wh");
});

Deno.test("every key of a pipeline arrives", async () => {
  const spec = await (await fromToml(`
pipeline_name = "p"
source_query = "events"
idle_pause_ms = 1
max_batch_rows = 2
max_batch_bytes = 3
max_batch_wait_ms = 4
transform_on_error = "drop"
delivery = "at_least_once"
[source]
kind = "kafka"
bootstrap_servers = "b:9092"
dead_letter_topic = "failed"
group_id = "g"
[source.columns]
user_id = "BIGINT"
"odd name" = "VARCHAR[]"
[target]
kind = "postgres"
url = "postgres://localhost/wh"
mode = "merge"
keys = ["user_id"]
create = false
delivery = "at_least_once"
[target.table]
schema = "public"
name = "events"
[transform]
sql = "SELECT * FROM source"
`)).streaming();
  assert.equal(spec.idlePauseMs, 1);
  assert.equal(spec.maxBatchRows, 2);
  assert.equal(spec.maxBatchBytes, 3);
  assert.equal(spec.maxBatchWaitMs, 4);
  assert.equal(spec.transformOnError, "drop");
  assert.equal(spec.transformSql, "SELECT * FROM source");
  assert.equal(spec.delivery, "at_least_once");
  assert.deepEqual(spec.sources[0]?.columns, [
    { name: "user_id", type: "BIGINT" },
    { name: "odd name", type: "VARCHAR[]" },
  ]);
  assert.deepEqual(spec.deadLetter, {
    to: "topic",
    topic: "failed",
    kind: "kafka",
    options: { bootstrap_servers: "b:9092", tls: false },
  });
  const [target] = spec.targets;
  assert.deepEqual(target?.table, { schema: "public", name: "events" });
  assert.equal(target?.mode, "merge");
  assert.deepEqual(target?.keys, ["user_id"]);
  assert.equal(target?.create, false);
});

Deno.test("every problem is told at once, with its place, and the nearest valid name", async () => {
  assert.deepEqual(
    await problemsOf(`pipeline_name = "x"
bogus_key = 1
idle_pause_ms = "5"
delivery = "exactly"
transform_on_error = "dlq"
max_batch_rows = 0
[[sources]]
query = "orders"
kind = "kafak"
[[sources]]
query = "orders"
kind = "kafka"
group_di = "a"
sasl_plain_password = 12345678
fetch = { max_wat_ms = 1 }
auto_offset_reset = "erliest"
[target]
kind = "postgres"
url = "postgres://h/\${NOPE}"
mode = "mrge"
[target.table]
scheme = "public"
[transform]
sqll = "x"
`),
    [
      "p.toml:2:1: bogus_key: unknown key (valid keys: dead_letter_file, dead_letter_table, dead_letter_topic, " +
      "delivery, idle_pause_ms, max_batch_bytes, max_batch_rows, max_batch_wait_ms, pipeline_name, source, " +
      "source_query, sources, target, targets, transform, transform_on_error)",
      'p.toml:3:1: idle_pause_ms: expected a number, got "5"',
      'p.toml:4:1: delivery: delivery = "exactly" not supported (use "auto", "at_least_once", or "exactly_once") ' +
      '(did you mean "exactly_once"?)',
      "p.toml:6:1: max_batch_rows: expected >=1, got 0",
      'p.toml:9:1: sources[0].kind: unknown kind "kafak" (did you mean "kafka"?)',
      "p.toml:10:1: sources[1].bootstrap_servers: required, but not given (host:port, several with commas between)",
      "p.toml:13:1: sources[1].group_di: unknown key (did you mean group_id?)",
      "p.toml:14:1: sources[1].sasl_plain_password: expected a text in quotes, got ***",
      "p.toml:15:11: sources[1].fetch.max_wat_ms: unknown key (did you mean max_wait_ms?)",
      'p.toml:16:1: sources[1].auto_offset_reset: expected "earliest" or "latest", got "erliest" ' +
      '(did you mean "earliest"?)',
      "p.toml:19:1: target.url: the environment variable NOPE, used by the target, is not set " +
      "(set NOPE, or write the value here)",
      'p.toml:20:1: target.mode: expected "append" or "merge", got "mrge" (did you mean "merge"?)',
      "p.toml:21:1: target.table.name: required, but not given (name of the table)",
      "p.toml:22:1: target.table.scheme: unknown key (did you mean schema?)",
      "p.toml:24:1: transform.sqll: unknown key (did you mean sql?)",
    ],
  );
});

Deno.test("blocks that flow does not know are unknown keys", async () => {
  assert.deepEqual(
    await problemsOf(`${HEAD}${KAFKA}${POSTGRES}[watermark]\nlateness_ms = 1\n[transform.windo]\n`),
    [
      "p.toml:10:1: watermark: unknown key (valid keys: dead_letter_file, dead_letter_table, dead_letter_topic, " +
      "delivery, idle_pause_ms, max_batch_bytes, max_batch_rows, max_batch_wait_ms, pipeline_name, source, " +
      "source_query, sources, target, targets, transform, transform_on_error)",
      "p.toml:12:1: transform.windo: unknown key (valid keys: on_error, sql)",
    ],
  );
});

Deno.test("a text that is no TOML is an error with line and column that quotes nothing of it", async () => {
  const error = await errorOf(fromToml('a = 1\n[target]\npassword = "hunter2-secret\n'));
  assert.equal(error.code, "definition_invalid");
  assert.match(error.message, /^p\.toml:3:\d+: this is no valid TOML: /);
  assert.deepEqual({ ...error.details, column: 0 }, {
    problems: 1,
    file: "p.toml",
    line: 3,
    column: 0,
  });
  assert.ok(!Deno.inspect(error, { depth: 9 }).includes("hunter2"));
});

Deno.test("a pipeline file is read, or its absence or denial told", async () => {
  const load = (path: string, content: FakeHostContent) =>
    loadDefinitions({ from: "toml_file", path }, {
      connectors: fakeConnectors,
      ...fakeHost(content),
    });
  const found = await load("dir/p.toml", { files: { "dir/p.toml": HEAD + KAFKA + POSTGRES } });
  assert.equal((await found.streaming()).origin.file, "dir/p.toml");
  const missing = await errorOf(load("no.toml", {}));
  assert.equal(missing.code, "definition_not_found");
  const denied = await errorOf(load("p.toml", { denied: ["p.toml"] }));
  assert.equal(denied.code, "permission_denied");
  assert.match(denied.hint ?? "", /--allow-read=p\.toml/);
});

const ORIGIN = { file: "/app/pipes.ts", line: 7, column: 1 };

function pipelineDefinition(name: string, value: Record<string, unknown>): RawDefinition {
  return { kind: "streaming_pipeline", name, value, origin: ORIGIN };
}

const MODULE_VALUE = {
  source: {
    connection: {
      kind: "kafka",
      name: "src",
      options: { bootstrap_servers: "b:1", group_id: "g", headers: { my_key: "v", my__key2: "w" } },
      origin: { file: "/app/connections.ts", line: 3, column: 14 },
    },
  },
  source_query: "events",
  target: { connection: "warehouse" },
  target_table: "public.events",
};

Deno.test("what a module defines is validated by the same rules", async () => {
  const definitions = await fromModule([
    {
      kind: "connection",
      name: "warehouse",
      value: { kind: "postgres", url: "postgres://${DB_HOST}/wh" },
      origin: ORIGIN,
    },
    pipelineDefinition("a", { ...MODULE_VALUE, mode: "merge", keys: ["userId"] }),
    pipelineDefinition("b", { ...MODULE_VALUE, source_query: undefined }),
  ], { env: { DB_HOST: "db" } });
  assert.deepEqual(definitions.list(), [
    { name: "a", sources: ["kafka:events"], targets: ["warehouse"] },
    { name: "b", sources: ["kafka"], targets: ["warehouse"] },
  ]);
  const spec = await definitions.streaming("a");
  assert.deepEqual(spec.origin, ORIGIN);
  assert.deepEqual(spec.targets[0]?.table, { schema: "public", name: "events" });
  assert.deepEqual(spec.targets[0]?.keys, ["userId"]);
  const url = spec.targets[0]?.options["url"];
  assert.ok(url instanceof Secret);
  assert.equal(url.reveal(), "postgres://db/wh");
  // Keys of tables that are the user's own data keep the names that the user gave them.
  assert.deepEqual(spec.sources[0]?.options["headers"], { myKey: "v", my_key2: "w" });
});

Deno.test("problems of a module name TypeScript's keys and the line of the call", async () => {
  const definitions = await fromModule([
    pipelineDefinition("a", {
      ...MODULE_VALUE,
      source_qury: "x",
      source__query: "y",
      idle_pause_ms: true,
      source: {
        connection: {
          ...MODULE_VALUE.source.connection,
          options: { bootstrap_server: "b:1" },
        },
        auto_offset_reset: "now",
      },
      target: { connection: { kind: "postgres", options: { url: 5 }, origin: ORIGIN } },
      target_table: undefined,
    }),
  ]);
  const error = await errorOf(definitions.streaming());
  assert.deepEqual(error.message.split("\n").slice(1).map((line) => line.trim()).toSorted(), [
    "/app/connections.ts:3:14: bootstrapServer: unknown key (did you mean bootstrapServers?)",
    "/app/connections.ts:3:14: bootstrapServers: required, but not given (host:port, several with commas between)",
    "/app/pipes.ts:7:1: idlePauseMs: expected a number, got true",
    '/app/pipes.ts:7:1: source.autoOffsetReset: expected "earliest" or "latest", got "now"',
    "/app/pipes.ts:7:1: sourceQury: unknown key (did you mean sourceQuery?)",
    "/app/pipes.ts:7:1: source_query: unknown key (did you mean sourceQuery?)",
    "/app/pipes.ts:7:1: url: expected a text in quotes, got ***",
  ]);
});

Deno.test("pipelines are found by name; a wrong one is told with those that there are", async () => {
  const definitions = await fromModule([
    pipelineDefinition("events_to_pg", MODULE_VALUE),
    pipelineDefinition("other", MODULE_VALUE),
    pipelineDefinition("other", MODULE_VALUE),
  ]);
  const unknown = await errorOf(definitions.streaming("event_to_pg"));
  assert.equal(unknown.code, "pipeline_unknown");
  assert.equal(
    unknown.message,
    "no streaming pipeline named 'event_to_pg' is registered (known: events_to_pg, other, other)",
  );
  assert.equal(unknown.hint, "did you mean events_to_pg?");
  assert.equal((await errorOf(definitions.streaming())).code, "pipeline_name_missing");
  assert.equal((await errorOf((await fromModule([])).streaming())).code, "pipeline_unknown");
  assert.match((await errorOf(definitions.streaming("other"))).message, /is defined twice/);
});
