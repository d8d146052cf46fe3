/** Keys of text without a length, which some databases have to limit. */
import assert from "node:assert/strict";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { validatePipeline } from "../../src/batch/validate_pipeline.ts";
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

const COLUMNS = [column("k", "VARCHAR", { nullable: false }), column("v", "VARCHAR")];

for (const kind of availableKinds()) {
  Deno.test(`a text key is no drift at the next run, on ${kind}`, () =>
    withScratch(async (scratchDir) => {
      const place = await newPlace(kind, scratchDir);
      try {
        const deps = dependencies(scratchDir);
        for (const key of ["primaryKey", "naturalKey"] as const) {
          for (const onDrift of ["evolve", "error"] as const) {
            const table = declaredTable(`dst_${key}_${onDrift}`, COLUMNS, { [key]: ["k"] });
            const target = batchTarget(place, table, { mode: "merge", onDrift });
            const spec = batchSpec(place, "SELECT 'a' AS k, 'b' AS v", [target]);
            await runPipeline(spec, deps);
            assert.deepEqual(await validatePipeline(spec, deps), []);
            assert.deepEqual((await runPipeline(spec, deps)).notices, []);
          }
        }
      } finally {
        await place.remove();
      }
    }));
}

Deno.test({
  name: "a text key of another length is made longer, never shorter, on mysql",
  ignore: !availableKinds().includes("mysql"),
  fn: () =>
    withScratch(async (scratchDir) => {
      const place = await newPlace("mysql", scratchDir);
      try {
        for (const [length, expected] of [[100, 255], [500, 500]] as const) {
          const name = `dst_${length}`;
          await place.run(
            `CREATE TABLE ${name} (k VARCHAR(${length}) NOT NULL PRIMARY KEY, v LONGTEXT)`,
          );
          const table = declaredTable(name, COLUMNS, { primaryKey: ["k"] });
          const spec = batchSpec(place, "SELECT 'a' AS k, 'b' AS v", [batchTarget(place, table)]);
          await runPipeline(spec, dependencies(scratchDir));
          const [row] = await place.rows(
            `SELECT character_maximum_length AS n FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = '${name}' AND column_name = 'k'`,
          );
          assert.equal(Number(row?.["n"]), expected);
        }
      } finally {
        await place.remove();
      }
    }),
});
