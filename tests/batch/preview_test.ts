/** What a preview shows is what a run executes: in every mode, within one database and between two. */
import assert from "node:assert/strict";
import { previewPipeline } from "../../src/batch/preview.ts";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import type { BatchSpec, BatchTarget } from "../../src/core/batch_spec.ts";
import type { DatabaseKind } from "../../src/core/database.ts";
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

const KEYED = { primaryKey: ["id"] };

interface Mode {
  readonly options: Partial<Omit<BatchTarget, "table" | "connection">>;
  readonly keyed?: boolean;
  readonly where?: string;
}

const MODES: Readonly<Record<string, Mode>> = {
  append: { options: { mode: "append" } },
  truncate: { options: { mode: "truncate" } },
  watermark: {
    options: { mode: "append", incrementalColumn: "v" },
    where: " WHERE v > $watermark",
  },
  tie_break: {
    options: { mode: "incremental", incrementalColumn: "v", tieBreakColumn: "id" },
  },
  incremental: { options: { mode: "incremental", incrementalColumn: "v" }, keyed: true },
  merge: { options: { mode: "merge" }, keyed: true },
  merge_hard: { options: { mode: "merge", handleDeletes: "hard" }, keyed: true },
  scd2: { options: { mode: "scd2" }, keyed: true },
  scd2_soft: { options: { mode: "scd2", handleDeletes: "soft" }, keyed: true },
};

const PAIRS: readonly (readonly [DatabaseKind, DatabaseKind, "one" | "two"])[] = [
  ["postgres", "postgres", "one"],
  ["mysql", "mysql", "one"],
  ["sqlite", "sqlite", "one"],
  ["duckdb", "duckdb", "one"],
  ["postgres", "postgres", "two"],
  ["duckdb", "postgres", "two"],
  ["sqlite", "mysql", "two"],
  ["mysql", "sqlite", "two"],
  ["postgres", "duckdb", "two"],
];

const kinds = availableKinds();

for (const [source, target, databases] of PAIRS) {
  if (!kinds.includes(source) || !kinds.includes(target)) continue;
  Deno.test(`${source} to ${target}, ${databases}: previews show what runs execute`, async (t) => {
    await withScratch(async (scratchDir) => {
      const from = await newPlace(source, scratchDir);
      const to = databases === "one" ? from : await newPlace(target, scratchDir);
      try {
        for (const [name, mode] of Object.entries(MODES)) {
          await t.step(name, () => comparedRuns(name, mode, from, to, scratchDir));
        }
      } finally {
        await from.remove();
        if (to !== from) await to.remove();
      }
    });
  });
}

async function comparedRuns(
  name: string,
  { options, keyed = false, where = "" }: Mode,
  from: Place,
  to: Place,
  scratchDir: string,
): Promise<void> {
  const table = declaredTable(`dst_${name}`, [
    column("id", "BIGINT", { nullable: !keyed }),
    column("v", "INTEGER"),
  ], keyed ? KEYED : {});
  const spec = batchSpec(
    from,
    `SELECT id, v FROM src_${name}${where}`,
    [batchTarget(to, table, options)],
    {
      name,
      sqlBefore: [`DELETE FROM log_${name}`],
      sqlAfter: [`INSERT INTO log_${name} VALUES (1)`],
    },
  );
  await to.run(`CREATE TABLE log_${name} (step INTEGER)`);
  await from.run(`CREATE TABLE src_${name} (id BIGINT, v INTEGER)`);
  await from.run(`INSERT INTO src_${name} VALUES (1, 1), (2, 2)`);
  const isVersioned = options.mode === "scd2";
  await compared(spec, scratchDir, isVersioned);
  await from.run(
    `INSERT INTO src_${name} VALUES (3, 3)`,
    `UPDATE src_${name} SET v = 4 WHERE id = 1`,
  );
  await compared(spec, scratchDir, isVersioned);
}

/** Previews, runs, and compares the statements. Of versions a run leaves out what has nothing to do. */
async function compared(spec: BatchSpec, scratchDir: string, mayLeaveOut: boolean): Promise<void> {
  const deps = dependencies(scratchDir);
  const { targets: [told] } = await previewPipeline(spec, deps, { dryRun: false });
  assert.equal(told?.error, undefined, JSON.stringify(told?.error));
  const shown = told?.planSql.map(comparable) ?? [];
  const executed: string[] = [];
  await runPipeline(spec, watched(deps, (sql) => void executed.push(sql)));
  const own = executed.filter((sql) => !isBeside(sql)).map(comparable);
  assert.ok(own.length > 2);
  if (!mayLeaveOut) return assert.deepEqual(own, shown);
  const left = [...shown];
  for (const sql of own) {
    const at = left.indexOf(sql);
    assert.ok(at >= 0, `not shown, or not in this place: ${sql}\n\nshown:\n${shown.join("\n")}`);
    left.splice(0, at + 1);
  }
}

/** Of flow's own tables, of the transaction, and looks for what is refused. */
function isBeside(sql: string): boolean {
  return /ematix_flow|\bSAVEPOINT\b|LIMIT 1$/.test(sql);
}

/** Stages are called by their run; of rows that come in bulk the query is what counts. */
function comparable(sql: string): string {
  return sql.replaceAll(/flow_stage_\w+?_(\d+)/g, "flow_stage_$1")
    .replace(/^-- rows of this query are loaded into .* in bulk\n/, "");
}
