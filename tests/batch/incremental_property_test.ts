import assert from "node:assert/strict";
import fc from "fast-check";
import { runPipeline } from "../../src/batch/run_pipeline.ts";
import { checkProperty, type PropertyPlace } from "./property_rig.ts";
import { availableKinds, batchSpec, batchTarget, column, declaredTable } from "./rig.ts";

/** What happens to the source between two runs: rows are added with a time, or changed and given a newer one. */
interface Change {
  readonly kind: "add" | "touch";
  /** Where the row's time lies: microseconds after the newest so far; negative ones are late commits. */
  readonly aheadMicros: number;
  readonly pick: number;
}

/** How late a row may be committed (µs): the overlap covers it. */
const LATE_MICROS = 2_000_000;
const OVERLAP_SECONDS = 2;

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom("add", "add", "touch"),
  aheadMicros: fc.oneof(
    fc.constant(0),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 1, max: 3_000_000 }),
    fc.integer({ min: -LATE_MICROS, max: 0 }),
  ),
  pick: fc.nat({ max: 20 }),
});

const rounds = fc.record({
  way: fc.constantFrom("keys", "tie_break"),
  changes: fc.array(fc.array(change, { maxLength: 6 }), { minLength: 1, maxLength: 5 }),
});

function timeText(micros: number): string {
  const date = new Date(Math.floor(micros / 1000)).toISOString().replace("T", " ").slice(0, 19);
  return `${date}.${String(micros % 1_000_000).padStart(6, "0")}`;
}

/**
 * After every run the target holds exactly the source's rows: none lost at the edge, none twice. With keys rows may come late (within the
 * overlap), at equal times, and change; with a tie-break column they come in the order of (time, id).
 */
async function holdsTheSource(
  { place, deps }: PropertyPlace,
  { way, changes }: { readonly way: string; readonly changes: readonly (readonly Change[])[] },
  index: number,
): Promise<void> {
  const [source, name] = [`s_${index}`, `t_${index}`];
  const keyed = way === "keys";
  const session = await deps.openDatabase(place.connection).connect(deps.signal);
  const time = place.kind === "mysql" ? "DATETIME(6)" : "TIMESTAMP";
  await session.run(`CREATE TABLE ${source} (id INTEGER, seen_at ${time}, v INTEGER)`);
  const table = declaredTable(name, [
    column("id", "INTEGER", { nullable: false }),
    column("seen_at", "TIMESTAMP"),
    column("v", "INTEGER"),
  ], keyed ? { primaryKey: ["id"] } : {});
  const target = batchTarget(place, table, {
    mode: "incremental",
    incrementalColumn: "seen_at",
    ...(keyed ? { overlapSeconds: OVERLAP_SECONDS } : { tieBreakColumn: "id" }),
  });
  const spec = batchSpec(place, `SELECT id, seen_at, v FROM ${source}`, [target], { name });
  const rows = new Map<number, { at: number; v: number }>();
  const start = Date.UTC(2026, 0, 1) * 1000;
  let newest = start;
  for (const round of changes) {
    // What is late is measured against the newest time that the last run has seen.
    const seen = newest;
    for (const { kind, aheadMicros, pick } of round) {
      const ids = [...rows.keys()];
      const id = kind === "touch" && keyed ? ids[pick % (ids.length || 1)] : undefined;
      const base = keyed ? seen : newest;
      const at = Math.max(start, base + (keyed ? aheadMicros : Math.abs(aheadMicros) % 4));
      const v = pick;
      const stamp = Math.max(at, id === undefined ? at : rows.get(id)?.at ?? at);
      if (id !== undefined && stamp < seen - LATE_MICROS) continue;
      newest = Math.max(newest, stamp);
      if (id === undefined) {
        const fresh = rows.size + 1;
        rows.set(fresh, { at: stamp, v });
        await session.run(`INSERT INTO ${source} VALUES (${fresh}, '${timeText(stamp)}', ${v})`);
      } else {
        rows.set(id, { at: stamp, v });
        await session.run(
          `UPDATE ${source} SET seen_at = '${timeText(stamp)}', v = ${v} WHERE id = ${id}`,
        );
      }
    }
    await runPipeline(spec, deps);
    const now = await session.rows(`SELECT id, seen_at, v FROM ${name} ORDER BY id`);
    assert.deepEqual(
      now.map((one) => `${one["id"]} ${padded(String(one["seen_at"]))} ${one["v"]}`),
      [...rows].toSorted(([a], [b]) => a - b).map(([id, { at, v }]) =>
        `${id} ${timeText(at)} ${v}`
      ),
    );
  }
  await session.run(`DROP TABLE ${source}`);
  await session.run(`DROP TABLE ${name}`);
  const prefix = place.kind === "postgres" || place.kind === "duckdb"
    ? "ematix_flow."
    : "ematix_flow_";
  await session.run(`DELETE FROM ${prefix}watermarks`);
}

/** Databases leave out the zeros at the end of a fraction. */
function padded(text: string): string {
  const [whole = "", fraction = ""] = text.replace("T", " ").split(".");
  return `${whole}.${fraction.padEnd(6, "0")}`;
}

for (const kind of availableKinds()) {
  Deno.test(`incremental loses and doubles nothing, on ${kind}`, async () => {
    await checkProperty(kind, rounds, [], holdsTheSource);
  });
}
