import assert from "node:assert/strict";
import { fromToml, HEAD, KAFKA, POSTGRES, problemsOf } from "./definition_fixtures.ts";

Deno.test("source and sources exclude each other, as do target and targets; one of each is needed", async () => {
  assert.deepEqual(
    await problemsOf(`pipeline_name = "p"\n${KAFKA}[[sources]]\nquery = "a"\n${POSTGRES}`),
    ["p.toml:5:1: sources: pipeline config sets both `source` and `sources` — pick one form"],
  );
  assert.deepEqual(
    await problemsOf(`${HEAD}${KAFKA}${POSTGRES}[[targets]]\nkind = "kafka"\n`),
    ["p.toml:10:1: targets: pipeline config sets both `target` and `targets` — pick one form"],
  );
  assert.deepEqual(await problemsOf('pipeline_name = "p"\n'), [
    "p.toml:1:1: the pipeline has no source (add a [source] block)",
    "p.toml:1:1: the pipeline has no target (add a [target] block)",
  ]);
  assert.deepEqual(await problemsOf(`pipeline_name = "p"\n${KAFKA}${POSTGRES}`), [
    "p.toml:1:1: source_query: required, but not given (a topic, a glob, a table)",
  ]);
});

Deno.test("what is wrong with source_query is told once, under that name", async () => {
  const told = (query: string) =>
    problemsOf(`pipeline_name = "p"\nsource_query = ${query}\n${KAFKA}${POSTGRES}`);
  const [empty, ...more] = await told('""');
  assert.match(empty ?? "", /^p\.toml:2:1: source_query: /);
  assert.deepEqual(more, []);
  assert.deepEqual((await told("7")).map((problem) => problem.slice(0, 26)), [
    "p.toml:2:1: source_query: ",
  ]);
});

Deno.test("several sources get ids of their own, and each its query", async () => {
  const block = '[[sources]]\nquery = "a"\nkind = "kafka"\nbootstrap_servers = "b:1"\n';
  const text = `pipeline_name = "p"\n${block}${block}${block.replace('"a"', '"b"')}${POSTGRES}`;
  const spec = await (await fromToml(text)).streaming();
  assert.deepEqual(spec.sources.map((source) => source.sourceId), ["a", "a#2", "b"]);
  assert.deepEqual(spec.sources.map((source) => source.query), ["a", "a", "b"]);
  assert.deepEqual(
    await problemsOf(
      text.replace('query = "b"\n', "").replace('"p"\n', '"p"\nsource_query = "x"\n'),
    ),
    [
      "p.toml:2:1: source_query: applies to a single source, but there are several " +
      "(give each of sources its own query)",
      "p.toml:11:1: sources[2].query: required, but not given (a topic, a glob, a table)",
    ],
  );
});

Deno.test("the table of a target may be written in each of its forms", async () => {
  const tableOf = async (text: string) => {
    const target = '[[targets]]\nkind = "postgres"\nurl = "postgres://h/d"\n';
    const spec = await (await fromToml(`${HEAD}${KAFKA}${target}${text}`)).streaming();
    return spec.targets[0]?.table;
  };
  const both = { schema: "public", name: "events" };
  assert.deepEqual(await tableOf('[[targets.table]]\nschema = "public"\nname = "events"'), both);
  assert.deepEqual(await tableOf('[targets.table]\nschema = "public"\nname = "events"'), both);
  assert.deepEqual(await tableOf('table = "public.events"'), both);
  assert.deepEqual(await tableOf('table = ["public", "events"]'), both);
  assert.deepEqual(await tableOf('table = "events"'), { name: "events" });
  assert.deepEqual(await tableOf("table = '\"a.b\".c'"), { schema: "a.b", name: "c" });
  const two = '[[targets.table]]\nname = "a"\n[[targets.table]]\nname = "b"';
  const target = '[[targets]]\nkind = "postgres"\nurl = "postgres://h/d"\n';
  assert.deepEqual(await problemsOf(`${HEAD}${KAFKA}${target}${two}`), [
    "p.toml:9:1: targets[0].table: expected a table with schema, name, got a list",
  ]);
});

Deno.test("a target that needs a table says so in the words that users know", async () => {
  const target = '[target]\nconnection = "p"\n';
  const env = { EMATIX_FLOW_DSN_P: "postgres://localhost/wh" };
  assert.deepEqual(await problemsOf(HEAD + KAFKA + target, { env }), [
    "p.toml:6:1: target: target connection 'p' (kind='postgres') requires target_table=... " +
    '(add [target.table] with name = "…")',
  ]);
});

Deno.test("merge needs keys where there is no table to take them from, and keys need merge", async () => {
  const target = '[target]\nkind = "object_store_local"\npath = "/d"\nmode = "merge"\n';
  assert.deepEqual(await problemsOf(HEAD + KAFKA + target), [
    "p.toml:9:1: target.mode: mode = \"merge\" needs keys: a target of kind 'object_store_local' has no primary key " +
    'to take them from (give keys = ["…"])',
  ]);
  const spec = await (await fromToml(`${HEAD}${KAFKA}${POSTGRES}mode = "merge"\n`)).streaming();
  assert.equal(spec.targets[0]?.mode, "merge");
  assert.deepEqual(await problemsOf(`${HEAD}${KAFKA}${POSTGRES}keys = ["a"]\n`), [
    'p.toml:10:1: target.keys: only applies when mode = "merge"; the mode is "append" ' +
    '(set mode = "merge", or leave keys out)',
  ]);
});

Deno.test("dead letters: one place; a topic needs Kafka; dlq needs a place", async () => {
  const files = '[source]\nkind = "object_store_local"\npath = "/d"\n';
  assert.deepEqual(await problemsOf(`dead_letter_topic = "x"\n${HEAD}${files}${POSTGRES}`), [
    "p.toml:1:1: dead_letter_topic: a dead-letter topic needs a Kafka source or target, whose connection it uses " +
    "(use dead_letter_table or dead_letter_file)",
  ]);
  const kafkaTarget = '[target]\nkind = "kafka"\nbootstrap_servers = "t:1"\ntls = true\n';
  const spec = await (await fromToml(`dead_letter_topic = "x"\n${HEAD}${files}${kafkaTarget}`))
    .streaming();
  assert.deepEqual(spec.deadLetter, {
    to: "topic",
    topic: "x",
    kind: "kafka",
    options: { bootstrap_servers: "t:1", tls: true },
  });
  assert.deepEqual(
    await problemsOf(
      `dead_letter_topic = "x"\ndead_letter_table = "y"\n${HEAD}${KAFKA}dead_letter_topic = "z"\n${POSTGRES}`,
    ),
    [
      "p.toml:2:1: dead_letter_table: dead letters go to one place, and another is given too (give one of them)",
      'p.toml:8:1: source.dead_letter_topic: "z" contradicts "x" given elsewhere',
    ],
  );
  assert.deepEqual(
    await problemsOf(`${HEAD}${KAFKA}${POSTGRES}[transform]\nsql = "SELECT 1"\non_error = "dlq"\n`),
    [
      'p.toml:12:1: transform.on_error: "dlq" needs a place for dead letters, and none is given ' +
      "(give one of dead_letter_topic, dead_letter_table, dead_letter_file)",
    ],
  );
  for (const [key, to] of [["dead_letter_table", "table"], ["dead_letter_file", "path"]] as const) {
    const found = await (await fromToml(
      `${key} = "x"\ntransform_on_error = "dlq"\n${HEAD}${KAFKA}${POSTGRES}`,
    )).streaming();
    assert.deepEqual(found.deadLetter, { to: to === "path" ? "file" : "table", [to]: "x" });
  }
});

Deno.test("delivery may stand at the top or with the target, and must not contradict itself", async () => {
  const spec = await (await fromToml(`${HEAD}${KAFKA}${POSTGRES}delivery = "exactly_once"\n`))
    .streaming();
  assert.equal(spec.delivery, "exactly_once");
  assert.deepEqual(await problemsOf(`delivery = "x"\n${HEAD}${KAFKA}${POSTGRES}`), [
    'p.toml:1:1: delivery: delivery = "x" not supported (use "auto", "at_least_once", or "exactly_once")',
  ]);
  assert.deepEqual(
    await problemsOf(`delivery = "auto"\n${HEAD}${KAFKA}${POSTGRES}delivery = "exactly_once"\n`),
    ['p.toml:11:1: target.delivery: "exactly_once" contradicts "auto" given elsewhere: say it once'],
  );
});

Deno.test("a list where a block should be is an error", async () => {
  assert.deepEqual(
    await problemsOf(`${HEAD}[[source]]\nkind = "kafka"\nbootstrap_servers = "b:1"\n${POSTGRES}`),
    ["p.toml:3:1: source: expected a table, got a list"],
  );
  assert.deepEqual(await problemsOf(`source = "kafka"\n${HEAD}${POSTGRES}`), [
    'p.toml:1:1: source: expected a table, got "kafka"',
  ]);
});

Deno.test("a kind that cannot be a source or a target is refused", async () => {
  assert.deepEqual(
    await problemsOf(`${HEAD}[source]\nkind = "postgres"\nurl = "postgres://h/d"\n${POSTGRES}`),
    [
      "p.toml:4:1: source.kind: a postgres connection cannot be a source " +
      "(valid kinds: kafka, object_store_local, datagen)",
    ],
  );
  assert.deepEqual(await problemsOf(`${HEAD}[source]\nurl = "amqp://h"\n${POSTGRES}`), [
    "p.toml:3:1: source: nothing says what kind of system the source is: neither kind nor a url whose scheme is known " +
    '(give kind = "…"; valid kinds: kafka, object_store_local, datagen)',
  ]);
});

Deno.test("a connector's own columns option goes to the connector", async () => {
  const spec = await (await fromToml(
    `${HEAD}[source]\nkind = "datagen"\nrows = 3\n[source.columns]\nuser_id = "BIGINT"\n${POSTGRES}`,
  )).streaming();
  assert.deepEqual(spec.sources[0]?.options, { columns: { user_id: "BIGINT" }, rows: 3 });
  assert.equal(spec.sources[0]?.columns, undefined);
});
