/** Queries that read the table that they are loaded into: its rows change only after all of them were read. */
import assert from "node:assert/strict";
import { previewPipeline } from "../../src/batch/preview.ts";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import {
  availableKinds,
  batchSpec,
  batchTarget,
  column,
  declaredTable,
  dependencies,
  newPlace,
  withScratch,
} from "./rig.ts";
import { watched } from "./watched_sessions.ts";

const UNDECLARED = declaredTable("dst", []);
const KEYED = declaredTable("dst", [
  column("id", "BIGINT", { nullable: false }),
  column("name", "VARCHAR"),
], { primaryKey: ["id"] });

for (const kind of availableKinds()) {
  Deno.test(`truncate by a query of its own target keeps the rows, on ${kind}`, () =>
    withScratch(async (scratchDir) => {
      const place = await newPlace(kind, scratchDir);
      try {
        const deps = dependencies(scratchDir);
        const load = (sql: string) =>
          batchSpec(place, sql, [batchTarget(place, UNDECLARED, { mode: "truncate" })]);
        await runPipeline(
          load("SELECT 1 AS id, 'a' AS name UNION ALL SELECT 1, 'a' UNION ALL SELECT 2, 'b'"),
          deps,
        );
        const spec = load("SELECT DISTINCT id, name FROM dst");
        const { targets: [told] } = await previewPipeline(spec, deps, { dryRun: true });
        assert.equal(told?.error, undefined, JSON.stringify(told?.error));
        assert.equal(told?.outcome?.rowsInserted, 2);
        const executed: string[] = [];
        const { targets: [outcome] } = await runPipeline(
          spec,
          watched(deps, (sql) => void executed.push(sql)),
        );
        assert.equal(outcome?.rowsInserted, 2);
        const rows = await place.rows("SELECT id, name FROM dst ORDER BY id");
        assert.deepEqual(rows.map((row) => [Number(row["id"]), row["name"]]), [[1, "a"], [2, "b"]]);
        const named = (sql: string) => sql.replaceAll(/flow_stage_\w+?_(\d+)/g, "flow_stage_$1");
        const own = executed.map(named).filter((sql) => !/ematix_flow|SAVEPOINT/.test(sql));
        assert.deepEqual(own, told.planSql.map(named));
        assert.match(own[0] ?? "", /^CREATE TEMP/);
      } finally {
        await place.remove();
      }
    }));

  Deno.test(`merge by a query of its own target sees one state of it, on ${kind}`, () =>
    withScratch(async (scratchDir) => {
      const place = await newPlace(kind, scratchDir);
      try {
        const text = kind === "mysql" ? "VARCHAR(50)" : "TEXT";
        await place.run(
          `CREATE TABLE src (id BIGINT PRIMARY KEY, name ${text})`,
          "INSERT INTO src VALUES (1, 'a'), (2, 'b')",
        );
        const deps = dependencies(scratchDir);
        const target = batchTarget(place, KEYED, { mode: "merge", handleDeletes: "hard" });
        await runPipeline(batchSpec(place, "SELECT id, name FROM src", [target]), deps);
        await place.run("INSERT INTO src VALUES (3, 'c')");
        const news = "SELECT id, name FROM src WHERE id NOT IN (SELECT id FROM dst)";
        const { targets: [outcome] } = await runPipeline(batchSpec(place, news, [target]), deps);
        assert.deepEqual([outcome?.rowsInserted, outcome?.rowsDeleted], [1, 2]);
        const rows = await place.rows("SELECT id FROM dst");
        assert.deepEqual(rows.map((row) => Number(row["id"])), [3]);
      } finally {
        await place.remove();
      }
    }));
}
