/** Names of columns that differ only in case: one column in most databases, two in Postgres. */
import assert from "node:assert/strict";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import type { BatchTarget } from "../../src/core/batch_spec.ts";
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

const DECLARED = declaredTable("dst", [
  column("id", "BIGINT", { nullable: false }),
  column("name", "VARCHAR"),
], { primaryKey: ["id"] });

const kinds = availableKinds();

/** Runs a test with the source in the target's own database, and in a file of its own. */
function onTargets(
  targets: readonly DatabaseKind[],
  name: string,
  work: (from: Place, to: Place, scratchDir: string) => Promise<void>,
): void {
  for (const kind of targets) {
    for (const way of ["one database", "two databases"]) {
      Deno.test(`${name}, ${kind}, ${way}`, () =>
        withScratch(async (scratchDir) => {
          const to = await newPlace(kind, scratchDir);
          const from = way === "one database"
            ? to
            : await newPlace(kind === "duckdb" ? "sqlite" : "duckdb", scratchDir);
          const text = from.kind === "mysql" ? "VARCHAR(50)" : "TEXT";
          await from.run(
            `CREATE TABLE src (id BIGINT, name ${text})`,
            "INSERT INTO src VALUES (1, 'a'), (2, 'b')",
          );
          try {
            await work(from, to, scratchDir);
          } finally {
            await to.remove();
            if (from !== to) await from.remove();
          }
        }));
    }
  }
}

async function namesOf(place: Place): Promise<readonly string[]> {
  const session = await place.database.connect(new AbortController().signal);
  try {
    return (await session.table({ name: "dst" }))?.columns.map(({ name }) => name) ?? [];
  } finally {
    await session.close();
  }
}

/** A table whose columns are the declared ones, in capital letters; in Postgres quoted, or they would be small. */
function upperTable(to: Place, idType: string): string {
  const { quote, columnType } = to.database.dialect;
  const text = to.kind === "mysql" ? "LONGTEXT" : "TEXT";
  return `CREATE TABLE dst (${quote("ID")} ${idType} NOT NULL PRIMARY KEY, ${
    quote("NAME")
  } ${text}, ` +
    `${quote("_LOADED_AT")} ${columnType("TIMESTAMP WITH TIME ZONE")}, ` +
    `${quote("_BATCH_ID")} ${columnType("UUID")})`;
}

const FOLDING = kinds.filter((kind) => kind !== "postgres");
const MODES: readonly BatchTarget["mode"][] = ["append", "truncate", "merge"];

onTargets(FOLDING, "a column is found whatever the case of its name", async (from, to, dir) => {
  for (const mode of MODES) {
    for (const onDrift of ["evolve", "error", "warn"] as const) {
      await to.run(upperTable(to, "BIGINT"));
      const target = batchTarget(to, DECLARED, { mode, onDrift });
      const spec = batchSpec(from, "SELECT id, name FROM src", [target]);
      const { notices } = await runPipeline(spec, dependencies(dir));
      assert.deepEqual(notices, [], `${mode}, ${onDrift}`);
      assert.deepEqual(await namesOf(to), ["ID", "NAME", "_LOADED_AT", "_BATCH_ID"]);
      const rows = await to.rows("SELECT id AS n, name AS t, _batch_id AS b FROM dst ORDER BY id");
      assert.deepEqual(rows.map((row) => [Number(row["n"]), row["t"]]), [[1, "a"], [2, "b"]]);
      assert.ok(rows.every((row) => row["b"] !== null));
      await to.run("DROP TABLE dst");
    }
  }
});

onTargets(
  FOLDING.filter((kind) => kind !== "sqlite"),
  "a column of another case is widened, and keeps its name",
  async (from, to, dir) => {
    // DuckDB changes no column of a key.
    await to.run(upperTable(to, "INTEGER").replace(" NOT NULL PRIMARY KEY", ""));
    const table = {
      ...DECLARED,
      columns: DECLARED.columns.map((one) => ({ ...one, nullable: true })),
    };
    const target = batchTarget(to, table, { mode: "append" });
    const spec = batchSpec(from, "SELECT id + 5000000000 AS id, name FROM src", [target]);
    const { notices } = await runPipeline(spec, dependencies(dir));
    assert.equal(notices.length, 1, notices.join("\n"));
    assert.deepEqual(await namesOf(to), ["ID", "NAME", "_LOADED_AT", "_BATCH_ID"]);
    const rows = await to.rows("SELECT id AS n FROM dst ORDER BY id");
    assert.deepEqual(rows.map((row) => Number(row["n"])), [5000000001, 5000000002]);
  },
);

onTargets(
  FOLDING,
  "a column that a table takes from the query has the type of the table",
  async (from, to, dir) => {
    await to.run(upperTable(to, "BIGINT"));
    const target = batchTarget(to, { ...DECLARED, columns: [] }, {
      mode: "append",
      onDrift: "error",
    });
    const spec = batchSpec(from, "SELECT '7' AS id, name FROM src WHERE id = 1", [target]);
    await runPipeline(spec, dependencies(dir));
    const rows = await to.rows("SELECT id AS n FROM dst");
    assert.deepEqual(rows.map((row) => Number(row["n"])), [7]);
  },
);

onTargets(
  kinds.filter((kind) => kind === "postgres"),
  "names of another case are other columns",
  async (from, to, dir) => {
    await to.run(`CREATE TABLE dst ("ID" BIGINT, name TEXT)`);
    const spec = batchSpec(from, "SELECT id, name FROM src", [batchTarget(to, DECLARED)]);
    await runPipeline(spec, dependencies(dir));
    assert.deepEqual(await namesOf(to), ["ID", "name", "id", "_loaded_at", "_batch_id"]);
    const rows = await to.rows(`SELECT id AS n, "ID" AS other FROM dst ORDER BY id`);
    assert.deepEqual(rows.map((row) => [Number(row["n"]), row["other"]]), [[1, null], [2, null]]);
  },
);
