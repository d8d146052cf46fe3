/** Statements before and after a load that end its transaction: the rows must not stay by themselves. */
import assert from "node:assert/strict";
import { previewPipeline } from "../../src/batch/preview.ts";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { validatePipeline } from "../../src/batch/validate_pipeline.ts";
import type { BatchSpec } from "../../src/core/batch_spec.ts";
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

const TABLE = declaredTable("dst", [column("id", "BIGINT")]);
const KINDS = availableKinds();

type Statements = Partial<Pick<BatchSpec, "sqlBefore" | "sqlAfter">>;

function appending(place: Place, statements: Statements): BatchSpec {
  return batchSpec(place, "SELECT id FROM src", [batchTarget(place, TABLE)], statements);
}

function on(
  kinds: readonly Place["kind"][],
  name: string,
  work: (place: Place, deps: ReturnType<typeof dependencies>) => Promise<void>,
): void {
  for (const kind of kinds.filter((one) => KINDS.includes(one))) {
    Deno.test(`${name}, on ${kind}`, () =>
      withScratch(async (scratchDir) => {
        const place = await newPlace(kind, scratchDir);
        try {
          await place.run(
            "CREATE TABLE src (id BIGINT)",
            "INSERT INTO src VALUES (1), (2)",
            "CREATE TABLE log (step INTEGER)",
            "INSERT INTO log VALUES (1)",
          );
          const deps = dependencies(scratchDir);
          await runPipeline(appending(place, {}), deps);
          await place.run("DELETE FROM dst");
          await work(place, deps);
        } finally {
          await place.remove();
        }
      }));
  }
}

async function ids(place: Place, table = "dst", name = "id"): Promise<number[]> {
  const rows = await place.rows(`SELECT ${name} FROM ${table} ORDER BY ${name}`);
  return rows.map((row) => Number(row[name]));
}

/** The statements are refused by everything that looks at the pipeline, and nothing is changed. */
async function refused(
  place: Place,
  deps: ReturnType<typeof dependencies>,
  statements: Statements,
  message: RegExp,
): Promise<void> {
  const spec = appending(place, statements);
  await assert.rejects(runPipeline(spec, deps), {
    code: "transaction_ended",
    retryable: false,
    message,
  });
  assert.match((await validatePipeline(spec, deps))[0] ?? "", message);
  const { targets: [told] } = await previewPipeline(spec, deps, { dryRun: true });
  assert.equal(told?.error?.code, "transaction_ended");
  assert.deepEqual([await ids(place), await ids(place, "log", "step")], [[], [1]]);
}

on(
  ["postgres", "mysql", "sqlite", "duckdb"],
  "COMMIT and ROLLBACK are refused",
  async (place, deps) => {
    for (const statement of ["COMMIT", "-- now\n rollback work;", "Start Transaction", "BEGIN"]) {
      await refused(place, deps, { sqlAfter: [statement] }, /sqlAfter of .* would end the trans/);
    }
  },
);

on(["mysql"], "statements that commit by themselves are refused", async (place, deps) => {
  for (
    const statement of [
      "TRUNCATE TABLE log",
      "/* empty */ truncate log",
      "# empty\nDROP TABLE log",
      "ALTER TABLE log ADD COLUMN note INTEGER",
      "CREATE INDEX steps ON log (step)",
      "CREATE OR REPLACE TABLE log (step INTEGER)",
      "ANALYZE TABLE log",
      "RENAME TABLE log TO log_2",
    ]
  ) {
    await refused(
      place,
      deps,
      { sqlBefore: ["DELETE FROM log", statement] },
      /sqlBefore of .*would/,
    );
    await refused(place, deps, { sqlAfter: ["DELETE FROM log", statement] }, /sqlAfter of .*would/);
  }
});

on(["postgres", "mysql"], "temporary tables are no matter", async (place, deps) => {
  const statements = {
    sqlBefore: ["CREATE TEMPORARY TABLE aside AS SELECT 7 AS step"],
    sqlAfter: ["INSERT INTO log SELECT step FROM aside", "DELETE FROM log WHERE step = 1"],
  };
  await runPipeline(appending(place, statements), deps);
  assert.deepEqual([await ids(place), await ids(place, "log", "step")], [[1, 2], [7]]);
});

on(
  ["mysql"],
  "a procedure that commits is found out before rows are loaded",
  async (place, deps) => {
    await place.run("CREATE PROCEDURE sly() BEGIN DELETE FROM log; COMMIT; END");
    const spec = appending(place, { sqlBefore: ["CALL sly()"] });
    await assert.rejects(runPipeline(spec, deps), {
      code: "transaction_ended",
      message: /nothing was loaded, and what the statement and those before it did stays: CALL sly/,
    });
    assert.deepEqual(await ids(place), []);
    const { targets: [told] } = await previewPipeline(spec, deps, { dryRun: true });
    assert.match(told?.error?.message ?? "", /stays, although this is a dry run: CALL sly/);
    assert.deepEqual(await ids(place), []);
  },
);

on(
  ["mysql"],
  "a procedure that commits and fails after the load is told as such",
  async (place, deps) => {
    await place.run("CREATE PROCEDURE sly() BEGIN COMMIT; SELECT * FROM no_such; END");
    await assert.rejects(runPipeline(appending(place, { sqlAfter: ["CALL sly()"] }), deps), {
      code: "transaction_ended",
      retryable: false,
      message: /the loaded rows stay: CALL sly/,
    });
    assert.deepEqual(await ids(place), [1, 2]);
  },
);

on(["postgres"], "a COMMIT among several statements is found out", async (place, deps) => {
  await assert.rejects(
    runPipeline(appending(place, { sqlBefore: ["DELETE FROM log; COMMIT"] }), deps),
    { code: "transaction_ended", message: /nothing was loaded/ },
  );
  assert.deepEqual(await ids(place), []);
});
