/**
 * Fields that change their type in mid-stream, from a real topic into a table that flow makes: its columns get wider in the transaction of
 * the rows that need it, and the process, stopped dead again and again, leaves every row once and every value as it was sent.
 */
import assert from "node:assert/strict";
import { createTopic, produce } from "../faults/feed.ts";
import { BINARY, BROKERS, consumeToEnd, POSTGRES_URL, required } from "../faults/flow_process.ts";
import { postgresTarget } from "../faults/targets.ts";

const EVENTS = 2400;
/** The events from which on a field has the other kind of value. */
const FRACTIONS_FROM = 700;
const TEXTS_FROM = 1300;
const LONG_FROM = 1900;
const STEPS = ["after_write", "before_commit", "after_commit"] as const;
const ROUNDS = 2;
const KILLED = 137;

Deno.test({
  name:
    "fields that change in mid-stream widen their columns in Postgres, also with kills in between",
  ignore: BINARY === undefined || BROKERS === undefined || POSTGRES_URL === undefined,
  fn: async () => {
    const brokers = required(BROKERS, "FLOW_TEST_KAFKA_BROKERS");
    const target = postgresTarget(required(POSTGRES_URL, "FLOW_TEST_POSTGRES_URL"));
    const directory = await Deno.makeTempDir({ prefix: "flow_changing_" });
    const id = `changing_${crypto.randomUUID().slice(0, 8)}`;
    try {
      await createTopic(brokers, id, 1);
      const events = Array.from({ length: EVENTS }, (_event, at) => ({ value: event(at) }));
      await produce(brokers, id, events);
      const toml = `${directory}/${id}.toml`;
      await Deno.writeTextFile(toml, definition(id, target.toml, brokers));
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const step of STEPS) {
          const { code } = await consumeToEnd(toml, [], { FLOW_FAILPOINT: `${step}:2` });
          assert.equal(code, KILLED, `stopped at ${step}`);
        }
      }
      const { code, stderr } = await consumeToEnd(toml);
      assert.equal(code, 0, stderr);
      await verify(target.query, id);
    } finally {
      await target.query(`DROP TABLE IF EXISTS ${id}`);
      await Deno.remove(directory, { recursive: true });
    }
  },
});

async function verify(query: (sql: string) => Promise<unknown[]>, id: string): Promise<void> {
  const types = await query(
    "SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute " +
      `WHERE attrelid = '${id}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname`,
  );
  assert.deepEqual(types, [
    { name: "amount", type: "double precision" },
    { name: "code", type: "text" },
    { name: "id", type: "bigint" },
    { name: "total", type: "numeric(38,0)" },
  ]);
  const rows = await query(`SELECT id::int, amount, code, total::text FROM ${id} ORDER BY id`);
  const expected = Array.from({ length: EVENTS }, (_event, at) => ({
    id: at,
    amount: at < FRACTIONS_FROM ? at : at + 0.5,
    code: at < TEXTS_FROM ? String(at) : `0${at}`,
    total: at < LONG_FROM ? String(at) : LONG + String(at),
  }));
  assert.deepEqual(rows, expected);
}

const LONG = "1234567890123456789";

function event(at: number): string {
  const amount = at < FRACTIONS_FROM ? at : at + 0.5;
  const code = at < TEXTS_FROM ? at : `"0${at}"`;
  const total = at < LONG_FROM ? at : LONG + String(at);
  return `{"id":${at},"amount":${amount},"code":${code},"total":${total}}`;
}

function definition(id: string, target: string, brokers: string): string {
  return `pipeline_name = "${id}"
source_query = "${id}"
max_batch_rows = 200

[source]
kind = "kafka"
bootstrap_servers = "${brokers}"
group_id = "${id}"
session_timeout_ms = 1500

[target]
${target}

[target.table]
name = "${id}"
`;
}
