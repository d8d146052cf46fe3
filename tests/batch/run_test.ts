/** What a run does around its rows: several targets, locks, dry runs, statements before and after, previews and validation. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { previewPipeline } from "../../src/batch/preview.ts";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { validatePipeline } from "../../src/batch/validate_pipeline.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Database } from "../../src/core/database.ts";
import { RunProgress } from "../../src/batch/run_progress.ts";
import { FlowError } from "../../src/core/error.ts";
import {
  availableKinds,
  batchSpec,
  batchTarget,
  column,
  declaredTable,
  dependencies,
  newPlace,
  type Place,
  withScratch,
} from "./rig.ts";
import { watched } from "./watched_sessions.ts";

const TABLE = declaredTable("dst", [
  column("id", "BIGINT", { nullable: false }),
  column("name", "VARCHAR"),
], { primaryKey: ["id"] });

function history(place: Place): string {
  const hasSchemas = place.kind === "postgres" || place.kind === "duckdb";
  return hasSchemas ? "ematix_flow.run_history" : "ematix_flow_run_history";
}

async function withSource(
  place: Place,
  work: (deps: ReturnType<typeof dependencies>) => Promise<void>,
  scratchDir: string,
): Promise<void> {
  const text = place.kind === "mysql" ? "VARCHAR(50)" : "TEXT";
  await place.run(
    `CREATE TABLE src (id BIGINT PRIMARY KEY, name ${text})`,
    "INSERT INTO src VALUES (1, 'a'), (2, 'b')",
  );
  await work(dependencies(scratchDir));
}

/** Runs a test on a fresh database of each kind. */
function onEach(
  name: string,
  work: (place: Place, deps: ReturnType<typeof dependencies>, scratchDir: string) => Promise<void>,
): void {
  for (const kind of availableKinds()) {
    Deno.test(`${name}, on ${kind}`, () =>
      withScratch(async (scratchDir) => {
        const place = await newPlace(kind, scratchDir);
        try {
          await withSource(place, (deps) => work(place, deps, scratchDir), scratchDir);
        } finally {
          await place.remove();
        }
      }));
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof FlowError, String(error));
    return error.code;
  }
  return "none";
}

onEach("several targets have a row each in the history", async (place, deps) => {
  const spec = batchSpec(place, "SELECT id, name FROM src", [
    batchTarget(place, TABLE, { mode: "append" }),
    batchTarget(place, { ...TABLE, ref: { name: "other" } }, { mode: "merge" }),
  ], { name: "fan" });
  const { targets } = await runPipeline(spec, deps);
  assert.deepEqual(targets.map(({ target, rowsInserted }) => [target, rowsInserted]), [
    ["dst", 2],
    ["other", 2],
  ]);
  const rows = await place.rows(
    `SELECT pipeline_name, status, parent_run_id FROM ${history(place)} ORDER BY pipeline_name`,
  );
  assert.deepEqual(rows.map((row) => [row["pipeline_name"], row["status"]]), [
    ["fan::dst", "success"],
    ["fan::other", "success"],
  ]);
  assert.notEqual(rows[0]?.["parent_run_id"], null);
  assert.equal(String(rows[0]?.["parent_run_id"]), String(rows[1]?.["parent_run_id"]));
});

onEach("a further attempt goes on with the target that failed", async (place, deps) => {
  const broken = { ...TABLE, ref: { name: "broken" } };
  await place.run("CREATE TABLE broken (id BIGINT, other INTEGER NOT NULL)");
  const spec = batchSpec(place, "SELECT id, name FROM src", [
    batchTarget(place, TABLE, { mode: "append" }),
    batchTarget(place, broken, { mode: "append" }),
  ], { name: "fan" });
  const progress = new RunProgress();
  assert.equal(await codeOf(runPipeline(spec, deps, { progress })), "schema_drift");
  await place.run("DROP TABLE broken");
  const { targets } = await runPipeline(spec, deps, { progress });
  assert.deepEqual(targets.map(({ rowsInserted }) => rowsInserted), [2, 2]);
  assert.equal((await place.rows("SELECT id FROM dst")).length, 2);
});

onEach("continueOnFailure runs the other targets, and still fails", async (place, deps) => {
  const broken = { ...TABLE, ref: { name: "broken" } };
  await place.run("CREATE TABLE broken (id BIGINT, other INTEGER NOT NULL)");
  const targets = [batchTarget(place, broken), batchTarget(place, TABLE)];
  const spec = batchSpec(place, "SELECT id, name FROM src", targets, { continueOnFailure: true });
  assert.equal(await codeOf(runPipeline(spec, deps)), "schema_drift");
  assert.equal((await place.rows("SELECT id FROM dst")).length, 2);
});

onEach("continueOnFailure tells of every target that failed", async (place, deps) => {
  const broken = { ...TABLE, ref: { name: "broken" } };
  await place.run("CREATE TABLE broken (id BIGINT, other INTEGER NOT NULL)");
  const held = await place.database.connect(deps.signal);
  try {
    assert.equal(await held.lock("flow:fan::dst"), true);
    const spec = batchSpec(place, "SELECT id, name FROM src", [
      batchTarget(place, broken),
      batchTarget(place, TABLE),
      batchTarget(place, { ...TABLE, ref: { name: "other" } }),
    ], { name: "fan", continueOnFailure: true });
    await assert.rejects(runPipeline(spec, deps), (error: FlowError) => {
      assert.match(
        error.message,
        /^2 of 3 targets failed: broken: schema drift[^]*; dst: pipeline 'fan' is being run/,
      );
      assert.deepEqual([error.code, error.retryable], ["schema_drift", true]);
      assert.equal(error.details["targets"], "broken, dst");
      return true;
    });
  } finally {
    await held.close();
  }
  assert.equal((await place.rows("SELECT id FROM other")).length, 2);
  const notices = deps.observed.flatMap((one) => one.kind === "notice" ? [one.message] : []);
  assert.ok(notices.some((text) => text.startsWith("failed: broken: schema drift")));
  assert.ok(notices.some((text) => text.startsWith("failed: dst: pipeline 'fan' is being run")));
});

onEach("a pipeline that is being run elsewhere is refused", async (place, deps) => {
  const spec = batchSpec(place, "SELECT id, name FROM src", [batchTarget(place, TABLE)]);
  const other = await place.database.connect(deps.signal);
  try {
    assert.equal(await other.lock("flow:test_pipeline"), true);
    assert.equal(await codeOf(runPipeline(spec, deps)), "pipeline_running");
  } finally {
    await other.close();
  }
  assert.equal(await codeOf(runPipeline(spec, deps)), "none");
});

Deno.test("a COMMIT of which nobody can be asked is commit_unresolved, and nothing to try again", () =>
  withScratch(async (scratchDir) => {
    const place = await newPlace("sqlite", scratchDir);
    let nowMs = 0;
    const clock: Clock = {
      now: () => nowMs,
      monotonic: () => nowMs,
      sleep: (ms) => {
        nowMs += ms;
        return Promise.resolve();
      },
    };
    const gone = new FlowError("the connection broke", {
      code: "database_unreachable",
      domain: "external",
      retryable: true,
    });
    await withSource(place, async () => {
      const deps = dependencies(scratchDir, { clock });
      let isAway = false;
      const losing = {
        ...place.database,
        kind: place.kind,
        dialect: place.database.dialect,
        identity: place.database.identity,
        connect: async (...args: Parameters<Database["connect"]>) => {
          if (isAway) throw gone;
          const session = await place.database.connect(...args);
          return new Proxy(session, {
            get(target, name) {
              if (name === "commit") {
                return () => {
                  isAway = true;
                  return Promise.reject(gone);
                };
              }
              const value: unknown = Reflect.get(target, name);
              return typeof value === "function" ? value.bind(target) : value;
            },
          });
        },
      };
      const spec = batchSpec(place, "SELECT id, name FROM src", [batchTarget(place, TABLE)]);
      await assert.rejects(
        runPipeline(spec, { ...deps, openDatabase: () => losing }),
        { code: "commit_unresolved", retryable: false },
      );
      assert.ok(nowMs >= 30_000, String(nowMs));
    }, scratchDir);
  }));

onEach("statements before and after share the transaction", async (place, deps) => {
  await place.run("CREATE TABLE log (step INTEGER)");
  const options = {
    sqlBefore: ["INSERT INTO log VALUES (1)"],
    sqlAfter: ["INSERT INTO log SELECT count(*) * 10 FROM dst"],
  };
  const targets = [batchTarget(place, TABLE, { mode: "merge" })];
  await runPipeline(batchSpec(place, "SELECT id, name FROM src", targets, options), deps);
  assert.deepEqual(
    (await place.rows("SELECT step FROM log ORDER BY step")).map(({ step }) => Number(step)),
    [1, 20],
  );
  const failing = { ...options, sqlAfter: ["INSERT INTO no_such_table VALUES (1)"] };
  await place.run("INSERT INTO src VALUES (3, 'c')");
  const spec = batchSpec(place, "SELECT id, name FROM src", targets, failing);
  assert.equal(await codeOf(runPipeline(spec, deps)), "query_invalid");
  assert.equal((await place.rows("SELECT step FROM log")).length, 2);
  assert.equal((await place.rows("SELECT id FROM dst")).length, 2);
  const [last] = await place.rows(
    `SELECT status, error_message FROM ${history(place)} ORDER BY started_at DESC LIMIT 1`,
  );
  assert.equal(last?.["status"], "failed");
  assert.match(String(last?.["error_message"]), /no_such_table/);
});

onEach("a dry run tells the counts and leaves nothing behind", async (place, deps) => {
  const targets = [batchTarget(place, TABLE, { mode: "merge" })];
  const spec = batchSpec(place, "SELECT id, name FROM src", targets);
  if (place.kind === "mysql") {
    const { targets: [first] } = await previewPipeline(spec, deps, { dryRun: true });
    assert.equal(first?.error?.code, "dry_run_unsupported");
    await runPipeline(spec, deps);
    await place.run("DELETE FROM dst", `DELETE FROM ${history(place)}`);
  }
  const { targets: [told] } = await previewPipeline(spec, deps, { dryRun: true });
  assert.equal(told?.error, undefined, JSON.stringify(told?.error));
  assert.equal(told?.outcome?.rowsInserted, 2);
  const session = await place.database.connect(deps.signal);
  try {
    const there = await session.table({ name: "dst" });
    assert.equal(there === undefined, place.kind !== "mysql");
  } finally {
    await session.close();
  }
  if (place.kind === "mysql") assert.deepEqual(await place.rows("SELECT id FROM dst"), []);
});

onEach("a preview gives the statements, and writes nothing", async (place, deps) => {
  for (const mode of ["append", "truncate", "merge", "scd2"] as const) {
    const targets = [batchTarget(place, { ...TABLE, ref: { name: `dst_${mode}` } }, { mode })];
    const spec = batchSpec(place, "SELECT id, name FROM src", targets);
    const { targets: [told] } = await previewPipeline(spec, deps, { dryRun: false });
    assert.equal(told?.error, undefined);
    assert.equal(told?.path, "same_db");
    assert.ok(told.planSql.some((sql) => sql.startsWith("CREATE TABLE")), told.planSql.join("\n"));
    assert.ok(told.planSql.some((sql) => sql.includes("src")));
  }
  assert.equal(await codeOf(place.rows(`SELECT * FROM ${history(place)}`)), "query_invalid");
});

for (const kind of ["sqlite", "duckdb"] as const) {
  Deno.test(`a target's file that is yet to be made is made by its first run, on ${kind}`, () =>
    withScratch(async (scratchDir) => {
      const files = `${scratchDir}/files`;
      await Deno.mkdir(files);
      const deps = dependencies(scratchDir);
      const there = () => [...Deno.readDirSync(files)].length;
      for (const way of ["one database", "two databases"]) {
        const to = await newPlace(kind, files);
        const from = way === "one database" ? to : await newPlace("duckdb", scratchDir);
        if (from !== to) await from.run("CREATE TABLE src (id BIGINT)");
        const spec = batchSpec(from, "SELECT 1 AS id, 'a' AS name", [batchTarget(to, TABLE)]);
        const before = there();
        assert.deepEqual(await validatePipeline(spec, deps), []);
        for (const dryRun of [false, true]) {
          const { targets: [told] } = await previewPipeline(spec, deps, { dryRun });
          assert.equal(told?.error, undefined, JSON.stringify(told?.error));
          assert.equal(told?.outcome?.rowsInserted, dryRun ? 1 : undefined);
        }
        assert.equal(there(), before, way);
        await runPipeline(spec, deps);
        assert.equal((await to.rows("SELECT id FROM dst")).length, 1);
      }
      const nowhere = await newPlace(kind, `${files}/no/such`);
      const spec = batchSpec(nowhere, "SELECT 1 AS id, 'a' AS name", [batchTarget(nowhere, TABLE)]);
      assert.match((await validatePipeline(spec, deps))[0] ?? "", /there is no .* file at/);
    }));
}

Deno.test("validate and preview neither wait for a writer nor change how a file is written", () =>
  withScratch(async (scratchDir) => {
    const place = await newPlace("sqlite", scratchDir);
    const writer = new DatabaseSync(place.options["path"] ?? "");
    try {
      writer.exec("CREATE TABLE src (id BIGINT, name TEXT); BEGIN IMMEDIATE");
      const spec = batchSpec(place, "SELECT id, name FROM src", [batchTarget(place, TABLE)]);
      const deps = dependencies(scratchDir);
      assert.deepEqual(await validatePipeline(spec, deps), []);
      const { targets: [told] } = await previewPipeline(spec, deps, { dryRun: false });
      assert.equal(told?.error, undefined);
      const [mode] = writer.prepare("PRAGMA journal_mode").all();
      assert.equal(mode?.["journal_mode"], "delete");
    } finally {
      writer.close();
    }
  }));

onEach("validate tells each problem once", async (place, deps) => {
  const check = (sql: string, table = TABLE) =>
    validatePipeline(batchSpec(place, sql, [batchTarget(place, table)]), deps);
  assert.deepEqual(await check("SELECT id, name FROM src"), []);
  const [missing, ...more] = await check("SELECT id, name FROM no_such");
  assert.match(missing ?? "", /no_such/);
  assert.deepEqual(more, []);
  assert.match(
    (await check("SELECT id FROM src"))[0] ?? "",
    /does not give the declared column name/,
  );
  await place.run("CREATE TABLE dst (id BIGINT, other INTEGER NOT NULL)");
  assert.match((await check("SELECT id, name FROM src"))[0] ?? "", /schema drift detected/);
});

/** In some databases the statement that writes sees rows which the one that looked for the highest value did not. */
onEach("a row at the edge that comes in mid-run is loaded once", async (place, deps) => {
  await place.run("CREATE TABLE moving (v INTEGER, t INTEGER)", "INSERT INTO moving VALUES (7, 1)");
  const table = declaredTable("kept", [column("v", "INTEGER"), column("t", "INTEGER")]);
  const options = { mode: "incremental", incrementalColumn: "v", tieBreakColumn: "t" } as const;
  const spec = batchSpec(place, "SELECT v, t FROM moving", [batchTarget(place, table, options)]);
  // Files have one writer at a time.
  const isServer = place.kind === "mysql" || place.kind === "postgres";
  const late: string[] = [];
  const meddled = watched(deps, async (sql) => {
    if (/^INSERT INTO .?kept/.test(sql)) await place.run(...late.splice(0));
  });
  const lateRow = (row: string) => isServer ? late.push(`INSERT INTO moving VALUES ${row}`) : 0;
  lateRow("(7, 2)");
  const first = await runPipeline(spec, meddled);
  assert.deepEqual([first.targets[0]?.watermark, late], ['["7","1"]', []]);
  await runPipeline(spec, deps);
  // This one comes into a run that has found nothing new.
  lateRow("(8, 1)");
  const third = await runPipeline(spec, meddled);
  assert.deepEqual([third.targets[0]?.watermark, late], [undefined, []]);
  await runPipeline(spec, deps);
  const rows = await place.rows("SELECT v, t FROM kept ORDER BY v, t");
  assert.deepEqual(
    rows.map(({ v, t }) => [Number(v), Number(t)]),
    isServer ? [[7, 1], [7, 2], [8, 1]] : [[7, 1]],
  );
});

onEach("validate refuses types without a common value, as a run does", async (place, deps) => {
  const time = place.kind === "mysql" ? "DATETIME(6)" : "TIMESTAMP";
  await place.run(`CREATE TABLE typed (n BIGINT, made ${time})`);
  await place.run("INSERT INTO typed VALUES (1, '2026-01-31 12:00:00')");
  const spec = (name: string, type: string) =>
    batchSpec(place, `SELECT ${name} FROM typed`, [
      batchTarget(place, declaredTable(`dst_${name}`, [column(name, type)])),
    ]);
  assert.deepEqual(await validatePipeline(spec("n", "BOOLEAN"), deps), []);
  await runPipeline(spec("n", "BOOLEAN"), deps);
  // Whatever SQLite says of a column, it may hold values of any type.
  const problems = await validatePipeline(spec("made", "TIME"), deps);
  assert.equal(problems.length, place.kind === "sqlite" ? 0 : 1, problems.join("\n"));
  await assert.rejects(
    runPipeline(spec("made", "TIME"), deps),
    /12:00:00.* does not fit TIME|TIME/,
  );
});

onEach("a source table with mapped columns", async (place, deps) => {
  const table = declaredTable("mapped", [
    column("customer", "BIGINT", { nullable: false }),
    column("name", "VARCHAR", { normalizers: ["upper"] }),
  ], { primaryKey: ["customer"] });
  const spec = {
    ...batchSpec(place, "", [batchTarget(place, table, { mode: "merge" })]),
    source: { by: "table", table: { name: "src" }, columnMap: { customer: "id" } } as const,
  };
  await runPipeline(spec, deps);
  const rows = await place.rows("SELECT customer, name FROM mapped ORDER BY customer");
  assert.deepEqual(rows.map((row) => [Number(row["customer"]), row["name"]]), [[1, "A"], [2, "B"]]);
});

onEach("a run that is stopped leaves the target as it was", async (place, _deps, scratchDir) => {
  const stop = new AbortController();
  const deps = dependencies(scratchDir, { signal: stop.signal });
  const spec = batchSpec(place, "SELECT id, name FROM src", [batchTarget(place, TABLE)]);
  await runPipeline(spec, deps);
  stop.abort(new Error("stopped by the test"));
  await assert.rejects(runPipeline(spec, deps), /stopped by the test/);
  assert.equal((await place.rows("SELECT id FROM dst")).length, 2);
});

onEach("two columns of one name are told before anything is written", async (place, deps) => {
  const spec = batchSpec(place, "SELECT id, name, id FROM src", [
    batchTarget(place, declaredTable("dst", [])),
  ]);
  assert.equal(await codeOf(runPipeline(spec, deps)), "query_invalid");
  const [problem = ""] = await validatePipeline(spec, deps);
  assert.match(problem, /two columns of the name "id"|Duplicate column name 'id'/);
});
