import assert from "node:assert/strict";
import fc from "fast-check";
import { exportedRows } from "./exported_rows.ts";

const row = fc.record({
  row: fc.nat().map(String),
  key: fc.option(fc.string({ unit: "grapheme" })),
  value: fc.object().map((value) => JSON.stringify(value)),
}, { noNullPrototype: true });

Deno.test("exported rows: rows come out whole, wherever the pieces were cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(row), fc.integer({ min: 1, max: 40 }), async (rows, size) => {
      const text = rows.map(({ row, key, value }) =>
        `${row}\t${key === null ? "" : JSON.stringify(key)}\t${value}\n`
      ).join("");
      const bytes = new TextEncoder().encode(text);
      async function* pieces() {
        // The exporter uses one buffer for all pieces.
        const piece = new Uint8Array(size);
        for (let at = 0; at < bytes.length; at += size) {
          const part = bytes.subarray(at, at + size);
          piece.set(part);
          yield await Promise.resolve(piece.subarray(0, part.length));
        }
      }
      const found = [];
      for await (const one of exportedRows(pieces())) {
        found.push({ ...one, value: one.value.toString() });
      }
      assert.deepEqual(found, rows);
    }),
  );
});
