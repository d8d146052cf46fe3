import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import type { ConsumeSummary } from "../core/request.ts";
import { runPipeline } from "../mod.ts";

const ROOT = new URL("../../", import.meta.url);

/** Runs a script that imports flow, in a directory of its own with `in/a.jsonl`; it sets `summary`. */
async function runScript(body: string): Promise<{ summary: ConsumeSummary; rows: unknown[] }> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${dir}/in`);
    await Deno.writeTextFile(`${dir}/in/a.jsonl`, '{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n');
    await Deno.writeTextFile(`${dir}/pipeline.toml`, TOML);
    await Deno.writeTextFile(
      `${dir}/script.ts`,
      `import { objectStoreLocal, runPipeline, runStreamingPipeline } from "flow";\n${body}\n` +
        "console.log(JSON.stringify(summary));\n",
    );
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        new URL("deno.json", ROOT).pathname,
        "script.ts",
      ],
      cwd: dir,
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const summary: ConsumeSummary = JSON.parse(new TextDecoder().decode(stdout));
    return { summary, rows: await written(`${dir}/out`) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function written(dir: string): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const file of Deno.readDir(dir)) {
    if (!file.isFile || file.name.startsWith(".")) continue;
    const text = await Deno.readTextFile(`${dir}/${file.name}`);
    rows.push(...text.trimEnd().split("\n").map((line) => JSON.parse(line)));
  }
  return rows;
}

const TOML = `pipeline_name = "copy"
source_query = "*.jsonl"
transform = { sql = "SELECT id * 10 AS id, name FROM source" }
[source]
kind = "object_store_local"
path = "in"
[target]
kind = "object_store_local"
path = "out"
format = "json_lines"
`;

const EXPECTED = [{ id: 10, name: "a" }, { id: 20, name: "b" }];

Deno.test("a script runs the pipeline of a TOML file to its end", async () => {
  const { summary, rows } = await runScript(
    'const summary = await runPipeline({ config: "pipeline.toml", untilEnd: true });',
  );
  assert.equal(summary.pipeline, "copy");
  assert.equal(summary.reason, "end");
  assert.equal(summary.rowsConsumed, 2);
  assert.equal(summary.rowsWritten, 2);
  assert.deepEqual(rows, EXPECTED);
});

Deno.test("a script runs a pipeline of typed connections, with metrics", async () => {
  const { summary, rows } = await runScript(`
    const summary = await runStreamingPipeline({
      name: "typed-copy",
      source: objectStoreLocal({ path: "in" }),
      sourceQuery: "*.jsonl",
      target: objectStoreLocal({ path: "out", format: "json_lines" }),
      transformSql: "SELECT id * 10 AS id, name FROM source",
      untilEnd: true,
      metricsPort: 0,
    });
  `);
  assert.equal(summary.pipeline, "typed-copy");
  assert.deepEqual(rows, EXPECTED);
});

Deno.test("aborting the signal ends a run that has no end, with its batches committed", async () => {
  const { summary, rows } = await runScript(`
    const stop = new AbortController();
    const run = runPipeline({
      configString: await Deno.readTextFile("pipeline.toml"),
      signal: stop.signal,
    });
    const isWritten = async () => {
      try {
        return (await Array.fromAsync(Deno.readDir("out"))).some(({ name }) => name.endsWith(".jsonl"));
      } catch {
        return false;
      }
    };
    const deadline = Date.now() + 20_000;
    while (!await isWritten()) {
      if (Date.now() > deadline) throw new Error("nothing was written");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    stop.abort();
    const summary = await run;
  `);
  assert.equal(summary.reason, "stopped");
  assert.equal(summary.rowsWritten, 2);
  assert.deepEqual(rows, EXPECTED);
});

Deno.test("what is wrong is thrown before anything runs", async () => {
  const codeOf = (action: Promise<unknown>) =>
    action.then(() => assert.fail("it is wrong"), (error: unknown) => {
      assert.ok(error instanceof FlowError, String(error));
      return error.code;
    });
  // @ts-expect-error -- one of config and configString is needed
  assert.equal(await codeOf(runPipeline({ untilEnd: true })), "definition_invalid");
  assert.equal(await codeOf(runPipeline({ config: "no-such.toml" })), "definition_not_found");
  assert.equal(await codeOf(runPipeline({ configString: "x" })), "definition_invalid");
});
