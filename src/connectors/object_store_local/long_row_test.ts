import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { MAX_ROW_BYTES } from "./json_file.ts";
import { fileTest, hastyClock } from "./test_rig.ts";

/** Text of more bytes than a row may have. */
function long(start: string, unit: string): Uint8Array {
  const bytes = new Uint8Array(MAX_ROW_BYTES + (1 << 20));
  const text = new TextEncoder().encode(unit);
  for (let at = 0; at < bytes.length; at += text.length) {
    bytes.set(text.subarray(0, bytes.length - at), at);
  }
  bytes.set(new TextEncoder().encode(start));
  return bytes;
}

for (
  const [what, path, content] of [
    ["an object that is not closed", "a.json.gz", long('[{"a":[[[[', '{"b": 1},')],
    ["a text that is not closed", "a.json.gz", long('["', "abcdefg ")],
    ["a line that does not end", "a.jsonl.gz", long("{", " 1234567")],
    ["a quote that is not closed", "a.csv.gz", long('a\n"', "1,2,3\n")],
  ] as const
) {
  fileTest(`${what} is refused in time (${path})`, async (rig) => {
    await rig.putOld(path, gzipSync(content, { level: 1 }));
    await rig.putOld("b.json", '[{"a":1}]');
    const startedAt = performance.now();
    const batches = await rig.batches(await rig.source("", {}, { clock: hastyClock() }));
    const refused = batches.flatMap(({ unreadable }) => unreadable ?? []);
    assert.equal(refused.length, 1);
    const [row] = await rig.rows(`SELECT _error AS e FROM ${refused[0]?.table}`);
    assert.match(
      String(row?.["e"]),
      new RegExp(`'${path}'.* is longer than ${MAX_ROW_BYTES} bytes`),
    );
    assert.equal(batches.reduce((sum, { rows }) => sum + rows, 0), 1);
    // Looking at it again with each piece took minutes.
    assert.ok(performance.now() - startedAt < 15_000);
  });
}
