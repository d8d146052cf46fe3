import assert from "node:assert/strict";
import fc from "fast-check";
import { CsvRecordReader } from "./csv_records.ts";
import { fileTest } from "./test_rig.ts";

const DIALECT = { delimiter: 0x2c, quote: 0x22, escape: 0x22, comment: -1 };

async function records(path: string, escape = DIALECT.escape): Promise<string[]> {
  const reader = await CsvRecordReader.open(path, "gzip", { ...DIALECT, escape }, 0);
  const found: string[] = [];
  try {
    for (;;) {
      const { bytes, starts } = await reader.next(3, 1 << 20);
      if (starts.length === 0) return found;
      found.push(...starts.map((start, at) => {
        return new TextDecoder().decode(
          bytes.subarray(start, (starts[at + 1] ?? bytes.length) - 1),
        );
      }));
    }
  } finally {
    await reader.close();
  }
}

const field = fc.string({ unit: fc.constantFrom("a", '"', ",", "\n", "ü", "\\"), maxLength: 12 });

fileTest("finds CSV records, whatever the pieces are", async (rig) => {
  const { gzipSync } = await import("node:zlib");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 9 }),
      async (rows, backslash, size) => {
        const quoted = (text: string) =>
          backslash
            ? `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
            : `"${text.replaceAll('"', '""')}"`;
        const lines = rows.map((row) => row.map(quoted).join(","));
        // Each archive of a few bytes becomes a piece of its own.
        const bytes = new TextEncoder().encode(`\uFEFF${lines.join("\n")}\n`);
        const pieces: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) {
          pieces.push(gzipSync(bytes.subarray(at, at + size)));
        }
        await rig.put(
          "a.csv.gz",
          new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer()),
        );
        const escape = backslash ? 0x5c : DIALECT.escape;
        assert.deepEqual(await records(`${rig.base}/a.csv.gz`, escape), lines);
      },
    ),
    { numRuns: 60 },
  );
});
