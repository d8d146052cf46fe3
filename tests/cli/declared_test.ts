/** Commands of declared pipelines, as a shell runs them. */
import assert from "node:assert/strict";
import { type Ended, flow, inDirectory, type Program, testEach } from "./flow_program.ts";
import { valueIn } from "./pipelines.ts";

/** A DuckDB file with a merge, an append that waits for it, and one whose query is wrong. */
const DUCKDB = `[connections.warehouse]
kind = "duckdb"
path = "warehouse.duckdb"

[tables.events]
schema = "analytics"
columns = { id = { type = "bigint", primary_key = true }, name = { type = "text", nullable = true } }

[[pipeline]]
name = "ingest"
target = "events"
schedule = "*/5 * * * *"
mode = "merge"
source = "SELECT i AS id, 'n' || i AS name FROM range(5) AS t(i)"
source_connection = "warehouse"
target_connection = "warehouse"

[[pipeline]]
name = "daily"
target = { name = "daily" }
schedule = "0 2 * * *"
mode = "append"
depends_on = ["ingest"]
source = "SELECT count(*) AS n FROM analytics.events"
source_connection = "warehouse"
target_connection = "warehouse"

[[pipeline]]
name = "broken"
target = { name = "broken" }
schedule = "*/5 * * * *"
mode = "append"
source = "SELECT id FROM no_such_table"
source_connection = "warehouse"
target_connection = "warehouse"
`;

const FILES = { "p.toml": DUCKDB };

async function json(ended: Promise<Ended>, code = 0) {
  const { stdout, stderr, code: actual } = await ended;
  assert.equal(actual, code, stderr);
  assert.equal(stdout.trimEnd().split("\n").length, 1, stdout);
  return JSON.parse(stdout);
}

/** A run log in the directory, made by one run of each pipeline. */
async function withRuns(
  program: Program,
  work: (run: (...args: string[]) => Promise<Ended>) => Promise<void>,
): Promise<void> {
  await inDirectory(FILES, async (cwd) => {
    const run = (...args: string[]) => flow(program, [...args, "--run-log", "runs.db"], { cwd });
    assert.equal((await run("run", "p.toml", "ingest")).code, 0);
    assert.equal((await run("run", "p.toml", "broken")).code, 10);
    await work(run);
  });
}

testEach("list shows name, kind and schedule", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const { stdout, stderr } = await flow(program, ["list", "p.toml"], { cwd });
    assert.equal(stderr, "");
    assert.equal(
      stdout,
      "ingest  pipeline  */5 * * * *\ndaily   pipeline  0 2 * * *\nbroken  pipeline  */5 * * * *\n",
    );
    const listed = await json(flow(program, ["list", "p.toml", "--format", "json"], { cwd }));
    assert.deepEqual(listed[1], { name: "daily", kind: "pipeline", schedule: "0 2 * * *" });
  });
});

testEach("run tells what the target got, as text and as JSON", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const text = await flow(program, ["run", "p.toml", "ingest", "--run-log", "r.db"], { cwd });
    assert.equal(text.code, 0, text.stderr);
    assert.match(
      text.stdout,
      /^ingest: done in .+ \(run ingest-\d{8}T\d{6}-1\)\n {2}analytics\.events: 5 rows inserted, .*\(merge, same_db\)\n$/,
    );
    // The name may stand before the file.
    const args = ["run", "ingest", "p.toml", "--run-log-path=r.db", "--format=json"];
    const result = await json(flow(program, args, { cwd }));
    assert.deepEqual(
      { ...result, run_id: "", started_at: "", finished_at: "", targets: result.targets.length },
      {
        run_id: "",
        pipeline: "ingest",
        status: "success",
        target: "analytics.events",
        mode: "merge",
        path: "same_db",
        rows_inserted: 0,
        rows_updated: 0,
        rows_unchanged: 5,
        targets: 1,
        attempt: 1,
        started_at: "",
        finished_at: "",
      },
    );
    const rows = "SELECT count(*) FROM flow_file.analytics.events";
    assert.equal(await valueIn(`${cwd}/warehouse.duckdb`, rows), "5");
  });
});

testEach("a run that fails says what failed, why, and what to do", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const text = await flow(program, ["run", "p.toml", "broken", "--no-run-log"], { cwd });
    assert.equal(text.code, 10);
    assert.equal(text.stdout, "");
    assert.match(text.stderr, /^broken: failed in .* \(run broken-.*\)\nerror: .*no_such_table/);
    assert.match(text.stderr, /\nhint: .+\n$/);
    const args = ["run", "p.toml", "broken", "--no-run-log", "--format", "json"];
    const ended = await flow(program, args, { cwd });
    assert.equal(ended.code, 10);
    const { status, error, run_id } = JSON.parse(ended.stdout);
    assert.equal(status, "failed");
    assert.match(run_id, /^broken-/);
    assert.equal(error.code, "query_invalid");
    assert.equal(JSON.parse(ended.stderr).error.code, "query_invalid");
  });
});

testEach("run asks for a name where there are several, and knows them", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const none = await flow(program, ["run", "p.toml"], { cwd });
    assert.equal(none.code, 2);
    assert.match(none.stderr, /^error: which pipeline\? There are 3: ingest, daily, broken\n/);
    const wrong = await flow(program, ["run", "p.toml", "ingset"], { cwd });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /no pipeline named 'ingset'.*\nhint: did you mean ingest\?\n$/);
  });
});

testEach("run-due runs what is due, once, upstreams first", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const due = (now: string) =>
      flow(program, ["run-due", "p.toml", "--run-log", "runs.db", "--now", now], { cwd });
    const at = "2031-05-01T02:00:30Z";
    const first = await due(at);
    assert.equal(first.code, 10, "the code of the first failure");
    const { ran, failed, skipped } = JSON.parse(first.stdout);
    assert.deepEqual(ran.map(({ _pipeline }: { _pipeline: string }) => _pipeline), [
      "ingest",
      "daily",
    ]);
    assert.equal(ran[0].scheduled_for, "2031-05-01T02:00:00.000Z");
    assert.equal(failed.length, 1);
    const { error, ...rest } = failed[0];
    assert.match(error, /no_such_table/);
    assert.equal(rest.pipeline, "broken");
    assert.equal(rest.error_type, "query_invalid");
    assert.equal(rest.attempt_count, 1);
    assert.equal(rest.gave_up, false);
    assert.deepEqual(skipped, []);
    assert.match(first.stderr, /^firing: ingest\n/m);
    assert.match(first.stderr, /^failed: broken: .*no_such_table/m);

    const again = await due(at);
    assert.deepEqual(JSON.parse(again.stdout), { ran: [], failed: [], skipped: [] });
    assert.equal(again.code, 0);
    assert.equal(again.stderr, "");
  });
});

testEach("run-due skips a pipeline whose upstream failed, and says so", async (program) => {
  const toml = DUCKDB.replace('depends_on = ["ingest"]', 'depends_on = ["broken"]');
  await inDirectory({ "p.toml": toml }, async (cwd) => {
    const args = ["run-due", "p.toml", "--run-log", "runs.db", "--now", "2031-05-01T02:00:00Z"];
    const { stdout, stderr } = await flow(program, args, { cwd });
    assert.deepEqual(JSON.parse(stdout).skipped, [
      { pipeline: "daily", reason: "upstream not fresh: broken" },
    ]);
    assert.match(stderr, /^skipping: daily \(upstream not fresh: broken\)$/m);
  });
});

testEach("status is a table, also without definitions", async (program) => {
  await withRuns(program, async (run) => {
    const { stdout } = await run("status", "p.toml");
    const lines = stdout.split("\n");
    assert.match(
      lines[0] ?? "",
      /^NAME +SCHEDULE +LAST RUN +OUTCOME +RETRY +NEXT DUE +DEPENDS ON +WAITING ON$/,
    );
    assert.match(lines[1] ?? "", /^-+( {2}-+){7}$/);
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
    assert.match(
      lines[2] ?? "",
      new RegExp(String.raw`^ingest +\*/5 \* \* \* \* +${time} +ok +no retry +${time} +- +-$`),
    );
    assert.match(
      lines[3] ?? "",
      new RegExp(`^daily +0 2 \\* \\* \\* +never +- +no retry +${time} +ingest +-$`),
    );
    assert.match(lines[4] ?? "", /^broken .* fail /);
    assert.match(stdout, /\nbroken: .*no_such_table.* \(flow runs show broken-.*-1\)\n$/);
    const rows = await json(run("status", "p.toml", "--format", "json"));
    assert.equal(rows[0].last_run[1], true);
    assert.equal(rows[1].last_run, null);
    assert.deepEqual(rows[1].depends_on, ["ingest"]);
    assert.equal(rows[2].last_error.code, "query_invalid");
    const known = await json(run("status", "--format", "json"));
    assert.deepEqual(known.map(({ name }: { name: string }) => name), ["broken", "ingest"]);
  });
});

testEach("runs and logs show the history", async (program) => {
  await withRuns(program, async (run) => {
    const all = await json(run("runs", "list", "--format", "json"));
    assert.deepEqual(all.map(({ pipeline }: { pipeline: string }) => pipeline), [
      "broken",
      "ingest",
    ]);
    const { stdout } = await run("runs", "list", "--pipeline", "ingest", "--since", "1h");
    assert.match(stdout, /^RUN ID .*\n-+.*\ningest-\S+-1 +ingest +success +\S+Z +.* 5\n$/);
    assert.equal((await run("runs", "list", "--status", "running")).stdout, "no runs\n");
    assert.equal((await run("runs", "list", "--since", "2100-01-01")).stdout, "no runs\n");
    assert.equal((await json(run("runs", "list", "--limit", "1", "--format=json"))).length, 1);

    const [{ run_id: id }] = all;
    const shown = await run("runs", "show", id);
    assert.match(shown.stdout, /^broken-.*\n {2}pipeline: {2}broken\n {2}status: {4}failed\n/);
    assert.match(shown.stdout, /\n {2}code: {6}query_invalid\n/);
    assert.equal((await json(run("runs", "show", id, "--format=json"))).run_id, id);

    const logs = await run("logs", id);
    assert.match(logs.stdout, /^\S+Z info {4}started\n\S+Z error {3}failed \(query_invalid\): /);
    const [last] = (await run("logs", id, "--tail", "1", "--format", "json")).stdout.split("\n");
    assert.deepEqual(Object.keys(JSON.parse(last ?? "")), ["at", "level", "text"]);
    for (const args of [["runs", "show", "nope"], ["logs", "nope"]]) {
      const { code, stderr } = await run(...args);
      assert.equal(code, 2);
      assert.match(stderr, /^error: the run log knows no run 'nope'\nhint: /);
    }
  });
});

testEach("preview shows everything once and changes nothing", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const seen = await flow(program, ["preview", "p.toml", "ingest"], { cwd });
    assert.equal(seen.code, 0, seen.stderr);
    assert.equal(seen.stdout.split("-> analytics.events").length, 2);
    assert.doesNotMatch(seen.stdout, /INSERT INTO/);
    const verbose = await flow(program, ["preview", "p.toml", "ingest", "-v"], { cwd });
    assert.match(verbose.stdout, /INSERT INTO/);
    const plan = await json(
      flow(program, ["preview", "p.toml", "ingest", "--format=json"], { cwd }),
    );
    assert.equal(plan.pipeline_name, "ingest");
    assert.equal(plan.is_dry_run, false);
    assert.equal(plan.targets[0].path, "same_db");
    assert.deepEqual(plan.targets[0].merge_keys, ["id"]);
    assert.deepEqual(plan.targets[0].augmented_columns, ["_loaded_at", "_batch_id"]);
    await assert.rejects(Deno.stat(`${cwd}/warehouse.duckdb`), Deno.errors.NotFound);
  });
});

testEach("dry-run counts, rolls back, and fails where a run would", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    const dry = await json(
      flow(program, ["dry-run", "p.toml", "ingest", "--format=json"], { cwd }),
    );
    assert.equal(dry.is_dry_run, true);
    assert.equal(dry.targets[0].outcome.rows_inserted, 5);
    assert.equal(dry.targets[0].dry_run_rows_affected, 5);
    await assert.rejects(Deno.stat(`${cwd}/warehouse.duckdb`), Deno.errors.NotFound);
    const failed = await flow(program, ["dry-run", "p.toml", "broken"], { cwd });
    assert.equal(failed.code, 10);
    assert.match(failed.stdout, /failed: .*no_such_table/);
    assert.match(failed.stderr, /^error: .*no_such_table/);
  });
});

testEach("validate tells of each pipeline, and ends with 1 for problems", async (program) => {
  await inDirectory(FILES, async (cwd) => {
    await flow(program, ["run", "p.toml", "ingest", "--no-run-log"], { cwd });
    const all = await flow(program, ["validate", "p.toml"], { cwd });
    assert.equal(all.code, 1);
    assert.equal(all.stdout, "ingest: ok\ndaily: ok\n");
    assert.match(all.stderr, /^broken: failed\n {2}- .*no_such_table/);
    const one = await flow(program, ["validate", "p.toml", "ingest"], { cwd });
    assert.deepEqual({ ...one }, { code: 0, stdout: "ingest: ok\n", stderr: "" });
    const unknown = await flow(program, ["validate", "p.toml", "nope"], { cwd });
    assert.equal(unknown.code, 2);
    const told = await json(flow(program, ["validate", "p.toml", "--format=json"], { cwd }), 1);
    assert.deepEqual(told.map(({ ok }: { ok: boolean }) => ok), [true, true, false]);
  });
});

testEach("a definition that is wrong is a problem of that pipeline alone", async (program) => {
  const toml = DUCKDB.replace('mode = "merge"', 'mode = "mrege"');
  await inDirectory({ "p.toml": toml }, async (cwd) => {
    const { code, stdout, stderr } = await flow(program, ["validate", "p.toml"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /^ingest: failed\n {2}- p\.toml:\d+:\d+: .*mode.*mrege/);
    assert.doesNotMatch(stdout, /ingest/);
    const due = await flow(
      program,
      ["run-due", "p.toml", "--no-run-log", "--now", "2031-05-01T02:00:00Z"],
      { cwd },
    );
    const { failed } = JSON.parse(due.stdout);
    assert.deepEqual(failed.map(({ pipeline }: { pipeline: string }) => pipeline).sort(), [
      "broken",
      "ingest",
    ]);
  });
});

testEach("a ring of pipelines is told once, and list tells it too", async (program) => {
  const ring = DUCKDB.slice(0, DUCKDB.indexOf("[[pipeline]]")) +
    ["a b", "b c", "c a"].map((pair) => {
      const [name, upstream] = pair.split(" ");
      return `[[pipeline]]\nname = "${name}"\ndepends_on = ["${upstream}"]\nsource = "SELECT 1 AS x"\n` +
        `source_connection = "warehouse"\ntarget_connection = "warehouse"\ntarget = { name = "${name}" }\n`;
    }).join("");
  await inDirectory({ "p.toml": ring }, async (cwd) => {
    const { code, stderr } = await flow(program, ["validate", "p.toml"], { cwd });
    assert.equal(code, 1);
    assert.equal(stderr.split("wait for one another").length, 2);
    assert.match(
      stderr,
      /a -> b -> c -> a .*\nb: failed\n {2}- it waits for the ring .* at 'a'\nc: /,
    );
    const listed = await flow(program, ["list", "p.toml"], { cwd });
    assert.deepEqual({ code: listed.code, stdout: listed.stdout }, { code: 10, stdout: "" });
    assert.match(listed.stderr, /^error: p\.toml:\d+:\d+: pipelines wait for one another: a -> b/);
  });
});

const POSTGRES = Deno.env.get("FLOW_TEST_POSTGRES_URL");

function postgresModule(schema: string): string {
  return `import { bigint, pipeline, table, text } from "flow";

const events = table("${schema}.events", { id: bigint().primaryKey(), name: text() });

pipeline("ingest", {
  target: events,
  mode: "append",
  schedule: "*/5 * * * *",
  source: "SELECT g AS id, 'n' || g AS name FROM generate_series(1, 3) AS g",
});
`;
}

for (const url of POSTGRES === undefined ? [] : [POSTGRES]) {
  testEach("a module's pipeline runs in Postgres, with the history there", async (program) => {
    const schema = `cli_${crypto.randomUUID().slice(0, 8)}`;
    const env = { EMATIX_FLOW_DSN: url, EMATIX_FLOW_RUN_LOG_URL: "runs.db" };
    await inDirectory({ "m.ts": postgresModule(schema) }, async (cwd) => {
      const run = (...args: string[]) => flow(program, [...args], { cwd, env });
      try {
        const result = await json(run("run", "--module", "m.ts", "ingest", "--format=json"));
        assert.equal(result.rows_inserted, 3);
        assert.equal(result.path, "same_db");
        const rows = await run(
          "sql",
          `SELECT count(*)::int AS n FROM ${schema}.events`,
          "--connection",
          "default",
          "--format",
          "json",
        );
        assert.equal(rows.stdout, '{"n":3}\n', rows.stderr);
        assert.match((await run("status", "--module", "m.ts")).stdout, /^ingest .* ok /m);
        const again = await run("run", "--module", "m.ts");
        assert.equal(again.code, 11, "the primary key refuses the rows");
        assert.match(again.stderr, /^ingest: failed/);
      } finally {
        await dropSchema(url, schema);
      }
    });
  });
}

async function dropSchema(url: string, schema: string): Promise<void> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  } finally {
    await client.end();
  }
}
