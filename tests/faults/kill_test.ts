/**
 * The process is killed with SIGKILL again and again while a topic is fed without an end: no row may be lost and none doubled.
 * Every kill falls between the first write and the last commit, since the feed only stops after the last kill.
 */
import assert from "node:assert/strict";
import { createTopic, eventOf, Feed } from "./feed.ts";
import {
  BINARY,
  BROKERS,
  consumeToEnd,
  FlowProcess,
  POSTGRES_URL,
  required,
} from "./flow_process.ts";
import { duckdbTarget, type FaultTarget, postgresTarget, sqliteTarget } from "./targets.ts";

const KILLS = 30;
const PARTITIONS = 2;
const ROWS_PER_TICK = 20;
const TICK_MS = 10;
/** The test broker allows sessions shorter than a default one, so that a restart does not wait six seconds. */
const SESSION_TIMEOUT_MS = 1500;

type Mode = "append" | "merge";

for (const mode of ["append", "merge"] as const) {
  Deno.test({
    name:
      `${KILLS} kills each while Kafka is loaded into Postgres, DuckDB and SQLite: exactly once (${mode})`,
    ignore: BINARY === undefined || BROKERS === undefined || POSTGRES_URL === undefined,
    // The three run side by side: each waits most of the time for its group session to time out.
    fn: async () => {
      const directory = await Deno.makeTempDir({ prefix: "flow_kill_" });
      try {
        const targets = [
          postgresTarget(required(POSTGRES_URL, "FLOW_TEST_POSTGRES_URL")),
          duckdbTarget(directory),
          sqliteTarget(directory),
        ];
        const results = await Promise.allSettled(
          targets.map((target) => killAgainAndAgain(target, mode, directory)),
        );
        for (const result of results) if (result.status === "rejected") throw result.reason;
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

async function killAgainAndAgain(
  target: FaultTarget,
  mode: Mode,
  directory: string,
): Promise<void> {
  const brokers = required(BROKERS, "FLOW_TEST_KAFKA_BROKERS");
  const id = `kill_${target.name}_${mode}_${crypto.randomUUID().slice(0, 8)}`;
  const toml = `${directory}/${id}.toml`;
  await Deno.writeTextFile(toml, definition(id, target, mode, brokers));
  await target.prepare(tableStatements(target, id, mode));
  await createTopic(brokers, id, PARTITIONS);
  const feed = new Feed(brokers, id, PARTITIONS);
  await feed.start(ROWS_PER_TICK, TICK_MS);
  try {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const process = new FlowProcess(toml);
      await process.written(1);
      // Somewhere in the next batches: before, in and after a commit.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 250));
      await process.kill();
    }
  } finally {
    const events = await feed.stop();
    if (events > 0) await verify(target, id, mode, toml, events);
  }
}

async function verify(
  target: FaultTarget,
  id: string,
  mode: Mode,
  toml: string,
  events: number,
): Promise<void> {
  const { code, stderr } = await consumeToEnd(toml);
  assert.equal(code, 0, stderr);
  const table = tableName(target, id);
  if (mode === "append") {
    const [row] = await target.query(
      `SELECT count(*) AS n, count(DISTINCT id) AS d, min(id) AS low, max(id) AS high FROM ${table}`,
    );
    assert.deepEqual(
      [row?.["n"], row?.["d"], row?.["low"], row?.["high"]].map(Number),
      [events, events, 0, events - 1],
      `${target.name}: rows, distinct rows, lowest, highest`,
    );
    return;
  }
  const newest = new Map<number, number>();
  for (let event = 0; event < events; event += 1) {
    const { k, version } = eventOf(event);
    newest.set(k, version);
  }
  const rows = await target.query(`SELECT k, version FROM ${table} ORDER BY k`);
  assert.deepEqual(
    rows.map((row) => [Number(row["k"]), Number(row["version"])]),
    [...newest].sort(([a], [b]) => a - b),
    `${target.name}: newest version per key`,
  );
  if (target.name === "duckdb") return;
  // A batch that came twice would set a key back to an older version for a moment: the audit of a key would not rise strictly.
  const audit = await target.query(`SELECT k, version FROM ${auditName(id)} ORDER BY seq`);
  const last = new Map<number, number>();
  for (const entry of audit) {
    const k = Number(entry["k"]);
    const version = Number(entry["version"]);
    const before = last.get(k) ?? -1;
    assert.ok(
      version > before,
      `${target.name}: key ${k} went from version ${before} to ${version}`,
    );
    last.set(k, version);
  }
  assert.ok(audit.length >= newest.size);
}

function tableName(target: FaultTarget, id: string): string {
  return target.name === "postgres" ? `public.${id}` : id;
}

function auditName(id: string): string {
  return `${id}_audit`;
}

function tableStatements(target: FaultTarget, id: string, mode: Mode): string {
  const key = mode === "merge" ? " PRIMARY KEY" : "";
  const table = `CREATE TABLE ${id} (id BIGINT, k BIGINT${key}, version BIGINT);`;
  if (mode === "append" || target.name === "duckdb") return table;
  const audit = auditName(id);
  if (target.name === "sqlite") {
    const body = `BEGIN INSERT INTO ${audit} (k, version) VALUES (NEW.k, NEW.version); END;`;
    return `${table}
      CREATE TABLE ${audit} (seq INTEGER PRIMARY KEY AUTOINCREMENT, k BIGINT, version BIGINT);
      CREATE TRIGGER ${id}_ins AFTER INSERT ON ${id} ${body}
      CREATE TRIGGER ${id}_upd AFTER UPDATE ON ${id} ${body}`;
  }
  return `${table}
    CREATE TABLE ${audit} (seq BIGSERIAL PRIMARY KEY, k BIGINT, version BIGINT);
    CREATE FUNCTION ${id}_log() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO ${audit} (k, version) VALUES (NEW.k, NEW.version); RETURN NULL; END $$;
    CREATE TRIGGER ${id}_log AFTER INSERT OR UPDATE ON ${id} FOR EACH ROW EXECUTE FUNCTION ${id}_log();`;
}

function definition(id: string, target: FaultTarget, mode: Mode, brokers: string): string {
  return `pipeline_name = "${id}"
source_query = "${id}"
max_batch_wait_ms = 50

[source]
kind = "kafka"
bootstrap_servers = "${brokers}"
session_timeout_ms = ${SESSION_TIMEOUT_MS}

[target]
${target.toml}
mode = "${mode}"
${mode === "merge" ? 'keys = ["k"]' : ""}

[target.table]
name = "${id}"
`;
}
