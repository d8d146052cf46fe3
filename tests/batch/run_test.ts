/** What a run does around its rows: several targets, locks, dry runs, statements before and after, previews and validation. */
import assert from "node:assert/strict";
import { previewPipeline } from "../../src/batch/preview.ts";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { validatePipeline } from "../../src/batch/validate_pipeline.ts";
import type { TargetRun } from "../../src/batch/run_target.ts";
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
  const completed = new Map<string, TargetRun>();
  assert.equal(await codeOf(runPipeline(spec, deps, { completed })), "schema_drift");
  await place.run("DROP TABLE broken");
  const { targets } = await runPipeline(spec, deps, { completed });
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
