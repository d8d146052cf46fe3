import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { RUN_COLUMNS, runValues } from "../../src/connectors/_sql/run_log_rows.ts";
import { connectors } from "../../src/connectors/mod.ts";
import type { RunLog } from "../../src/core/run_log.ts";
import { MemoryRunLog } from "../../src/ops/memory_run_log.ts";
import { parseRunLogUrl } from "../../src/ops/run_log_location.ts";
import { POSTGRES_URL } from "./database_fixtures.ts";
import { runLogSuite } from "./run_log_suite.ts";

function handleOf(url: string, readOnly = false): RunLog {
  const location = parseRunLogUrl(url);
  assert.ok(location !== "memory");
  const runLog = connectors.find(({ kind }) => kind === location.kind)
    ?.openRunLog?.(location, { readOnly });
  assert.ok(runLog !== undefined);
  return runLog;
}

const signal = () => new AbortController().signal;

runLogSuite({
  name: "memory",
  make: () =>
    Promise.resolve({
      handle: () => new MemoryRunLog(),
      durable: false,
      close: () => Promise.resolve(),
    }),
});

runLogSuite({
  name: "sqlite",
  async make() {
    const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
    return {
      handle: () => handleOf(`sqlite://${folder}/deep/run_log.db`),
      durable: true,
      // One by one, each of them waits for the disk.
      fill(records) {
        const database = new DatabaseSync(`${folder}/deep/run_log.db`);
        const places = RUN_COLUMNS.map(() => "?").join(", ");
        const insert = database.prepare(
          `INSERT INTO run_records (${RUN_COLUMNS.join(", ")}) VALUES (${places})`,
        );
        database.exec("BEGIN");
        for (const record of records) insert.run(...runValues(record));
        database.exec("COMMIT");
        database.close();
      },
      close: () => Deno.remove(folder, { recursive: true }),
    };
  },
});

/** A database of its own: the run log's schema has one name. */
async function postgresDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `t_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
  const admin = async (sql: string) => {
    const client = new pg.Client({ connectionString: POSTGRES_URL });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await admin(`CREATE DATABASE ${name}`);
  const url = new URL(POSTGRES_URL ?? "");
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => admin(`DROP DATABASE ${name} WITH (FORCE)`) };
}

runLogSuite({
  name: "postgres",
  ignore: POSTGRES_URL === undefined,
  async make() {
    const { url, drop } = await postgresDatabase();
    return { handle: () => handleOf(url), durable: true, close: drop };
  },
});

const loose = { sanitizeOps: false, sanitizeResources: false };

Deno.test("run log sqlite: a file of the older system is taken over", loose, async () => {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const path = `${folder}/run_log.db`;
  const old = new DatabaseSync(path);
  old.exec(
    `CREATE TABLE run_log (pipeline_name TEXT PRIMARY KEY, last_run_at TEXT NOT NULL, success INTEGER NOT NULL);
    CREATE TABLE attempt_state (pipeline_name TEXT PRIMARY KEY, attempt_count INTEGER NOT NULL,
      last_attempt_at TEXT, gave_up INTEGER NOT NULL);
    CREATE TABLE run_records (run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, status TEXT NOT NULL,
      started_at TEXT NOT NULL, finished_at TEXT, attempt INTEGER NOT NULL, failed_step TEXT, failed_watermark TEXT,
      error_summary TEXT, kind TEXT, extras_json TEXT);
    CREATE INDEX run_records_pipeline ON run_records (pipeline);
    INSERT INTO run_log VALUES ('orders', '2026-01-01T00:00:00Z', 1);
    INSERT INTO attempt_state VALUES ('users', 2, '2026-01-01T00:00:00Z', 1);
    INSERT INTO run_records VALUES ('orders-20260101T000000-1', 'orders', 'failed', '2026-01-01T00:00:00Z',
      '2026-01-01T00:00:05Z', 1, NULL, NULL, 'connection refused', 'pipeline', '{"rows": 3}');`,
  );
  old.close();
  const log = handleOf(path);
  await log.open(signal());
  const [run] = await log.list({ limit: 10 });
  assert.deepEqual(run, {
    runId: "orders-20260101T000000-1",
    pipeline: "orders",
    status: "failed",
    attempt: 1,
    startedAt: "2026-01-01T00:00:00.000Z",
    finishedAt: "2026-01-01T00:00:05.000Z",
    targets: [],
    error: {
      code: "run_failed",
      domain: "external",
      retryable: true,
      message: "connection refused",
    },
  });
  assert.deepEqual(await log.attemptState("users"), {
    attemptCount: 2,
    lastAttemptAt: "2026-01-01T00:00:00.000Z",
    gaveUp: true,
  });
  await log.finish({
    runId: "orders-20260501T120000-1",
    pipeline: "orders",
    status: "failed",
    attempt: 1,
    startedAt: "2026-05-01T12:00:00.000Z",
    finishedAt: "2026-05-01T12:00:01.250Z",
    targets: [],
  });
  await log.setAttemptState("users", undefined);
  await log.close();

  const readers = new DatabaseSync(path);
  assert.deepEqual(readers.prepare("SELECT * FROM run_log").all().map((row) => ({ ...row })), [
    { pipeline_name: "orders", last_run_at: "2026-05-01T12:00:01Z", success: 0 },
  ]);
  assert.deepEqual(readers.prepare("SELECT * FROM attempt_state").all(), []);
  readers.close();

  const again = handleOf(path, true);
  await again.open(signal());
  assert.equal((await again.list({ limit: 10 })).length, 2);
  await again.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("run log sqlite: what cannot be opened is told", loose, async () => {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  await Deno.writeTextFile(
    `${folder}/text.db`,
    "this is no database, whatever its name says. ".repeat(99),
  );
  await assert.rejects(handleOf(`${folder}/text.db`).open(signal()), {
    code: "run_log_unavailable",
    domain: "user",
    retryable: false,
  });
  await assert.rejects(handleOf(`${folder}/none.db`, true).open(signal()), (error: Error) => {
    assert.match(error.message, /none\.db.*there is no such file/);
    assert.equal((error.cause as { code?: string }).code, "run_log_missing");
    return true;
  });
  const newer = new DatabaseSync(`${folder}/newer.db`);
  newer.exec(
    "CREATE TABLE run_log_version (version INTEGER); INSERT INTO run_log_version VALUES (9)",
  );
  newer.close();
  await assert.rejects(handleOf(`${folder}/newer.db`).open(signal()), /version 9/);
  const noTables = `sqlite://${folder}/empty.db?create_tables=false`;
  await assert.rejects(handleOf(noTables).open(signal()), /run_log_version is missing/);
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "run log postgres: create_tables=false makes nothing, and works once somebody has",
  ignore: POSTGRES_URL === undefined,
  ...loose,
  async fn() {
    const { url, drop } = await postgresDatabase();
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const schemas = async () =>
      (await client.query("SELECT 1 FROM pg_namespace WHERE nspname = 'ematix_flow'")).rows.length;
    try {
      const careful = `${url}${url.includes("?") ? "&" : "?"}create_tables=false`;
      await assert.rejects(handleOf(careful).open(signal()), (error: Error) => {
        assert.equal((error as { code?: string }).code, "run_log_unavailable");
        assert.equal((error.cause as { code?: string }).code, "run_log_schema_missing");
        return true;
      });
      assert.equal(await schemas(), 0);
      const maker = handleOf(url);
      await maker.open(signal());
      await maker.close();
      assert.equal(await schemas(), 1);
      const log = handleOf(careful);
      await log.open(signal());
      assert.deepEqual(await log.list({ limit: 1 }), []);

      await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
      );
      // Whether the first question meets the lost connection or a new one is a matter of moments.
      await log.list({ limit: 1 }).catch(() => {});
      assert.deepEqual(await log.list({ limit: 1 }), [], "it has connected again");
      await log.close();
    } finally {
      await client.end();
      await drop();
    }
  },
});

Deno.test("run log postgres: no password in what is told", loose, async () => {
  const log = handleOf("postgres://flow:geheim77@127.0.0.1:1/flow_history?create_tables=false");
  await assert.rejects(log.open(signal()), (error: Error) => {
    assert.equal((error as { code?: string }).code, "run_log_unavailable");
    assert.match(error.message, /postgres:\/\/flow:\*\*\*@127\.0\.0\.1:1\/flow_history/);
    assert.doesNotMatch(Deno.inspect(error), /geheim77/);
    return true;
  });
});
