import assert from "node:assert/strict";
import fc from "fast-check";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { FlowError } from "../../src/core/error.ts";
import { checkProperty, type PropertyPlace } from "./property_rig.ts";
import { availableKinds, batchSpec, batchTarget, column, declaredTable } from "./rig.ts";

/** One row of the source: a key that may be NULL or come twice, and values. */
interface Row {
  readonly k: number | null;
  readonly a: string | null;
  readonly b: number | null;
}

interface Run {
  readonly rows: readonly Row[];
  readonly deletes: boolean;
  readonly allowEmpty: boolean;
}

const row: fc.Arbitrary<Row> = fc.record({
  k: fc.oneof({ arbitrary: fc.integer({ min: 1, max: 9 }), weight: 60 }, {
    arbitrary: fc.constant(null),
    weight: 1,
  }),
  a: fc.option(fc.constantFrom("", "x", "X", "x ", "it's", "é")),
  b: fc.option(fc.integer({ min: -2, max: 2 })),
}, { noNullPrototype: true });

const runs = fc.array(
  fc.record({
    rows: fc.oneof(
      { arbitrary: fc.uniqueArray(row, { selector: ({ k }) => k, maxLength: 7 }), weight: 6 },
      { arbitrary: fc.array(row, { maxLength: 5 }), weight: 1 },
    ),
    deletes: fc.boolean(),
    allowEmpty: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

type Table = ReadonlyMap<number, Row>;

/** What a run should make of the table, row by row; a text is the code of the error that it should fail with. */
function model(
  before: Table,
  { rows, deletes, allowEmpty }: Run,
): { readonly after: Table; readonly counts: readonly number[] } | string {
  if (rows.some(({ k }) => k === null)) return "key_null";
  if (new Set(rows.map(({ k }) => k)).size < rows.length) return "key_duplicate";
  if (deletes && !allowEmpty && rows.length === 0 && before.size > 0) return "empty_source";
  const after = new Map(before);
  let [inserted, updated, unchanged, deleted] = [0, 0, 0, 0];
  for (const one of rows) {
    const key = one.k ?? 0;
    const there = before.get(key);
    if (there === undefined) inserted += 1;
    else if (there.a === one.a && there.b === one.b) unchanged += 1;
    else updated += 1;
    after.set(key, one);
  }
  if (deletes) {
    for (const key of before.keys()) {
      if (rows.some(({ k }) => k === key)) continue;
      after.delete(key);
      deleted += 1;
    }
  }
  return { after, counts: [inserted, updated, unchanged, ...(deletes ? [deleted] : [])] };
}

function sqlValue(value: string | number | null): string {
  return value === null
    ? "NULL"
    : typeof value === "number"
    ? String(value)
    : `'${value.replaceAll("'", "''")}'`;
}

async function followsModel(
  { place, deps }: PropertyPlace,
  sequence: readonly Run[],
  index: number,
): Promise<void> {
  const text = place.kind === "mysql" ? "VARCHAR(20)" : "TEXT";
  const [source, name] = [`s_${index}`, `t_${index}`];
  const session = await deps.openDatabase(place.connection).connect(deps.signal);
  await session.run(`CREATE TABLE ${source} (k INTEGER, a ${text}, b INTEGER)`);
  const table = declaredTable(name, [
    column("k", "INTEGER"),
    column("a", "VARCHAR"),
    column("b", "INTEGER"),
  ]);
  let expected: Table = new Map();
  for (const one of sequence) {
    await session.run(`DELETE FROM ${source}`);
    if (one.rows.length > 0) {
      const values = one.rows.map(({ k, a, b }) => `(${[k, a, b].map(sqlValue).join(", ")})`);
      await session.run(`INSERT INTO ${source} VALUES ${values.join(", ")}`);
    }
    const target = batchTarget(place, table, {
      mode: "merge",
      keys: ["k"],
      handleDeletes: one.deletes ? "hard" : "none",
      allowEmptySource: one.allowEmpty,
    });
    const spec = batchSpec(place, `SELECT k, a, b FROM ${source}`, [target], { name });
    const should = model(expected, one);
    try {
      const { targets: [outcome] } = await runPipeline(spec, deps);
      assert(typeof should !== "string", `the run should have failed with ${should}`);
      const { rowsInserted, rowsUpdated, rowsUnchanged, rowsDeleted } = outcome ?? {};
      const counts = [rowsInserted, rowsUpdated, rowsUnchanged, rowsDeleted];
      assert.deepEqual(counts.filter((count) => count !== undefined), should.counts);
      expected = should.after;
    } catch (error) {
      if (!(error instanceof FlowError)) throw error;
      assert.equal(error.code, should, error.message);
    }
    const now = await session.table({ name }) === undefined
      ? []
      : await session.rows(`SELECT k, a, b FROM ${name} ORDER BY k`);
    assert.deepEqual(
      now.map((found) => ({
        k: Number(found["k"]),
        a: found["a"],
        b: found["b"] === null ? null : Number(found["b"]),
      })),
      [...expected.values()].toSorted((left, right) => (left.k ?? 0) - (right.k ?? 0)),
    );
  }
  await session.run(`DROP TABLE ${source}`);
  if (await session.table({ name }) !== undefined) await session.run(`DROP TABLE ${name}`);
}

for (const kind of availableKinds()) {
  Deno.test(`merge does what the model does, on ${kind}`, async () => {
    await checkProperty(kind, runs, [], followsModel);
  });
}
