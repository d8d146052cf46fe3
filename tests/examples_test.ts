/**
 * Runs every example as a user would, in a copy of its folder, and looks at all rows that it wrote: with the compiled program where
 * FLOW_TEST_BINARY names one, else from source. Examples that need a service are skipped without it.
 */
import assert from "node:assert/strict";
import pg from "pg";
import { KafkaRig } from "../src/connectors/kafka/test_rig.ts";
import { flow, type Program, PROGRAMS } from "./cli/flow_program.ts";
import { copyFolder, duckdbRows, type Row, sqliteRows } from "./example_copy.ts";

const EXAMPLES = new URL("../examples/", import.meta.url).pathname;
const KAFKA_BROKERS = Deno.env.get("FLOW_TEST_KAFKA_BROKERS");
const POSTGRES_URL = Deno.env.get("FLOW_TEST_POSTGRES_URL");

/** The binary where there is one: the same definitions, and what users have. */
const PROGRAM = PROGRAMS.at(-1) as Program;

/** The two spellings of a pipeline. */
const BOTH: readonly (readonly string[])[] = [
  ["pipeline.toml"],
  ["--module", "pipelines.ts"],
];

/** A copy of an example's folder, in which its names on shared services are this test's own. */
interface Copy {
  readonly folder: string;
  /** Stands for `flow_example` in names of tables. */
  readonly prefix: string;
  /** Runs `flow consume … --until-end` there and gives what it printed as JSON. */
  consume(...args: readonly string[]): Promise<Row>;
}

let copies = 0;

async function inCopy(example: string, work: (copy: Copy) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "flow-example-" });
  const own = `ex${Deno.pid}_${Date.now()}_${copies += 1}`;
  try {
    await copyFolder(
      `${EXAMPLES}${example}`,
      folder,
      (text) => text.replaceAll("flow-example-", `${own}-`).replaceAll("flow_example_", `${own}_`),
    );
    const env = {
      KAFKA_BROKERS: KAFKA_BROKERS ?? "",
      WAREHOUSE_DSN: POSTGRES_URL ?? "",
    };
    await work({
      folder,
      prefix: own,
      async consume(...args) {
        const words = ["consume", ...args, "--until-end", "--format", "json"];
        const { code, stdout, stderr } = await flow(PROGRAM, words, { cwd: folder, env });
        assert.equal(code, 0, stderr);
        return JSON.parse(stdout) as Row;
      },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function postgresRows(sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: POSTGRES_URL });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function deleteTopics(prefix: string): Promise<void> {
  await using rig = await KafkaRig.create();
  await rig.admin(async (admin) => {
    const topics = (await admin.listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) await admin.deleteTopics({ topics });
  });
}

function example(
  name: string,
  needs: readonly (string | undefined)[],
  work: (args: readonly string[], copy: Copy) => Promise<void>,
): void {
  for (const args of BOTH) {
    Deno.test({
      name: `example ${name} (${PROGRAM.name}, ${args.at(-1)})`,
      ignore: needs.includes(undefined),
      fn: () => inCopy(name, (copy) => work(args, copy)),
    });
  }
}

example("kafka-to-postgres", [KAFKA_BROKERS, POSTGRES_URL], async (args, copy) => {
  const table = `public.${copy.prefix}_orders`;
  try {
    assert.equal((await copy.consume("feed.toml"))["rows_written"], 4);
    assert.equal((await copy.consume(...args))["rows_written"], 3);
    // What was committed is not read again.
    assert.equal((await copy.consume(...args))["rows_consumed"], 0);
    const rows = await postgresRows(
      `SELECT order_id, customer, amount, ordered_at AT TIME ZONE 'UTC' || '' AS ordered_at, items::text,
         pg_typeof(items)::text AS type, _partition, _offset FROM ${table} ORDER BY order_id`,
    );
    const common = { type: "jsonb", _partition: 0 };
    assert.deepEqual(rows, [
      {
        ...common,
        order_id: "1",
        customer: "Ada",
        amount: "19.99",
        ordered_at: "2026-01-05 09:30:00",
        items: '[{"sku": "A-1", "count": 2}]',
        _offset: "0",
      },
      {
        ...common,
        order_id: "2",
        customer: "Björn",
        amount: "5.00",
        ordered_at: "2026-01-05 08:00:00",
        items: "[]",
        _offset: "1",
      },
      {
        ...common,
        order_id: "9007199254740993",
        customer: "東京",
        amount: "1250.50",
        ordered_at: "2026-01-06 00:00:00",
        items: '[{"sku": "A-1", "count": 1}, {"sku": "C-3", "count": 4}]',
        _offset: "3",
      },
    ]);
  } finally {
    await postgresRows(`DROP TABLE IF EXISTS ${table}`);
    await postgresRows(
      `DELETE FROM _ematix_offsets WHERE pipeline_id LIKE '${copy.prefix}-%'`,
    );
    await deleteTopics(copy.prefix);
  }
});

example("kafka-to-duckdb-merge", [KAFKA_BROKERS], async (args, copy) => {
  try {
    await copy.consume("feed.toml");
    assert.equal((await copy.consume(...args))["rows_consumed"], 6);
    const rows = await duckdbRows(
      `${copy.folder}/customers.duckdb`,
      "SELECT * FROM customers ORDER BY id",
    );
    assert.deepEqual(rows, [
      { id: "1", name: "Ada L.", city: "Paris", version: "3" },
      { id: "2", name: "Grace", city: "Arlington", version: "2" },
      { id: "3", name: "Edsger", city: "Rotterdam", version: "1" },
    ]);
  } finally {
    await deleteTopics(copy.prefix);
  }
});

example("kafka-to-kafka", [KAFKA_BROKERS], async (args, copy) => {
  try {
    await copy.consume("feed.toml");
    assert.equal((await copy.consume(...args))["rows_written"], 2);
    await using rig = await KafkaRig.create();
    const source = await rig.open(`${copy.prefix}-slow-clicks`, { group_id: rig.newName() }, {
      wantedMetadata: new Set(["_key"]),
    });
    const { rows } = await rig.readAll(source);
    assert.deepEqual(rows.map(({ _key, _payload }) => [_key, JSON.parse(_payload ?? "null")]), [
      ["grace", { user: "grace", page: "/cart", seconds: 4.5 }],
      ["ada", { user: "ada", page: "/pay", seconds: 3.2 }],
    ]);
  } finally {
    await deleteTopics(copy.prefix);
  }
});

for (const way of ["toml", "module"] as const) {
  Deno.test(`example files-to-sqlite (${PROGRAM.name}, ${way})`, () =>
    inCopy("files-to-sqlite", async ({ folder, consume }) => {
      const run = (name: string) =>
        way === "toml"
          ? consume(`${name}.toml`)
          : consume("--module", "pipelines.ts", `${name}-to-sqlite`);
      await run("events");
      await run("products");
      const events = "SELECT id, kind, user, at, price FROM events ORDER BY id";
      assert.deepEqual(sqliteRows(`${folder}/shop.db`, events), [
        { id: 1, kind: "login", user: "ada", at: "2026-02-01T08:00:00.000000Z", price: null },
        {
          id: 2,
          kind: "purchase",
          user: "grace",
          at: "2026-02-01T08:05:00.000000Z",
          price: "12.50",
        },
        { id: 3, kind: "login", user: "edsger", at: "2026-02-01T09:00:00.000000Z", price: null },
        { id: 4, kind: "purchase", user: "ada", at: "2026-02-01T09:30:00.000000Z", price: "99.99" },
      ]);
      assert.deepEqual(sqliteRows(`${folder}/shop.db`, "SELECT * FROM products ORDER BY sku"), [
        { sku: "A-1", name: "Widget, small", price: 2.5, in_stock: 1 },
        { sku: "B-7", name: 'Gadget "Pro"', price: 19.99, in_stock: 0 },
        { sku: "C-3", name: null, price: 0.1, in_stock: 1 },
      ]);
      // A file that comes later, and no row of the others again.
      const line = '{"id": 5, "kind": "logout", "user": "ada", "at": "2026-02-01T10:00:00Z"}\n';
      await Deno.writeTextFile(`${folder}/data/events-3.jsonl`, line);
      assert.equal((await run("events"))["rows_written"], 1);
      assert.deepEqual(sqliteRows(`${folder}/shop.db`, "SELECT count(*) AS n FROM events"), [
        { n: 5 },
      ]);
    }));
}

example("fan-in", [], async (args, copy) => {
  assert.equal((await copy.consume(...args))["rows_written"], 4);
  const rows = await duckdbRows(
    `${copy.folder}/customers.duckdb`,
    "SELECT customer, page, amount, seen_at::VARCHAR AS seen_at FROM activity ORDER BY seen_at",
  );
  assert.deepEqual(rows, [
    { customer: "ada", page: "/home", amount: null, seen_at: "2026-03-01 10:00:00+00" },
    { customer: "grace", page: "/cart", amount: null, seen_at: "2026-03-01 10:01:00+00" },
    { customer: "ada", page: null, amount: "20.00", seen_at: "2026-03-01 12:00:00+00" },
    { customer: "edsger", page: null, amount: "7.25", seen_at: "2026-03-01 12:30:00+00" },
  ]);
});

example("fan-out", [], async (args, copy) => {
  await copy.consume(...args);
  const all = await duckdbRows(
    `${copy.folder}/measurements.duckdb`,
    "SELECT sensor, day::VARCHAR AS day, value::VARCHAR AS value FROM measurements ORDER BY day, sensor",
  );
  assert.deepEqual(all, [
    { sensor: "a", day: "2026-04-01", value: "1.5" },
    { sensor: "b", day: "2026-04-01", value: "-0.0" },
    { sensor: "a", day: "2026-04-02", value: "2.25" },
  ]);
  const latest = "SELECT sensor, day, value FROM latest ORDER BY sensor";
  assert.deepEqual(sqliteRows(`${copy.folder}/latest.db`, latest), [
    { sensor: "a", day: "2026-04-02", value: 2.25 },
    // SQLite keeps no negative zero.
    { sensor: "b", day: "2026-04-01", value: 0 },
  ]);
  const archive = await duckdbRows(
    ":memory:",
    `SELECT sensor, day::VARCHAR AS day, value::VARCHAR AS value
     FROM read_json('${copy.folder}/archive/*/*.jsonl', hive_partitioning = true) ORDER BY day, sensor`,
  );
  assert.deepEqual(archive, all);
});

/** Stage, position, and the beginning of the reason of every dead letter of the example. */
const LETTERS = [
  ["decode", 1, /^not JSON/, '{"id": 2, "amount": "20.00", "currency": '],
  ["decode", 2, /id/, '{"id": "three", "amount": "30.00", "currency": "EUR"}'],
  ["transform", 3, /forty/, '{"id": 4, "amount": "forty", "currency": "EUR"}'],
] as const;

function assertLetters(letters: readonly Row[]): void {
  assert.deepEqual(
    letters.map(({ stage, offset, payload }) => [stage, offset, payload]),
    LETTERS.map(([stage, offset, _error, payload]) => [stage, offset, payload]),
  );
  letters.forEach((letter, at) => assert.match(String(letter["error"]), LETTERS[at]?.[2] ?? /^$/));
}

const PAYMENTS = [
  { id: 1, amount: "10.00", currency: "EUR" },
  { id: 5, amount: "50.00", currency: "EUR" },
  { id: 6, amount: "60.00", currency: null },
];

example("dead-letters", [], async (args, copy) => {
  const result = await copy.consume(...args);
  assert.equal(result["rows_written"], 3);
  assert.equal(result["rows_dead_lettered"], 3);
  const payments = sqliteRows(`${copy.folder}/payments.db`, "SELECT * FROM payments ORDER BY id");
  assert.deepEqual(payments, PAYMENTS);
  const lines = (await Deno.readTextFile(`${copy.folder}/bad-payments.jsonl`)).trim().split("\n");
  const letters = lines.map((line) => JSON.parse(line) as Row);
  assertLetters(letters.toSorted((a, b) => Number(a["offset"]) - Number(b["offset"])));
});

Deno.test(`example dead-letters (${PROGRAM.name}, table.toml)`, () =>
  inCopy("dead-letters", async (copy) => {
    await copy.consume("table.toml");
    const payments = sqliteRows(`${copy.folder}/payments.db`, "SELECT * FROM payments ORDER BY id");
    assert.deepEqual(payments, PAYMENTS);
    assertLetters(sqliteRows(
      `${copy.folder}/payments.db`,
      `SELECT stage, error, source_offset AS offset, CAST(payload AS TEXT) AS payload
       FROM ematix_dlq_records ORDER BY source_offset`,
    ));
  }));

example("datagen-to-parquet", [], async (args, copy) => {
  await copy.consume(...args);
  const rows = await duckdbRows(
    ":memory:",
    `SELECT count(*) AS n, min(order_id) AS first, max(order_id) AS last, count(DISTINCT order_id) AS ids,
       min(amount) >= 1 AND max(amount) <= 500 AS in_range, list_sort(list(DISTINCT status)) AS statuses,
       max(ordered_at)::VARCHAR AS newest, any_value(typeof(amount)) AS amount_type
     FROM read_parquet('${copy.folder}/lake/orders/*/*.parquet', hive_partitioning = true)`,
  );
  assert.deepEqual(rows, [{
    n: "1000",
    first: "1",
    last: "1000",
    ids: "1000",
    in_range: true,
    statuses: ["new", "paid", "sent"],
    newest: "2026-01-01 16:39:00+00",
    amount_type: "DECIMAL(18,2)",
  }]);
});

Deno.test("every example has a test", async () => {
  const tested = [
    "datagen-to-parquet",
    "dead-letters",
    "fan-in",
    "fan-out",
    "files-to-sqlite",
    "kafka-to-duckdb-merge",
    "kafka-to-kafka",
    "kafka-to-postgres",
  ];
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(EXAMPLES)) {
    // The demo and the declared pipelines have tests of their own.
    if (isDirectory && name !== "demo" && name !== "declared") folders.push(name);
  }
  assert.deepEqual(folders.sort(), tested);
});
