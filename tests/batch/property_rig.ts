/** How property tests of the modes are run: how many cases, from which seed, and on which database. */
import fc from "fast-check";
import type { BatchDependencies } from "../../src/batch/dependencies.ts";
import type { DatabaseKind } from "../../src/core/database.ts";
import { dependencies, keptOpen, newPlace, type Place, withScratch } from "./rig.ts";

/** Cases of a run: as many on the quickest database as it takes to find rare things; the others show that they do the same. */
const CASES: Readonly<Record<DatabaseKind, number>> = {
  sqlite: 1000,
  duckdb: 100,
  postgres: 100,
  mysql: 60,
};

/** Seeds that once found something; they are run first, every time. */
export type KeptSeeds = readonly number[];

/** What a property gets: an empty database that stays connected. */
export interface PropertyPlace {
  readonly place: Place;
  readonly deps: BatchDependencies;
}

/**
 * Checks a property on one kind of database: first with the kept seeds, then with a new one, which is printed when it fails.
 * `FLOW_PROPERTY_SEED` repeats a run.
 */
export async function checkProperty<T>(
  kind: DatabaseKind,
  cases: fc.Arbitrary<T>,
  keptSeeds: KeptSeeds,
  holds: (place: PropertyPlace, value: T, index: number) => Promise<void>,
): Promise<void> {
  await withScratch(async (scratchDir) => {
    const place = await newPlace(kind, scratchDir);
    const open = await keptOpen(dependencies(scratchDir), place);
    let index = 0;
    const property = fc.asyncProperty(cases, async (value) => {
      index += 1;
      await holds({ place, deps: open.deps }, value, index);
    });
    try {
      for (const seed of keptSeeds) await fc.assert(property, { seed, numRuns: 50 });
      const given = Deno.env.get("FLOW_PROPERTY_SEED");
      await fc.assert(property, {
        numRuns: CASES[kind],
        ...(given === undefined ? {} : { seed: Number(given) }),
      });
    } finally {
      await open.close();
      await place.remove();
    }
  });
}
