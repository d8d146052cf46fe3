import assert from "node:assert/strict";
import { rowArrays } from "./lines.ts";

Deno.test("rowArrays gives whole rows wherever the text is cut", async () => {
  const rows = [["a"], ["b", "ü,\n"], [null], ["c".repeat(9)]];
  const bytes = new TextEncoder().encode(rows.map((row) => `${JSON.stringify(row)},\n`).join(""));
  for (let first = 0; first <= bytes.length; first += 1) {
    for (let second = first; second <= bytes.length; second += 1) {
      const cuts = [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)];
      const pieces = (async function* () {
        yield* await Promise.resolve(cuts.filter((cut) => cut.length > 0));
      })();
      const found = await Array.fromAsync(rowArrays(pieces));
      const parsed = found.flatMap((text) => JSON.parse(new TextDecoder().decode(text)));
      assert.deepEqual(parsed, rows, `${first} ${second}`);
    }
  }
});
