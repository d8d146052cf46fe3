import assert from "node:assert/strict";
import type { RawDefinition } from "../core/request.ts";
import { FlowError } from "../core/error.ts";
import {
  Connection,
  kafka,
  objectStoreLocal,
  postgres,
  registerConnection,
  source,
  streamingPipeline,
  target,
} from "../mod.ts";
import { loadDefinitions } from "./definitions.ts";
import { fakeConnectors } from "./fake_connectors.ts";
import { fakeHost } from "./fake_host.ts";
import { collectDefinitions } from "./registry.ts";

/** What the action defined. */
function defined(action: () => void): readonly RawDefinition[] {
  const before = collectDefinitions().length;
  action();
  return collectDefinitions().slice(before);
}

const THIS_FILE = new URL(import.meta.url).pathname;

/** The line of this file that holds the mark, from 1. */
async function lineOf(mark: string): Promise<number> {
  const text = await Deno.readTextFile(new URL(import.meta.url));
  return text.slice(0, text.indexOf(`// ${mark}`)).split("\n").length;
}

Deno.test("a pipeline registers itself as plain data in TOML's spelling, with the caller's place", async () => {
  const [connection, pipeline] = defined(() => {
    const handle = streamingPipeline("events", { // mark:pipeline
      source: kafka({ name: "src", bootstrapServers: "b:1", groupId: "g" }), // mark:kafka
      sourceQuery: "events",
      target: "warehouse",
      targetTable: ["public", "events"],
      transformSql: "SELECT 1",
      transformOnError: "drop",
      maxBatchRows: 5,
      mode: "merge",
      keys: ["userId"],
    });
    assert.equal(handle.name, "events");
  });
  const kafkaLine = await lineOf("mark:kafka");
  assert.equal(connection?.kind, "connection");
  assert.equal(connection?.name, "src");
  assert.deepEqual(connection?.value, { bootstrap_servers: "b:1", group_id: "g", kind: "kafka" });
  assert.equal(pipeline?.kind, "streaming_pipeline");
  assert.equal(pipeline?.name, "events");
  assert.deepEqual(pipeline?.value, {
    source: {
      connection: {
        kind: "kafka",
        name: "src",
        options: { bootstrap_servers: "b:1", group_id: "g" },
        origin: { file: THIS_FILE, line: kafkaLine, column: 15 },
      },
    },
    source_query: "events",
    target: { connection: "warehouse" },
    target_table: ["public", "events"],
    transform_sql: "SELECT 1",
    transform_on_error: "drop",
    max_batch_rows: 5,
    mode: "merge",
    keys: ["userId"],
  });
  assert.deepEqual(pipeline?.origin, {
    file: THIS_FILE,
    line: await lineOf("mark:pipeline"),
    column: 20,
  });
  assert.deepEqual(structuredClone(pipeline), pipeline);
});

Deno.test("what builders define is what the engine loads", async () => {
  const definitions = defined(() => {
    const broker = kafka({ name: "broker", bootstrapServers: "b:1", saslPlainPassword: "${PW}" });
    const lake = objectStoreLocal({ path: "/lake", format: "csv" });
    streamingPipeline("fan", {
      sources: [
        source({ connection: broker, query: "orders", columns: { userId: "BIGINT", b_c: "DATE" } }),
        source({ connection: "broker", query: "orders", autoOffsetReset: "latest" }),
      ],
      targets: [
        target({
          connection: postgres({ url: "postgres://h/d" }),
          table: { schema: "public", name: "t" },
          mode: "merge",
          keys: ["id"],
          create: false,
        }),
        target({ connection: lake, prefix: "raw", csvDelimiter: ";" }),
      ],
      deadLetterTopic: "failed",
    });
  });
  const loaded = await loadDefinitions({ from: "module", module: "m.ts", definitions }, {
    connectors: fakeConnectors,
    ...fakeHost({ env: { PW: "p4ssword" } }),
  });
  const spec = await loaded.streaming();
  assert.deepEqual(spec.sources.map(({ sourceId, columns }) => [sourceId, columns]), [
    ["orders", [{ name: "userId", type: "BIGINT" }, { name: "b_c", type: "DATE" }]],
    ["orders#2", undefined],
  ]);
  assert.equal(spec.sources[1]?.options["auto_offset_reset"], "latest");
  assert.deepEqual(
    spec.targets.map(({ kind, table, mode, create }) => [kind, table, mode, create]),
    [
      ["postgres", { schema: "public", name: "t" }, "merge", false],
      ["object_store_local", undefined, "append", true],
    ],
  );
  assert.deepEqual(spec.targets[1]?.options, {
    path: "/lake",
    format: "csv",
    prefix: "raw",
    csv_delimiter: ";",
  });
  assert.equal(spec.deadLetter?.to, "topic");
});

Deno.test("a source or target with options of its own may stand alone", async () => {
  const definitions = defined(() => {
    streamingPipeline("alone", {
      source: source({ connection: kafka({ bootstrapServers: "b:1" }), query: "events" }),
      target: target({ connection: postgres({ url: "postgres://h/d" }), table: "public.t" }),
    });
  });
  const loaded = await loadDefinitions({ from: "module", module: "m.ts", definitions }, {
    connectors: fakeConnectors,
    ...fakeHost(),
  });
  const spec = await loaded.streaming("alone");
  assert.equal(spec.sources[0]?.query, "events");
  assert.deepEqual(spec.targets[0]?.table, { schema: "public", name: "t" });
});

Deno.test("connections, sources and targets show no value, however they are printed", () => {
  const connection = kafka({
    name: "shy",
    bootstrapServers: "b:1",
    saslPlainPassword: "hunter2-secret",
  });
  const things = [
    connection,
    source({ connection, query: "q", saslPlainPassword: "hunter2-secret" }),
    target({ connection: postgres({ url: "postgres://u:hunter2-secret@h/d" }) }),
    { nested: [connection] },
  ];
  for (const thing of things) {
    for (
      const text of [
        Deno.inspect(thing, { depth: 20, showHidden: true }),
        JSON.stringify(thing),
        `${thing}`,
        Object.values(thing).map(String).join(),
      ]
    ) {
      assert.ok(!text.includes("hunter2"), text);
    }
  }
  assert.equal(
    String(connection),
    "kafka connection 'shy' (bootstrapServers, saslPlainPassword set)",
  );
});

Deno.test("registerConnection wants a name, and registers nothing twice", async () => {
  assert.throws(
    () => registerConnection(kafka({ bootstrapServers: "b:1" })),
    (error) => error instanceof FlowError && error.code === "connection_unnamed",
  );
  const definitions = defined(() => {
    const connection = registerConnection(postgres({ name: "once", url: "postgres://h/d" }));
    assert.ok(connection instanceof Connection);
    registerConnection(connection);
  });
  assert.equal(definitions.length, 1);
  const loaded = await loadDefinitions({ from: "module", module: "m.ts", definitions }, {
    connectors: fakeConnectors,
    ...fakeHost(),
  });
  assert.deepEqual(await loaded.connections(), [
    { name: "once", kind: "postgres", shown: "postgres://h/d", from: "module" },
  ]);
});

Deno.test("JavaScript users are told of wrong names and values, with their line", async () => {
  // deno-lint-ignore no-explicit-any -- a JavaScript user has no types
  const untyped = { streamingPipeline, kafka } as any;
  const definitions = defined(() => {
    untyped.streamingPipeline("js", { // mark:js
      source: untyped.kafka({ bootstrapServer: "b:1" }), // mark:js-kafka
      source_query: "events",
      target: "warehouse",
      targetTable: () => "events",
      keys: new Map(),
    });
  });
  const loaded = await loadDefinitions({ from: "module", module: "m.ts", definitions }, {
    connectors: fakeConnectors,
    ...fakeHost({ env: { EMATIX_FLOW_DSN_WAREHOUSE: "postgres://h/d" } }),
  });
  const error = await loaded.streaming().then(() => assert.fail("it is wrong"), (e: unknown) => e);
  assert.ok(error instanceof FlowError);
  const js = `${THIS_FILE}:${await lineOf("mark:js")}`;
  const call = `${THIS_FILE}:${await lineOf("mark:js-kafka")}`;
  for (
    const part of [
      `${call}:23: bootstrapServer: unknown key (did you mean bootstrapServers?)`,
      `${js}:13: source_query: unknown key (did you mean sourceQuery?)`,
      `${js}:13: keys: expected a list, got "[Map]"`,
    ]
  ) {
    assert.ok(error.message.includes(part), `${part}\nin\n${error.message}`);
  }
});

/** Never called: what the types refuse is refused by `deno check`, which covers tests. */
export function typesRefuse(): void {
  // @ts-expect-error -- the key is bootstrapServers
  kafka({ bootstrap_servers: "b:1" });
  // @ts-expect-error -- bootstrapServers is required
  kafka({ name: "src" });
  // @ts-expect-error -- a text is wanted
  kafka({ bootstrapServers: 1 });
  // @ts-expect-error -- earliest or latest
  kafka({ bootstrapServers: "b:1", autoOffsetReset: "first" });
  // @ts-expect-error -- a number is wanted
  postgres({ url: "postgres://h/d", port: "5432" });
  const broker = kafka({ bootstrapServers: ["a:1", "b:1"] });
  const warehouse = postgres({ url: "postgres://h/d" });
  const lake = objectStoreLocal({ path: "/d", csvReadOptions: { hasHeader: true } });
  // @ts-expect-error -- nested keys are in camelCase too
  objectStoreLocal({ path: "/d", csvReadOptions: { has_header: true } });
  // @ts-expect-error -- a Kafka source has no such option
  source({ connection: broker, query: "q", csvReadOptions: {} });
  // @ts-expect-error -- merge or append
  target({ connection: warehouse, table: "t", mode: "scd2" });
  // @ts-expect-error -- Parquet is not compressed with lz4
  target({ connection: lake, parquetCompression: "lz4" });
  // @ts-expect-error -- a Postgres target has no such option
  target({ connection: warehouse, parquetCompression: "zstd" });
  // With a name the kind is not known: the options of every kind are taken.
  target({ connection: "lake", parquetCompression: "zstd", messageKeyColumn: "id" });
  // @ts-expect-error -- but not those of none
  target({ connection: "lake", parquetCompresion: "zstd" });
  const ends = { source: broker, sourceQuery: "q", target: warehouse, targetTable: "t" } as const;
  streamingPipeline("ok", ends);
  // @ts-expect-error -- source and sources exclude each other
  streamingPipeline("p", { ...ends, sources: [source({ connection: broker, query: "q" })] });
  // @ts-expect-error -- a target is needed
  streamingPipeline("p", { source: broker, sourceQuery: "q" });
  // @ts-expect-error -- misspelled
  streamingPipeline("p", { ...ends, transformSQL: "SELECT 1" });
  // @ts-expect-error -- fail, drop or dlq
  streamingPipeline("p", { ...ends, transformOnError: "ignore" });
  // @ts-expect-error -- two names make a table, not three
  streamingPipeline("p", { ...ends, targetTable: ["a", "b", "c"] });
}
