/**
 * Runs the examples of declared pipelines as a user would, each in both spellings: first run, a change in the source, second run, and by schedule at given times. All
 * rows are looked at. With the compiled program where FLOW_TEST_BINARY names one, else from source.
 */
import assert from "node:assert/strict";
import pg from "pg";
import { newPlace } from "./batch/rig.ts";
import { type Ended, flow, type Program, PROGRAMS } from "./cli/flow_program.ts";
import { copyFolder, duckdbRows, type Row, sqliteRows } from "./example_copy.ts";

const EXAMPLES = new URL("../examples/declared/", import.meta.url).pathname;
const HAS_POSTGRES = Deno.env.get("FLOW_TEST_POSTGRES_URL") !== undefined;
const PROGRAM = PROGRAMS.at(-1) as Program;
const BOTH: readonly (readonly string[])[] = [["pipelines.toml"], ["--module", "pipelines.ts"]];

/** Today, so that what succeeds now is fresh at the times that are asked about. */
const TODAY = new Date().toISOString().slice(0, 10);
const TOMORROW = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);

/** A copy of an example with databases of its own. */
interface Trial {
  readonly folder: string;
  /** Runs a command with the run log `runs.db`. */
  command(...words: readonly string[]): Promise<Ended>;
  /** Runs one pipeline, and gives its line of JSON. */
  run(pipeline: string): Promise<Row>;
  /** `flow run-due` at this time. */
  runDue(now: string, code?: number): Promise<Due>;
  /** SQL, or a file of the example by name, on the database of WAREHOUSE_DSN or RAW_DSN. */
  warehouse(sql: string): Promise<Row[]>;
  raw(sql: string): Promise<Row[]>;
}

interface Due {
  readonly ran: readonly Row[];
  readonly failed: readonly Row[];
  readonly skipped: readonly Row[];
}

function example(name: string, needs: "postgres" | "nothing", work: (t: Trial) => Promise<void>) {
  for (const definition of BOTH) {
    Deno.test({
      name: `example declared/${name} (${PROGRAM.name}, ${definition.at(-1)})`,
      ignore: needs === "postgres" && !HAS_POSTGRES,
      fn: () => inTrial(name, definition, needs === "postgres", work),
    });
  }
}

async function inTrial(
  name: string,
  definition: readonly string[],
  hasServer: boolean,
  work: (t: Trial) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "flow-example-" });
  const places = hasServer
    ? [await newPlace("postgres", folder), await newPlace("postgres", folder)]
    : [];
  try {
    await copyFolder(`${EXAMPLES}${name}`, folder);
    const [warehouse = "", raw = ""] = places.map(({ options }) => options["url"] ?? "");
    const env = { WAREHOUSE_DSN: warehouse, RAW_DSN: raw };
    const command = (...words: readonly string[]) =>
      flow(PROGRAM, [...words, "--run-log", "runs.db"], { cwd: folder, env });
    const json = async <T>(code: number, words: readonly string[]): Promise<T> => {
      const ended = await command(...words, ...definition);
      assert.equal(ended.code, code, ended.stderr);
      return JSON.parse(ended.stdout) as T;
    };
    await work({
      folder,
      command: (...words) => command(...words, ...definition),
      run: (pipeline) => json<Row>(0, ["run", pipeline, "--format", "json"]),
      runDue: (now, code = 0) => json<Due>(code, ["run-due", "--now", now]),
      warehouse: (sql) => postgresRows(warehouse, folder, sql),
      raw: (sql) => postgresRows(raw, folder, sql),
    });
  } finally {
    for (const place of places) await place.remove();
    await Deno.remove(folder, { recursive: true });
  }
}

async function postgresRows(url: string, folder: string, sql: string): Promise<Row[]> {
  const text = sql.endsWith(".sql") ? await Deno.readTextFile(`${folder}/${sql}`) : sql;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("SET TimeZone = 'UTC'");
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

const names = (runs: readonly Row[]) => runs.map(({ _pipeline: name }) => name);

example("events", "postgres", async (t) => {
  const events = () =>
    t.warehouse(
      "SELECT event_id::int, name, received_at::text FROM flow_example_analytics.events ORDER BY 1",
    );
  const days = () =>
    t.warehouse(
      "SELECT day::text, n::int FROM flow_example_analytics.daily_rollups ORDER BY 1",
    );
  // There is nothing to read yet: the first fails, and the second waits for it.
  const early = await t.runDue(`${TODAY}T02:00:00Z`, 10);
  assert.deepEqual(early.ran, []);
  assert.deepEqual(
    early.failed.map(({ pipeline, error_type }) => [pipeline, error_type]),
    [["ingest_events", "query_invalid"]],
  );
  const reason = "upstream not fresh: ingest_events";
  assert.deepEqual(early.skipped, [{ pipeline: "daily_rollups", reason }]);
  const status = JSON.parse((await t.command("status", "--format", "json")).stdout) as Row[];
  assert.deepEqual(
    status.map((
      { name, schedule, depends_on, waiting_on, last_run },
    ) => [name, schedule, depends_on, waiting_on, (last_run as unknown[] | null)?.[1] ?? null]),
    [
      ["ingest_events", "*/5 * * * *", [], [], false],
      ["daily_rollups", "0 2 * * *", ["ingest_events"], ["ingest_events"], null],
    ],
  );
  assert.match(
    (await t.command("status")).stdout,
    /^daily_rollups +0 2 \* \* \* +never +- +no retry +\S+Z +ingest_events +ingest_events$/m,
  );
  const listSkips = ["runs", "list", "--status", "skipped", "--format", "json"];
  const skips = await flow(PROGRAM, [...listSkips, "--run-log", "runs.db"], { cwd: t.folder });
  assert.deepEqual(
    (JSON.parse(skips.stdout) as Row[]).map(({ pipeline, status, reason, scheduled_for }) => [
      pipeline,
      status,
      reason,
      scheduled_for,
    ]),
    [["daily_rollups", "skipped", reason, `${TODAY}T02:00:00.000Z`]],
  );

  await t.warehouse("source.sql");
  const first = await t.runDue(`${TODAY}T02:05:00Z`);
  assert.deepEqual(names(first.ran), ["ingest_events", "daily_rollups"]);
  assert.deepEqual(first.ran.map(({ scheduled_for: time }) => time), [
    `${TODAY}T02:05:00.000Z`,
    // The one that was skipped.
    `${TODAY}T02:00:00.000Z`,
  ]);
  const three = [
    { event_id: 1, name: "login", received_at: "2026-01-05 09:30:00+00" },
    { event_id: 2, name: null, received_at: "2026-01-05 23:59:59.999999+00" },
    { event_id: 3, name: "logout", received_at: "2026-01-06 00:00:00+00" },
  ];
  assert.deepEqual(await events(), three);
  const before = [{ day: "2026-01-05", n: 2 }, { day: "2026-01-06", n: 1 }];
  assert.deepEqual(await days(), before);

  await t.warehouse("change.sql");
  const second = await t.runDue(`${TODAY}T02:10:00Z`);
  assert.deepEqual(second.ran.map((run) => [run["_pipeline"], run["rows_inserted"]]), [
    ["ingest_events", 2],
  ]);
  const five = [
    ...three,
    { event_id: 4, name: "login", received_at: "2026-01-06 08:00:00+00" },
    { event_id: 5, name: "purchase", received_at: "2026-01-07 10:15:00.5+00" },
  ];
  assert.deepEqual(await events(), five);
  assert.deepEqual(await days(), before);
  assert.deepEqual(await t.runDue(`${TODAY}T02:10:00Z`), { ran: [], failed: [], skipped: [] });

  const nextDay = await t.runDue(`${TOMORROW}T02:00:00Z`);
  assert.deepEqual(
    nextDay.ran.map((run) => [
      run["_pipeline"],
      run["rows_inserted"],
      run["rows_updated"],
      run["rows_unchanged"],
    ]),
    [["ingest_events", 0, undefined, undefined], ["daily_rollups", 1, 1, 1]],
  );
  assert.deepEqual(await events(), five);
  assert.deepEqual(await days(), [
    { day: "2026-01-05", n: 2 },
    { day: "2026-01-06", n: 2 },
    { day: "2026-01-07", n: 1 },
  ]);
});

example("customer-versions", "postgres", async (t) => {
  await t.warehouse("source.sql");
  const times = async () =>
    new Map(
      (await t.warehouse("SELECT customer_id::int, updated_at FROM flow_example_raw.customers"))
        .map(({ customer_id: id, updated_at: time }) => [id, String(time)]),
    );
  const versions = () =>
    t.warehouse(
      `SELECT customer_id::int AS id, email, name, to_char(valid_from, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "from",
         to_char(valid_to, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "to", is_current, updated_at = valid_from AS is_own
       FROM flow_example_analytics.customer_dim ORDER BY id, valid_from`,
    );
  const first = await times();
  const edsger = {
    id: 3,
    email: null,
    name: "Edsger",
    from: first.get(3),
    to: daysLater(String(first.get(3)), 30),
    is_current: false,
    is_own: true,
  };
  const current = { to: null, is_current: true, is_own: true };
  const ada = { id: 1, email: "ada@example.com", name: "Ada", from: first.get(1), ...current };
  const grace = {
    id: 2,
    email: "grace@example.com",
    name: "Grace",
    from: first.get(2),
    ...current,
  };
  const run = await t.run("sync_customers");
  assert.deepEqual([run["mode"], run["path"], run["rows_inserted"]], ["scd2", "same_db", 3]);
  assert.deepEqual(await versions(), [ada, grace, edsger]);

  await t.warehouse("change.sql");
  const second = await times();
  const { ran: [again] } = await t.runDue(`${TODAY}T03:00:30Z`);
  assert.deepEqual([again?.["rows_inserted"], again?.["rows_closed"]], [1, 1]);
  const after = [
    { ...ada, to: second.get(1), is_current: false },
    { ...ada, name: "Ada Lovelace", from: second.get(1) },
    grace,
    edsger,
  ];
  assert.deepEqual(await versions(), after);
  const { ran: [third] } = await t.runDue(`${TODAY}T04:00:00Z`);
  assert.deepEqual([third?.["rows_inserted"], third?.["rows_closed"]], [0, 0]);
  assert.deepEqual(await versions(), after);
});

function daysLater(time: string, days: number): string {
  return new Date(Date.parse(time) + days * 86_400_000).toISOString().replace(".000", "");
}

example("two-databases", "postgres", async (t) => {
  await t.raw("source.sql");
  const customers = () =>
    t.warehouse(
      "SELECT customer_id::int AS id, email, name, updated_at::text FROM flow_example_analytics.customer_dim ORDER BY 1",
    );
  const list = "event_id::int AS id, name, received_at::text AS at FROM";
  const archived = async () => (await duckdbRows(
    `${t.folder}/archive.duckdb`,
    `SELECT ${list} events ORDER BY 1`,
  ));
  const events = () => t.warehouse(`SELECT ${list} flow_example_analytics.events ORDER BY 1`);

  const synced = await t.run("sync_customers");
  assert.deepEqual([synced["path"], synced["rows_inserted"]], ["cross_db", 2]);
  const ada = {
    id: 1,
    email: "ada@example.com",
    name: "Ada",
    updated_at: "2026-01-05 08:30:00+00",
  };
  const grace = { id: 2, email: "grace@example.com", name: "Grace" };
  assert.deepEqual(await customers(), [ada, { ...grace, updated_at: "2026-01-05 08:00:00+00" }]);

  const fanned = await t.run("fan_out");
  assert.deepEqual(
    (fanned["targets"] as Row[]).map(({ target, mode, path, rows_inserted }) => [
      target,
      mode,
      path,
      rows_inserted,
    ]),
    [
      ["flow_example_analytics.events", "append", "cross_db", 2],
      ["events", "append", "cross_db", 2],
    ],
  );
  const two = [
    { id: 1, name: "login", at: "2026-01-05 09:30:00+00" },
    { id: 2, name: null, at: "2026-01-05 10:00:00.123456+00" },
  ];
  assert.deepEqual(await events(), two);
  assert.deepEqual(await archived(), two);

  await t.raw("change.sql");
  const { ran } = await t.runDue(`${TODAY}T05:00:10Z`);
  assert.deepEqual(names(ran), ["sync_customers", "fan_out"]);
  assert.deepEqual(
    [ran[0]?.["rows_inserted"], ran[0]?.["rows_updated"], ran[0]?.["rows_unchanged"]],
    [1, 1, 1],
  );
  assert.deepEqual(await customers(), [
    ada,
    { ...grace, name: "Grace Hopper", updated_at: "2026-01-06 08:00:00+00" },
    { id: 3, email: null, name: "Edsger", updated_at: "2026-01-06 08:30:00+00" },
  ]);
  const three = [...two, { id: 3, name: "logout", at: "2026-01-06 08:00:00+00" }];
  assert.deepEqual(await events(), three);
  assert.deepEqual(await archived(), three);
});

example("prices-sqlite", "nothing", async (t) => {
  const feed = async (rows: number) => {
    const args = ["consume", "feed.toml", "--until-end", "--format", "json"];
    const { code, stdout, stderr } = await flow(PROGRAM, args, { cwd: t.folder });
    assert.equal(code, 0, stderr);
    assert.equal((JSON.parse(stdout) as Row)["rows_written"], rows);
  };
  const current = () =>
    sqliteRows(`${t.folder}/shop.db`, "SELECT sku, price FROM current_prices ORDER BY sku");
  const history = () =>
    sqliteRows(
      `${t.folder}/shop.db`,
      "SELECT sku, price, valid_from, valid_to, is_current FROM price_history ORDER BY sku, valid_from",
    ).map((row) => Object.values(row));
  await feed(2);
  assert.equal((await t.run("current_prices"))["rows_inserted"], 2);
  assert.equal((await t.run("price_history"))["rows_inserted"], 2);
  assert.deepEqual(current(), [{ sku: "A-1", price: "2.50" }, { sku: "B-7", price: "19.99" }]);
  const [march1, march2] = ["2026-03-01T08:00:00.000000Z", "2026-03-02T09:30:00.000000Z"];
  assert.deepEqual(history(), [
    ["A-1", "2.50", march1, null, 1],
    ["B-7", "19.99", march1, null, 1],
  ]);

  await Deno.rename(`${t.folder}/later/prices-2.csv`, `${t.folder}/data/prices-2.csv`);
  await feed(2);
  const { ran } = await t.runDue(`${TODAY}T06:00:00Z`);
  assert.deepEqual(
    ran.map((run) => [run["_pipeline"], run["rows_inserted"]]),
    [["current_prices", 1], ["price_history", 2]],
  );
  assert.deepEqual(current(), [
    { sku: "A-1", price: "2.75" },
    { sku: "B-7", price: "19.99" },
    { sku: "C-3", price: "0.10" },
  ]);
  assert.deepEqual(history(), [
    ["A-1", "2.50", march1, march2, 0],
    ["A-1", "2.75", march2, null, 1],
    ["B-7", "19.99", march1, null, 1],
    ["C-3", "0.10", march2, null, 1],
  ]);
  const list = ["runs", "list", "--run-log", "runs.db"];
  const { stdout: runs } = await flow(PROGRAM, list, { cwd: t.folder });
  assert.equal(runs.match(/ success /g)?.length, 4);
  const query = "SELECT count(*) AS n FROM price_history WHERE is_current";
  const sql = ["sql", query, "pipelines.toml", "--connection", "default", "--format", "json"];
  const { stdout } = await flow(PROGRAM, sql, { cwd: t.folder });
  assert.equal(stdout, '{"n":3}\n');
});

Deno.test("every declared example has a test", async () => {
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(EXAMPLES)) {
    if (isDirectory) folders.push(name);
  }
  assert.deepEqual(folders.sort(), [
    "customer-versions",
    "events",
    "prices-sqlite",
    "two-databases",
  ]);
});
