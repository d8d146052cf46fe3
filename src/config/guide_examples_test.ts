import assert from "node:assert/strict";
import { sourceOptions as datagenSourceOptions } from "../connectors/datagen/options.ts";
import * as objectStoreLocalOptions from "../connectors/object_store_local/options.ts";
import {
  kafkaConnectionOptions,
  kafkaSourceOptions,
  kafkaTargetOptions,
} from "../connectors/kafka/options.ts";
import { postgresConnectionOptions } from "../connectors/postgres/options.ts";
import type { Connector } from "../core/connector.ts";
import type { RawDefinition } from "../core/request.ts";
import { Secret } from "../core/secret.ts";
import type { StreamingSpec } from "../core/spec.ts";
import {
  datagen,
  kafka,
  objectStoreLocal,
  postgres,
  registerConnection,
  streamingPipeline,
  target,
} from "../mod.ts";
import { loadDefinitions } from "./definitions.ts";
import { fakeHost, type FakeHostContent } from "./fake_host.ts";
import { collectDefinitions } from "./registry.ts";

/** The examples of the user guide's sections on connections and streaming, against the options that connectors really declare. */

const unused = (): never => assert.fail("definitions are only loaded here, never run");

const connectors: readonly Connector[] = [
  {
    kind: "kafka",
    connectionOptions: kafkaConnectionOptions,
    sourceOptions: kafkaSourceOptions,
    targetOptions: kafkaTargetOptions,
    createSource: unused,
    createSink: unused,
  },
  {
    kind: "postgres",
    connectionOptions: postgresConnectionOptions,
    targetNeedsTable: true,
    urlSchemes: ["postgres", "postgresql"],
    createSink: unused,
  },
  {
    kind: "object_store_local",
    connectionOptions: objectStoreLocalOptions.connectionOptions,
    sourceOptions: objectStoreLocalOptions.sourceOptions,
    targetOptions: objectStoreLocalOptions.targetOptions,
    createSource: unused,
    createSink: unused,
  },
  {
    kind: "datagen",
    connectionOptions: {},
    sourceOptions: datagenSourceOptions,
    createSource: unused,
  },
];

async function load(text: string, content: FakeHostContent = {}): Promise<StreamingSpec> {
  const input = { from: "toml_text", text, name: "pipeline.toml" } as const;
  return await (await loadDefinitions(input, { connectors, ...fakeHost(content) })).streaming();
}

async function loadModule(
  define: () => void,
  content: FakeHostContent = {},
): Promise<StreamingSpec> {
  const before = collectDefinitions().length;
  define();
  const definitions: readonly RawDefinition[] = collectDefinitions().slice(before);
  const input = { from: "module", module: "my_pipelines.ts", definitions } as const;
  return await (await loadDefinitions(input, { connectors, ...fakeHost(content) })).streaming();
}

/** A spec without what differs between two ways to write the same. */
function essence(spec: StreamingSpec): unknown {
  const plain = (_key: string, value: unknown) => value instanceof Secret ? value.reveal() : value;
  return JSON.parse(JSON.stringify({ ...spec, origin: null }, plain));
}

function revealed(value: unknown): string {
  assert.ok(value instanceof Secret);
  return value.reveal();
}

const MINIMAL = `
# pipeline.toml
pipeline_name = "events-to-pg"
source_query = "events"
idle_pause_ms = 500

[source]
kind = "kafka"
bootstrap_servers = "localhost:9092"
group_id = "ematix-flow"

[target]
kind = "postgres"
url = "postgres://localhost/mydb"

[target.table]
schema = "public"
name = "events"
`;

Deno.test("the minimal pipeline, in TOML and in TypeScript, is the same", async () => {
  const toml = await load(MINIMAL);
  assert.equal(toml.name, "events-to-pg");
  assert.equal(toml.sources[0]?.options["group_id"], "ematix-flow");
  const module = await loadModule(() => {
    streamingPipeline("events-to-pg", {
      source: kafka({ name: "src", bootstrapServers: "localhost:9092", groupId: "ematix-flow" }),
      sourceQuery: "events",
      target: postgres({ name: "warehouse", url: "postgres://localhost/mydb" }),
      targetTable: ["public", "events"],
    });
  });
  assert.deepEqual(essence(module), essence(toml));
});

Deno.test("a dead-letter topic under the source", async () => {
  const spec = await load(
    MINIMAL.replace("[target]\n", 'dead_letter_topic = "events-failed"\n[target]\n'),
  );
  assert.equal(spec.deadLetter?.to, "topic");
  assert.equal(spec.deadLetter.topic, "events-failed");
  assert.equal(spec.deadLetter.options["bootstrap_servers"], "localhost:9092");
});

Deno.test("several sources", async () => {
  const spec = await load(`
pipeline_name = "fanin"

[[sources]]
query = "orders"
kind = "kafka"
bootstrap_servers = "localhost:9092"

[[sources]]
query = "payments"
kind = "kafka"
bootstrap_servers = "localhost:9092"

[target]
kind = "postgres"
url = "postgres://localhost/wh"

[target.table]
schema = "public"
name = "events_union"
`);
  assert.deepEqual(spec.sources.map(({ sourceId }) => sourceId), ["orders", "payments"]);
  assert.deepEqual(spec.targets[0]?.table, { schema: "public", name: "events_union" });
});

Deno.test("several targets, with the table in double brackets", async () => {
  const spec = await load(`
pipeline_name = "fanout"
source_query = "events"

[source]
kind = "kafka"
bootstrap_servers = "localhost:9092"

[[targets]]
kind = "postgres"
url = "postgres://localhost/wh"
[[targets.table]]
schema = "public"
name = "events_pg"

[[targets]]
kind = "object_store_local"
path = "/archive"
prefix = "events"
`);
  assert.deepEqual(spec.targets.map(({ kind, table }) => [kind, table?.name]), [
    ["postgres", "events_pg"],
    ["object_store_local", undefined],
  ]);
});

Deno.test("an object store as the target, with write and read options", async () => {
  const spec = await load(`
pipeline_name = "events_archive"
source_query = "events"
[source]
kind = "kafka"
bootstrap_servers = "localhost:9092"

[target]
kind = "object_store_local"
path = "/data/lake"
format = "parquet"
prefix = "events/raw"
parquet_compression = "zstd"

[target.read_options.csv]
has_header  = true
delimiter   = 44                  # ord(',')
null_regex  = "^(NA|NULL)$"
schema_infer_max_records = 4096
`);
  const options = spec.targets[0]?.options;
  assert.equal(options?.["parquet_compression"], "zstd");
  assert.deepEqual(options?.["read_options"], {
    csv: {
      has_header: true,
      delimiter: ",",
      null_regex: "^(NA|NULL)$",
      schema_infer_max_records: 4096,
    },
  });
});

Deno.test("object store targets in TypeScript, with CSV options in camelCase", async () => {
  const spec = await loadModule(() => {
    const lake = objectStoreLocal({ name: "lake", path: "/data/lake", format: "csv" });
    streamingPipeline("events_archive", {
      source: kafka({ name: "kafka_prod", bootstrapServers: "localhost:9092" }),
      sourceQuery: "events",
      targets: [target({
        connection: lake,
        prefix: "events/csv",
        csvDelimiter: ";",
        csvHeader: false,
        csvQuote: "'",
        csvEscape: "\\",
        csvNullValue: "\\N",
        csvReadOptions: {
          hasHeader: true,
          delimiter: ",",
          nullRegex: String.raw`^(NA|NULL|\\N)$`,
          truncatedRowsOk: false,
          schemaInferMaxRecords: 4096,
        },
      })],
    });
  });
  const options = spec.targets[0]?.options;
  assert.equal(options?.["csv_delimiter"], ";");
  assert.equal(options?.["csv_null_value"], "\\N");
  assert.deepEqual(options?.["csv_read_options"], {
    has_header: true,
    delimiter: ",",
    null_regex: String.raw`^(NA|NULL|\\N)$`,
    truncated_rows_ok: false,
    schema_infer_max_records: 4096,
  });
});

Deno.test("connections of the user's file, and variables in registered ones", async () => {
  const file = `
[connections.warehouse]
url = "postgres://\${WAREHOUSE_DSN}"

[connections.kafka]
kind = "kafka"
bootstrap_servers = "localhost:9092"
group_id = "ematix-flow"
`;
  const content = {
    files: { "/tmp-home/.ematix-flow/connections.toml": file },
    env: {
      WAREHOUSE_DSN: "u:s3cret@h/wh",
      KAFKA_BOOTSTRAP: "b:1",
      KAFKA_USER: "u",
      KAFKA_PASS: "pw",
    },
  };
  const spec = await load(
    'pipeline_name = "p"\nsource_query = "events"\n[source]\nconnection = "kafka"\n' +
      '[target]\nconnection = "warehouse"\n[target.table]\nname = "t"\n',
    content,
  );
  assert.equal(spec.sources[0]?.options["group_id"], "ematix-flow");
  assert.equal(revealed(spec.targets[0]?.options["url"]), "postgres://u:s3cret@h/wh");
  const module = await loadModule(() => {
    registerConnection(kafka({
      name: "kafka_prod",
      bootstrapServers: "${KAFKA_BOOTSTRAP}",
      groupId: "ematix-flow",
      saslPlainUsername: "${KAFKA_USER}",
      saslPlainPassword: "${KAFKA_PASS}",
    }));
    streamingPipeline("events_to_pg", {
      source: "kafka_prod",
      sourceQuery: "events",
      target: "warehouse",
      targetTable: ["public", "events"],
      transformSql: "SELECT user_id, _event_ts FROM source WHERE valid",
      transformOnError: "dlq",
      deadLetterTopic: "events-failed",
    });
  }, content);
  assert.equal(module.sources[0]?.options["bootstrap_servers"], "b:1");
  assert.equal(revealed(module.sources[0]?.options["sasl_plain_password"]), "pw");
  assert.equal(module.transformOnError, "dlq");
  assert.equal(module.deadLetter?.to, "topic");
});

Deno.test("columns of made-up rows keep their names, their particulars have TypeScript's", async () => {
  const spec = await loadModule(() => {
    streamingPipeline("made_up", {
      source: datagen({
        columns: { user_id: "sequence", unitPrice: { type: "double", max: 9, nullRate: 0.1 } },
        rows: 3,
      }),
      sourceQuery: "orders",
      target: objectStoreLocal({ path: "out" }),
    });
  });
  assert.deepEqual(spec.sources[0]?.options["columns"], {
    user_id: { type: "sequence" },
    unitPrice: { type: "double", max: 9, null_rate: 0.1 },
  });
});
