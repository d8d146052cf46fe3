import assert from "node:assert/strict";
import { OffsetName } from "./offset_name.ts";

/** Offsets of databases by name: what the targets of one run read and write. */
class Stores {
  readonly positions = new Map<string, string>();

  /** One run: every target reads, goes on to `to` from where the lowest is, and commits. Returns where each stood. */
  async run(targets: readonly (readonly [table: string, place: string])[], to: string) {
    const taken = new Set<string>();
    const stood: Record<string, string> = {};
    const names: [string, string][] = [];
    for (const [index, [targetId, place]] of targets.entries()) {
      const name = new OffsetName("p", { targetId, isFirst: index === 0, taken });
      const read = (of: string) => {
        const position = this.positions.get(`${place}/${of}`);
        return Promise.resolve(
          position === undefined ? [] : [{ sourceId: "s", partition: "0", position }],
        );
      };
      const [offset] = await name.read(place, read);
      assert.deepEqual(await name.read(place, read), offset === undefined ? [] : [offset]);
      stood[targetId] = offset?.position ?? "new";
      names.push([place, name.name]);
    }
    assert.equal(new Set(names.map(String)).size, targets.length, "each has a name of its own");
    for (const [place, name] of names) this.positions.set(`${place}/${name}`, to);
    return stood;
  }
}

for (const places of [["db", "db", "db"], ["one", "two", "three"]] as const) {
  const [a, b, c] = (["a", "b", "c"] as const).map((table, at) => [table, places[at]] as const) as [
    readonly ["a", string],
    readonly ["b", string],
    readonly ["c", string],
  ];
  const where = places[0] === places[1] ? "one database" : "databases of their own";

  Deno.test(`targets in ${where} keep their places when their order changes`, async () => {
    const stores = new Stores();
    assert.deepEqual(await stores.run([a, b], "5"), { a: "new", b: "new" });
    assert.deepEqual(await stores.run([b, a], "7"), { a: "5", b: "5" });
    assert.deepEqual(await stores.run([b], "9"), { b: "7" });
    assert.deepEqual(await stores.run([a, b], "11"), { a: "7", b: "9" });
    assert.deepEqual(await stores.run([a], "12"), { a: "11" });
  });

  Deno.test(`a target that is put in front of others in ${where} does not take rows from them`, async () => {
    const stores = new Stores();
    assert.deepEqual(await stores.run([a], "5"), { a: "new" });
    const stood = await stores.run([c, a, b], "7");
    // In one database the newcomer may take over the only name there is; both go on from there, and nobody reads again.
    assert.deepEqual(Object.values(stood).sort(), ["5", "new", "new"]);
    assert.deepEqual(await stores.run([b, c, a], "9"), { a: "7", b: "7", c: "7" });
    assert.deepEqual(await stores.run([a, c], "10"), { a: "9", c: "9" });
  });
}

Deno.test("a pipeline of one target keeps its place when the target is called otherwise", async () => {
  const stores = new Stores();
  await stores.run([["a", "db"]], "5");
  assert.deepEqual(await stores.run([["renamed", "db"]], "6"), { renamed: "5" });
});
