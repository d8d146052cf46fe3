import { availableKinds, dependencies, newPlace, withScratch } from "./rig.ts";
import { MODE_CASES, type Pair } from "./modes_suite.ts";

const kinds = availableKinds();

for (const source of kinds) {
  for (const target of kinds) {
    const ways = source === target ? ["two databases", "one database"] : ["two databases"];
    for (const way of ways) {
      Deno.test(`${source} to ${target}, ${way}`, async (t) => {
        await withScratch(async (scratchDir) => {
          const from = await newPlace(source, scratchDir);
          const to = way === "one database" ? from : await newPlace(target, scratchDir);
          const pair: Pair = { from, to, deps: dependencies(scratchDir) };
          try {
            for (const [name, run] of MODE_CASES) await t.step(name, () => run(pair));
          } finally {
            await from.remove();
            if (to !== from) await to.remove();
          }
        });
      });
    }
  }
}
