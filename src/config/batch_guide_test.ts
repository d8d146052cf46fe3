import assert from "node:assert/strict";
import type { BatchSpec } from "../core/batch_spec.ts";
import {
  bigint,
  decimal,
  duckdb,
  pipeline,
  postgres,
  sql,
  string,
  table,
  target,
  text,
  timestamptz,
} from "../mod.ts";
import { DEFAULT_ENV, essence, moduleBatch, tomlBatch } from "./batch_fixtures.ts";
import type { Definitions } from "./definitions.ts";

/** The user guide's examples of declared pipelines, in TOML and in TypeScript. */

async function assertSame(
  toml: Promise<Definitions>,
  module: Promise<Definitions>,
): Promise<readonly BatchSpec[]> {
  const specs = await (await toml).batchAll();
  assert.deepEqual(specs.map(essence), (await (await module).batchAll()).map(essence));
  return specs;
}

const EVENTS = `
[tables.events]
schema = "analytics"
columns = { event_id = { type = "bigint", primary_key = true }, name = { type = "text", nullable = true }, received_at = "timestamptz" }
`;

const events = () =>
  table("analytics.events", {
    event_id: bigint().primaryKey(),
    name: text().nullable(),
    received_at: timestamptz(),
  });

Deno.test("the append pipeline", async () => {
  const [spec] = await assertSame(
    tomlBatch(`${EVENTS}
[[pipeline]]
name = "ingest_events"
target = "events"
schedule = "*/5 * * * *"
mode = "append"
source = "SELECT event_id, name, received_at FROM raw.events"
`),
    moduleBatch(() => {
      pipeline("ingest_events", {
        target: events(),
        schedule: "*/5 * * * *",
        mode: "append",
        source: "SELECT event_id, name, received_at FROM raw.events",
      });
    }),
  );
  assert.ok(spec !== undefined);
  const connection = {
    name: "default",
    kind: "postgres",
    shown: "postgres://flow:***@db/wh",
  };
  const { sourceConnection: { options, ...sourceConnection }, ...rest } = spec;
  assert.deepEqual(sourceConnection, connection);
  const { targets, ...plain } = rest;
  assert.deepEqual(plain, {
    name: "ingest_events",
    origin: { file: "p.toml", line: 6, column: 1 },
    source: { by: "query", sql: "SELECT event_id, name, received_at FROM raw.events" },
    parameters: {},
    sqlBefore: [],
    sqlAfter: [],
    schedule: { cron: "*/5 * * * *", timezone: "UTC" },
    timezone: "UTC",
    dependsOn: [],
    retry: { maxAttempts: 1, backoffSeconds: 30, backoffFactor: 2 },
    continueOnFailure: false,
  });
  assert.deepEqual(targets, [{
    connection: { ...connection, options },
    table: {
      ref: { schema: "analytics", name: "events" },
      columns: [
        { name: "event_id", type: "BIGINT", nullable: false, normalizers: [] },
        { name: "name", type: "VARCHAR", nullable: true, normalizers: [] },
        {
          name: "received_at",
          type: "TIMESTAMP WITH TIME ZONE",
          nullable: false,
          normalizers: [],
        },
      ],
      primaryKey: ["event_id"],
      naturalKey: [],
      uniqueGroups: [],
      mergeKeys: [],
    },
    mode: "append",
    keys: [],
    compareColumns: [],
    updateColumns: [],
    handleDeletes: "none",
    allowEmptySource: false,
    overlapSeconds: 0,
    onDrift: "evolve",
    create: true,
  }]);
});

Deno.test("dependencies and retry", async () => {
  const [ingest, rollups] = await assertSame(
    tomlBatch(`${EVENTS}
[[pipeline]]
name = "ingest_events"
target = "events"
source = "SELECT * FROM raw.events"
retry = { max_attempts = 5, backoff_seconds = 30, backoff_factor = 2.0 }

[[pipeline]]
name = "daily_rollups"
target = { name = "daily_rollups" }
schedule = "0 2 * * *"
timezone = "Europe/Berlin"
mode = "merge"
keys = ["d"]
depends_on = ["ingest_events"]
upstream_freshness_seconds = 3600
source = "SELECT date_trunc('day', received_at) AS d, COUNT(*) AS n FROM analytics.events GROUP BY 1"
`),
    moduleBatch(() => {
      const ingestEvents = pipeline("ingest_events", {
        target: events(),
        source: "SELECT * FROM raw.events",
        retry: { maxAttempts: 5, backoffSeconds: 30, backoffFactor: 2 },
      });
      pipeline("daily_rollups", {
        target: table("daily_rollups"),
        schedule: "0 2 * * *",
        timezone: "Europe/Berlin",
        mode: "merge",
        keys: ["d"],
        dependsOn: [ingestEvents],
        upstreamFreshnessSeconds: 3600,
        source:
          "SELECT date_trunc('day', received_at) AS d, COUNT(*) AS n FROM analytics.events GROUP BY 1",
      });
    }),
  );
  assert.deepEqual(ingest?.retry, { maxAttempts: 5, backoffSeconds: 30, backoffFactor: 2 });
  assert.deepEqual(rollups?.dependsOn, ["ingest_events"]);
  assert.equal(rollups.upstreamFreshnessSeconds, 3600);
  assert.deepEqual(rollups.schedule, { cron: "0 2 * * *", timezone: "Europe/Berlin" });
  assert.deepEqual(rollups.targets[0]?.table.columns, []);
});

const CUSTOMER_DIM = `
[tables.customer_dim]
schema = "analytics"
unique = [["email", "name"]]
merge_keys = ["customer_id"]

[tables.customer_dim.columns]
customer_id = { type = "BIGINT", primary_key = true }
email = { type = "string(256)", nullable = true, normalize = ["lower", "trim"] }
name = { type = "TEXT", nullable = true, normalize = ["empty_to_null"] }
updated_at = { type = "TIMESTAMPTZ", normalize = ["parse_timestamp"] }
balance = { type = "DECIMAL(18,2)", nullable = true }
`;

const customerDim = () =>
  table("analytics.customer_dim", {
    customer_id: bigint().primaryKey(),
    email: string(256).nullable().lower().trim(),
    name: text().nullable().emptyToNull(),
    updated_at: timestamptz().parseTimestamp(),
    balance: decimal(18, 2).nullable(),
  }, { unique: [["email", "name"]], mergeKeys: ["customer_id"] });

Deno.test("SCD2 with event time, and a load between two databases", async () => {
  const connections = () => {
    postgres({ name: "raw_db", url: "${RAW_DSN}" });
    duckdb({ name: "warehouse", path: "wh.duckdb" });
  };
  const content = { env: { RAW_DSN: "postgres://reader:sEcret1@raw/db" } };
  const [spec, merged] = await assertSame(
    tomlBatch(
      `${CUSTOMER_DIM}
[connections.raw_db]
url = "\${RAW_DSN}"

[connections.warehouse]
kind = "duckdb"
path = "wh.duckdb"

[[pipeline]]
name = "sync_customers"
target = "customer_dim"
schedule = "0 * * * *"
mode = "scd2"
compare_columns = ["email", "name"]
event_timestamp_column = "updated_at"
ttl_seconds = 2592000
handle_deletes = "soft"
source_connection = "raw_db"
target_connection = "warehouse"
source = "SELECT customer_id, email, name, updated_at FROM raw.customers"

[[pipeline]]
name = "merge_customers"
target = "customer_dim"
mode = "merge"
handle_deletes = "hard"
allow_empty_source = true
update_columns = ["email"]
on_drift = "error"
create = false
source_connection = "raw_db"
target_connection = "warehouse"
source_table = "public.customers"
column_map = { customer_id = "id", balance = "accountBalance" }
sql_before = "SET statement_timeout = 0"
sql_after = ["ANALYZE", "SELECT 1"]
`,
      content,
    ),
    moduleBatch(() => {
      connections();
      const source = { sourceConnection: "raw_db", targetConnection: "warehouse" };
      pipeline("sync_customers", {
        ...source,
        target: customerDim(),
        schedule: "0 * * * *",
        mode: "scd2",
        compareColumns: ["email", "name"],
        eventTimestampColumn: "updated_at",
        ttlSeconds: 86_400 * 30,
        handleDeletes: "soft",
        source: "SELECT customer_id, email, name, updated_at FROM raw.customers",
      });
      pipeline("merge_customers", {
        ...source,
        target: customerDim(),
        mode: "merge",
        handleDeletes: "hard",
        allowEmptySource: true,
        updateColumns: ["email"],
        onDrift: "error",
        create: false,
        sourceTable: ["public", "customers"],
        columnMap: { customer_id: "id", balance: "accountBalance" },
        sqlBefore: "SET statement_timeout = 0",
        sqlAfter: ["ANALYZE", "SELECT 1"],
      });
    }, content),
  );
  const [dim] = spec?.targets ?? [];
  assert.equal(dim?.connection.kind, "duckdb");
  assert.equal(dim.connection.name, "warehouse");
  assert.equal(dim.eventTimestampColumn, "updated_at");
  assert.equal(dim.ttlSeconds, 2_592_000);
  assert.deepEqual(dim.table.uniqueGroups, [["email", "name"]]);
  assert.deepEqual(dim.table.mergeKeys, ["customer_id"]);
  assert.deepEqual(dim.table.columns.slice(1), [
    {
      name: "email",
      type: "VARCHAR",
      maxLength: 256,
      nullable: true,
      normalizers: ["lower", "trim"],
    },
    { name: "name", type: "VARCHAR", nullable: true, normalizers: ["empty_to_null"] },
    {
      name: "updated_at",
      type: "TIMESTAMP WITH TIME ZONE",
      nullable: false,
      normalizers: ["parse_timestamp"],
    },
    { name: "balance", type: "DECIMAL(18,2)", nullable: true, normalizers: [] },
  ]);
  assert.deepEqual(merged?.source, {
    by: "table",
    table: { schema: "public", name: "customers" },
    columnMap: { customer_id: "id", balance: "accountBalance" },
  });
  assert.deepEqual(merged.sqlBefore, ["SET statement_timeout = 0"]);
  assert.deepEqual(merged.sqlAfter, ["ANALYZE", "SELECT 1"]);
});

Deno.test("several targets, a watermark, parameters", async () => {
  const [spec] = await assertSame(
    tomlBatch(`${EVENTS}
[[pipeline]]
name = "fan_out"
schedule = "*/5 * * * *"
source_connection = { kind = "duckdb", path = "raw.duckdb" }
incremental_column = "received_at"
continue_on_failure = true
targets = [
  { table = "events", mode = "append" },
  { table = { name = "archive" }, mode = "incremental", keys = ["event_id"], overlap_seconds = 60, connection = { url = "postgres://a@b/c" } },
]
source = "SELECT * FROM raw.events WHERE received_at > $watermark AND kind = $eventKind AND n > $min_n"
parameters = { eventKind = "click", min_n = 5 }
`),
    moduleBatch(() => {
      pipeline("fan_out", {
        schedule: "*/5 * * * *",
        sourceConnection: duckdb({ path: "raw.duckdb" }),
        incrementalColumn: "received_at",
        continueOnFailure: true,
        targets: [
          target(events(), { mode: "append" }),
          target(table("archive"), {
            mode: "incremental",
            incrementalColumn: "received_at",
            keys: ["event_id"],
            overlapSeconds: 60,
            connection: postgres({ url: "postgres://a@b/c" }),
          }),
        ],
        source:
          "SELECT * FROM raw.events WHERE received_at > $watermark AND kind = $eventKind AND n > $min_n",
        parameters: { eventKind: "click", min_n: 5 },
      });
    }),
  );
  assert.deepEqual(spec?.parameters, { eventKind: "click", min_n: 5 });
  assert.equal(spec.sourceConnection.kind, "duckdb");
  assert.equal(spec.sourceConnection.name, undefined);
  assert.deepEqual(spec.targets.map(({ mode, incrementalColumn }) => [mode, incrementalColumn]), [
    ["append", "received_at"],
    ["incremental", "received_at"],
  ]);
});

Deno.test("what a template holds becomes parameters", async () => {
  const since = new Date("2026-01-01T00:00:00Z");
  const definitions = await moduleBatch(() => {
    pipeline("p", {
      target: table("t"),
      mode: "truncate",
      source:
        sql`SELECT '$no' FROM t WHERE a > ${since} AND b = ${"x'; --"} AND c = $value1 AND d IS ${null}`,
      parameters: { value1: 3n },
    });
  });
  const { source, parameters } = await definitions.batch();
  assert.deepEqual(source, {
    by: "query",
    sql:
      "SELECT '$no' FROM t WHERE a > $value_1 AND b = $value_2 AND c = $value1 AND d IS $value_3",
  });
  assert.deepEqual(parameters, {
    value_1: "2026-01-01T00:00:00.000Z",
    value_2: "x'; --",
    value_3: null,
    value1: 3n,
  });
});

Deno.test("a TOML date is given to the query as text", async () => {
  const definitions = await tomlBatch(`
[[pipeline]]
name = "p"
target = { name = "t" }
source = "SELECT * FROM t WHERE day = $day AND at > $at"
parameters = { day = 2026-01-02, at = 2026-01-02T03:04:05Z }
`);
  const { parameters } = await definitions.batch("p");
  assert.deepEqual(parameters, { day: "2026-01-02", at: "2026-01-02T03:04:05.000Z" });
});

Deno.test("a connection of the file yields to one of the environment", async () => {
  const text = `
[connections.default]
kind = "duckdb"
path = "x.duckdb"

[[pipeline]]
name = "p"
target = { name = "t" }
source = "SELECT 1 AS a"
`;
  const kindWith = async (content: typeof DEFAULT_ENV) =>
    (await (await tomlBatch(text, content)).batch()).sourceConnection.kind;
  assert.equal(await kindWith({}), "duckdb");
  assert.equal(await kindWith(DEFAULT_ENV), "postgres");
});
