import assert from "node:assert/strict";
import { flow, inDirectory, testEach } from "./flow_program.ts";
import { ordersToDuckdb, TWO_PIPELINES, valueIn } from "./pipelines.ts";

const COUNT = "SELECT count(*) FROM flow_file.main.orders";

testEach("consume tells its result as one line of JSON on standard output", async (program) => {
  await inDirectory(
    { "p.toml": ordersToDuckdb("rows = 5000", "max_batch_rows = 1000") },
    async (cwd) => {
      const args = ["consume", "p.toml", "--until-end", "--format", "json", "--profile"];
      const { code, stdout, stderr } = await flow(program, args, { cwd });
      assert.equal(code, 0, stderr);
      assert.equal(stdout.trimEnd().split("\n").length, 1);
      const { elapsed_ms, iterations, stage_ms, batches, ...result } = JSON.parse(stdout);
      assert.deepEqual(result, {
        pipeline: "orders",
        rows_consumed: 5000,
        rows_written: 5000,
        rows_dead_lettered: 0,
        rows_dropped: 0,
        reason: "end",
        total_rows: 5000,
        shutdown_triggered: false,
      });
      assert(elapsed_ms > 0 && batches >= 5 && iterations >= batches);
      assert(stage_ms.write >= 0);
      for (const line of stderr.trimEnd().split("\n").filter(Boolean)) JSON.parse(line);
      assert.equal(await valueIn(`${cwd}/out.duckdb`, COUNT), "5000");
    },
  );
});

testEach("consume in text says so on standard error, with --profile per stage", async (program) => {
  await inDirectory({ "p.toml": ordersToDuckdb("rows = 5000") }, async (cwd) => {
    const args = ["consume", "p.toml", "--until-end", "--profile"];
    const { code, stdout, stderr } = await flow(program, args, { cwd });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      /^orders: done: 5,000 rows read, 5,000 written in [\d.]+ m?s \([\d,]+ rows\/s\)$/m,
    );
    assert.match(stderr, /^time per stage \(stages overlap\):\n(?: {2}\w+ +[\d,]+ ms\n)+$/m);
  });
});

testEach("-q is silent, -v tells what happens, and neither is coloured here", async (program) => {
  await inDirectory({ "p.toml": ordersToDuckdb("rows = 100") }, async (cwd) => {
    const quiet = await flow(program, ["consume", "p.toml", "--until-end", "-q"], { cwd });
    assert.deepEqual(quiet, { code: 0, stdout: "", stderr: "" });
    await Deno.remove(`${cwd}/out.duckdb`);
    const verbose = await flow(program, ["consume", "p.toml", "--until-end", "-v"], {
      cwd,
      env: { NO_COLOR: "" },
    });
    assert.equal(verbose.code, 0);
    assert.match(verbose.stderr, /^orders: orders -> duckdb:.*, delivery exactly_once$/m);
    assert.match(verbose.stderr, /^orders: batch 1: 100 rows read, 100 written, /m);
    assert(!verbose.stderr.includes("\x1b"), verbose.stderr);
  });
});

testEach("a second run goes on where the first was", async (program) => {
  await inDirectory({ "p.toml": ordersToDuckdb("rows = 100") }, async (cwd) => {
    const args = ["consume", "p.toml", "--until-end", "--format", "json"];
    await flow(program, args, { cwd });
    const { code, stdout } = await flow(program, args, { cwd });
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).rows_consumed, 0);
    assert.equal(await valueIn(`${cwd}/out.duckdb`, COUNT), "100");
  });
});

testEach("a module's pipelines are listed, and consumed by name", async (program) => {
  await inDirectory({ "m.ts": TWO_PIPELINES }, async (cwd) => {
    const list = await flow(program, ["consume-list", "--module", "m.ts"], { cwd });
    assert.deepEqual(list, { code: 0, stdout: "first\nsecond\n", stderr: "" });
    const json = await flow(program, ["consume-list", "--module", "m.ts", "--format", "json"], {
      cwd,
    });
    assert.deepEqual(JSON.parse(json.stdout), {
      pipelines: ["first", "second"],
      details: [
        { name: "first", sources: ["datagen:a"], targets: ["duckdb"] },
        { name: "second", sources: ["datagen:b"], targets: ["duckdb"] },
      ],
    });

    const args = ["consume", "--module", "m.ts", "second", "--until-end", "--format", "json"];
    const { code, stdout, stderr } = await flow(program, args, { cwd });
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).pipeline, "second");
    const path = `${cwd}/out.duckdb`;
    assert.equal(await valueIn(path, "SELECT count(*) FROM flow_file.main.second"), "100");
  });
});

testEach("which pipeline of a module is meant must be clear", async (program) => {
  await inDirectory({ "m.ts": TWO_PIPELINES }, async (cwd) => {
    const none = await flow(program, ["consume", "--module", "m.ts"], { cwd });
    assert.equal(none.code, 2);
    assert.match(none.stderr, /^error: which streaming pipeline\? There are 2: first, second\n/);
    const wrong = await flow(program, ["consume", "--module", "m.ts", "secnod"], { cwd });
    assert.equal(wrong.code, 2);
    assert.equal(
      wrong.stderr,
      "error: no streaming pipeline named 'secnod' is registered (known: first, second)\n" +
        "hint: did you mean second?\n",
    );
  });
});
