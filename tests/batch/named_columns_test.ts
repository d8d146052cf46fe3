/** Columns that a load names, of tables that declare none. */
import assert from "node:assert/strict";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { validatePipeline } from "../../src/batch/validate_pipeline.ts";
import type { BatchTarget } from "../../src/core/batch_spec.ts";
import {
  availableKinds,
  batchSpec,
  batchTarget,
  declaredTable,
  dependencies,
  newPlace,
  withScratch,
} from "./rig.ts";

type Load = Partial<Omit<BatchTarget, "table" | "connection">>;

const SLIPS: Readonly<Record<string, readonly [Load, string]>> = {
  "as eventTimestampColumn": [{ mode: "scd2", keys: ["id"], eventTimestampColumn: "tss" }, "ts"],
  "in compareColumns": [{ mode: "scd2", keys: ["id"], compareColumns: ["nmae"] }, "name"],
  "as a key": [{ mode: "merge", keys: ["idd"] }, "id"],
  "in updateColumns": [{ mode: "merge", keys: ["id"], updateColumns: ["nmae"] }, "name"],
  "": [{ mode: "incremental", keys: ["id"], incrementalColumn: "tss" }, "ts"],
  " ": [{ mode: "incremental", incrementalColumn: "ts", tieBreakColumn: "idd" }, "id"],
};

for (const kind of availableKinds()) {
  Deno.test(`a named column that the query does not give is told with the nearest, on ${kind}`, () =>
    withScratch(async (scratchDir) => {
      const place = await newPlace(kind, scratchDir);
      try {
        const deps = dependencies(scratchDir);
        const query = "SELECT 1 AS id, 'a' AS name, TIMESTAMP '2024-01-01 00:00:00' AS ts";
        const sql = kind === "sqlite" ? query.replace("TIMESTAMP ", "") : query;
        for (const [role, [load, near]] of Object.entries(SLIPS)) {
          const target = batchTarget(place, declaredTable("dst", []), load);
          const spec = batchSpec(place, sql, [target]);
          const [problem = "", ...others] = await validatePipeline(spec, deps);
          assert.ok(problem.includes(`did you mean '${near}'?`), problem);
          assert.ok(problem.includes(role.trim()), problem);
          assert.deepEqual(others, []);
          await assert.rejects(runPipeline(spec, deps), /gives no column '(tss|nmae|idd)'/);
        }
      } finally {
        await place.remove();
      }
    }));
}
