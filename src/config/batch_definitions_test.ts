import assert from "node:assert/strict";
import { kafka, pipeline, postgres, streamingPipeline, table } from "../mod.ts";
import { batchProblems, moduleBatch, tomlBatch } from "./batch_fixtures.ts";
import { errorOf } from "./definition_fixtures.ts";

const BOTH = () => {
  streamingPipeline("stream", {
    source: kafka({ bootstrapServers: "h:1" }),
    sourceQuery: "events",
    target: postgres({ url: "postgres://a@b/c" }),
    targetTable: "t",
  });
  pipeline("hourly", { target: table("t"), source: "SELECT 1 AS a", schedule: "@hourly" });
  pipeline("manual", { target: table("t"), source: "SELECT 1 AS a" });
};

Deno.test("pipelines of both kinds are listed without looking into them", async () => {
  assert.deepEqual((await moduleBatch(BOTH, {})).listAll(), [
    { name: "hourly", kind: "pipeline", schedule: "@hourly" },
    { name: "manual", kind: "pipeline" },
    { name: "stream", kind: "streaming" },
  ]);
  const broken = await tomlBatch('[[pipeline]]\nschedule = 5\n[[pipeline]]\nname = "b"\n');
  assert.deepEqual(broken.listAll(), [
    { name: "pipeline[0]", kind: "pipeline" },
    { name: "b", kind: "pipeline" },
  ]);
});

Deno.test("a pipeline is picked by its name, or because it is the only one", async () => {
  const definitions = await moduleBatch(BOTH);
  assert.equal((await definitions.batch("manual")).name, "manual");
  assert.deepEqual((await definitions.batchAll()).map(({ name }) => name), ["hourly", "manual"]);
  const cases: readonly (readonly [string | undefined, string, string, string])[] = [
    [
      undefined,
      "pipeline_name_missing",
      "which pipeline? There are 2: hourly, manual",
      "give its name",
    ],
    [
      "manul",
      "pipeline_unknown",
      "no pipeline named 'manul' is registered (known: hourly, manual)",
      "did you mean manual?",
    ],
    [
      "stream",
      "pipeline_unknown",
      "no pipeline named 'stream' is registered (known: hourly, manual)",
      "'stream' is a streaming pipeline: run it with flow consume",
    ],
  ];
  for (const [name, code, message, hint] of cases) {
    const error = await errorOf(definitions.batch(name));
    assert.deepEqual([error.code, error.message, error.hint], [code, message, hint]);
  }
  const error = await errorOf(definitions.streaming("manual"));
  assert.equal(error.hint, "'manual' is a declared pipeline: run it with flow run");
});

Deno.test("a file of one kind has no pipeline of the other", async () => {
  const declared = await tomlBatch(
    '[[pipeline]]\nname = "p"\ntarget = { name = "t" }\nsource = "SELECT 1"\n',
  );
  assert.equal((await declared.batch()).name, "p");
  const streaming = await errorOf(declared.streaming());
  assert.deepEqual([streaming.code, streaming.message, streaming.hint], [
    "pipeline_unknown",
    "no streaming pipeline is defined",
    "'p' is a declared pipeline: run it with flow run",
  ]);
  const consumed = await tomlBatch('pipeline_name = "s"\n[source]\nkind = "kafka"\n');
  const batch = await errorOf(consumed.batch());
  assert.deepEqual([batch.code, batch.message, batch.hint], [
    "pipeline_unknown",
    "no pipeline is defined",
    "'s' is a streaming pipeline: run it with flow consume",
  ]);
  const none = await errorOf((await tomlBatch('[tables.t]\ncolumns = { a = "text" }\n')).batch());
  assert.match(none.hint ?? "", /^call pipeline\(name, \{…\}\)/);
  assert.deepEqual(await consumed.batchAll(), []);
});

Deno.test("a file is no mixture of both kinds", async () => {
  const text = `pipeline_name = "s"
tabels = 1
[source]
kind = "kafka"
[[pipeline]]
name = "p"
`;
  assert.deepEqual(await batchProblems(tomlBatch(text)), [
    "p.toml:1:1: pipeline_name: belongs to a streaming pipeline, and this file holds declared ones " +
    "(put it into its [[pipeline]], or the streaming pipeline into a file of its own)",
    "p.toml:2:1: tabels: unknown key (did you mean tables?)",
    "p.toml:3:1: source: belongs to a streaming pipeline, and this file holds declared ones " +
    "(put it into its [[pipeline]], or the streaming pipeline into a file of its own)",
  ]);
});

Deno.test("the parts of a file have the form of tables", async () => {
  assert.deepEqual(await batchProblems(tomlBatch('[pipeline]\nname = "p"\n[tables]\nt = "x"\n')), [
    "p.toml:1:1: pipeline: expected a list of tables, one for each pipeline (write [[pipeline]], with two brackets)",
    "p.toml:4:1: tables.t: expected a table with schema, name, columns …",
  ]);
  assert.deepEqual(await batchProblems(tomlBatch('[[pipelines]]\nname = "p"\n')), [
    "p.toml:1:1: pipelines: unknown key (did you mean pipeline?)",
  ]);
  assert.deepEqual(
    await batchProblems(tomlBatch("tables = 5\nconnections = { a = 1 }\n")),
    [
      "p.toml:1:1: tables: expected tables such as [tables.events]",
      "p.toml:2:17: connections.a: expected a table with kind and url, or the kind's own options",
    ],
  );
});

Deno.test("a name is one pipeline's", async () => {
  const one = '[[pipeline]]\nname = "p"\ntarget = { name = "t" }\nsource = "SELECT 1"\n';
  const twice = [
    "p.toml:5:1: a pipeline named 'p' is defined twice; the first is at p.toml:1:1 (give each pipeline a name of its own)",
  ];
  assert.deepEqual(await batchProblems(tomlBatch(one + one)), twice);
  const error = await errorOf((await tomlBatch(one + one)).batch("p"));
  assert.equal(error.code, "definition_invalid");
});

Deno.test("pipelines that wait for one another are told as a ring", async () => {
  const define = () => {
    const of = (name: string, dependsOn: readonly string[]) =>
      pipeline(name, { target: table("t"), source: "SELECT 1 AS a", dependsOn });
    of("start", ["a"]);
    of("a", ["free", "b"]);
    of("b", ["c"]);
    of("c", ["a"]);
    pipeline("free", { target: table("t"), source: "SELECT 1 AS a" });
  };
  const definitions = await moduleBatch(define);
  for (const run of [() => definitions.batchAll(), () => definitions.batch("start")]) {
    const error = await errorOf(run());
    assert.equal(error.code, "dependency_cycle");
    assert.equal(error.domain, "user");
    assert.match(
      error.message,
      /_test\.ts:\d+:\d+: pipelines wait for one another: a -> b -> c -> a$/,
    );
    assert.equal(error.hint, "take one of them out of dependsOn");
  }
  // Wherever the search begins, the ring is the same text.
  const [fromA, fromC] = [
    await errorOf(definitions.batch("a")),
    await errorOf(definitions.batch("c")),
  ];
  assert.equal(fromC.message, fromA.message);
  assert.throws(() => definitions.checkOrder(), {
    code: "dependency_cycle",
    message: fromA.message,
  });
  assert.equal((await definitions.batch("free")).name, "free");
  const self = await errorOf(
    (await tomlBatch(
      '[[pipeline]]\nname = "p"\ntarget = { name = "t" }\nsource = "SELECT 1"\ndepends_on = ["p"]\n',
    )).batch(),
  );
  assert.equal(self.message, "p.toml:5:1: pipelines wait for one another: p -> p");
});

Deno.test("a streaming pipeline has no runs to wait for", async () => {
  const problems = await batchProblems(moduleBatch(() => {
    BOTH();
    pipeline("after", { target: table("t"), source: "SELECT 1 AS a", dependsOn: ["stream"] });
  }));
  assert.match(
    problems.join(),
    /dependsOn\[0\]: 'stream' is a streaming pipeline, which has no runs to wait for$/,
  );
});

Deno.test("one broken pipeline does not stop another", async () => {
  const definitions = await tomlBatch(`[[pipeline]]
name = "good"
target = { name = "t" }
source = "SELECT 1"

[[pipeline]]
name = "bad"
target = "none"
source = "SELECT 1"
`);
  assert.equal((await definitions.batch("good")).name, "good");
  assert.equal((await errorOf(definitions.batch("bad"))).code, "definition_invalid");
  assert.equal((await batchProblems(Promise.resolve(definitions))).length, 1);
});
