/**
 * The process is stopped dead at each exact step of an epoch, several times in a row, and started again: whatever the step, the target
 * ends up with every row once.
 */
import assert from "node:assert/strict";
import { createTopic, eventOf, produce } from "./feed.ts";
import { BINARY, BROKERS, consumeToEnd, POSTGRES_URL, required } from "./flow_process.ts";
import { duckdbTarget, type FaultTarget, postgresTarget, sqliteTarget } from "./targets.ts";

const STEPS = [
  "source_batch_read",
  "before_begin",
  "after_write",
  "before_dead_letters",
  "after_dead_letters",
  "before_commit",
  "after_commit",
  "before_acknowledge",
  "after_acknowledge",
] as const;
const EVENTS = 4000;
const BAD_EVERY = 100;

Deno.test({
  name:
    "stopped dead at every step of an epoch, each target has every row once and its dead letters once",
  ignore: BINARY === undefined || BROKERS === undefined || POSTGRES_URL === undefined,
  fn: async () => {
    const brokers = required(BROKERS, "FLOW_TEST_KAFKA_BROKERS");
    const directory = await Deno.makeTempDir({ prefix: "flow_failpoint_" });
    const topic = `failpoint_${crypto.randomUUID().slice(0, 8)}`;
    try {
      await createTopic(brokers, topic, 2);
      await produce(
        brokers,
        topic,
        Array.from({ length: EVENTS }, (_v, id) => ({
          value: id % BAD_EVERY === 0 ? `{"id": ${id},` : JSON.stringify(eventOf(id)),
          partition: id % 2,
        })),
      );
      const targets = [
        postgresTarget(required(POSTGRES_URL, "FLOW_TEST_POSTGRES_URL")),
        duckdbTarget(directory),
        sqliteTarget(directory),
      ];
      await Promise.all(
        targets.map((target) => stopAtEveryStep(target, topic, brokers, directory)),
      );
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

async function stopAtEveryStep(
  target: FaultTarget,
  topic: string,
  brokers: string,
  directory: string,
): Promise<void> {
  const id = `${topic}_${target.name}`;
  const toml = `${directory}/${id}.toml`;
  await Deno.writeTextFile(
    toml,
    `pipeline_name = "${id}"
source_query = "${topic}"
dead_letter_table = "${id}_dead"
max_batch_rows = 150

[source]
kind = "kafka"
bootstrap_servers = "${brokers}"
group_id = "${id}"
session_timeout_ms = 1500

[target]
${target.toml}

[target.table]
name = "${id}"
`,
  );
  for (const [at, step] of STEPS.entries()) {
    // The later ones happen deeper in the load, so that each run has something to lose.
    const { code } = await consumeToEnd(toml, [], { FLOW_FAILPOINT: `${step}:${1 + at % 2}` });
    assert.equal(code, 137, `${target.name}: ${step} was not reached`);
  }
  const { code, stderr } = await consumeToEnd(toml);
  assert.equal(code, 0, stderr);
  const [rows] = await target.query(`SELECT count(*) AS n, count(DISTINCT id) AS d FROM ${id}`);
  const good = EVENTS - EVENTS / BAD_EVERY;
  assert.deepEqual([rows?.["n"], rows?.["d"]].map(Number), [good, good], target.name);
  const [dead] = await target.query(
    `SELECT count(*) AS n, count(DISTINCT id) AS d FROM ${id}_dead`,
  );
  assert.deepEqual(
    [dead?.["n"], dead?.["d"]].map(Number),
    [EVENTS / BAD_EVERY, EVENTS / BAD_EVERY],
    target.name,
  );
}
