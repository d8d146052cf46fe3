import assert from "node:assert/strict";
import snappy from "snappyjs";
import { lz4Compress } from "../../formats/lz4_frame.ts";
import { maskedCrc32c } from "../../formats/snappy_unpacker.ts";
import { fileTest, hastyClock } from "./test_rig.ts";

const LINES = Array.from({ length: 20_000 }, (_l, at) => `{"id":${at},"x":"${Math.sin(at)}"}`);
const TEXT = new TextEncoder().encode(LINES.join("\n"));

function framedSnappy(data: Uint8Array): Uint8Array {
  const parts = [Uint8Array.of(0xff, 6, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59)];
  for (let at = 0; at < data.length; at += 65536) {
    const block = data.subarray(at, at + 65536);
    const packed = snappy.compress(block);
    const header = new DataView(new ArrayBuffer(8));
    header.setUint32(0, (packed.length + 4) << 8, true);
    header.setUint32(4, maskedCrc32c(block), true);
    parts.push(new Uint8Array(header.buffer), packed);
  }
  const file = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) {
    file.set(part, to);
    to += part.length;
  }
  return file;
}

for (const [ending, pack] of [["lz4", lz4Compress], ["snappy", framedSnappy]] as const) {
  fileTest(`reads .${ending}, from any position on`, async (rig) => {
    await rig.putOld(`a.jsonl.${ending}`, pack(TEXT));
    assert.deepEqual(await rig.payloads("*"), LINES);
    await rig.putOld(`b.csv.${ending}`, pack(new TextEncoder().encode("id\n1\n2\n")));
    const csv = await rig.batches(await rig.source("b*"));
    assert.deepEqual(csv.map(({ rows }) => rows), [2]);
    const stored = { sourceId: "a*", partition: `a.jsonl.${ending}` };
    const bytes = LINES.slice(0, 15_000).join("\n").length + 1;
    for (const position of ["15000", `15000;${bytes}`]) {
      const source = await rig.source("a*", {}, {
        storedPositions: () => Promise.resolve([{ ...stored, position }]),
      });
      const batches = await rig.batches(source);
      assert.equal(batches.reduce((sum, { rows }) => sum + rows, 0), 5000);
    }
  });

  fileTest(`rows in front of the fault stay (.${ending})`, async (rig) => {
    const packed = pack(TEXT);
    await rig.putOld(`a.jsonl.${ending}`, packed.subarray(0, packed.length >> 1));
    await rig.putOld(`b.jsonl.${ending}`, "no archive");
    const batches = await rig.batches(await rig.source("", {}, { clock: hastyClock() }));
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    assert.ok(rows > 5000 && rows < 20_000, `${rows} rows`);
    const errors: string[] = [];
    for (const { unreadable } of batches) {
      if (unreadable === undefined) continue;
      const [row] = await rig.rows(`SELECT _error AS e FROM ${unreadable.table}`);
      errors.push(String(row?.["e"]));
    }
    assert.equal(errors.length, 2);
    assert.match(errors[0] ?? "", new RegExp(`from row ${rows} on, .*unexpected end of file$`));
    assert.match(errors[1] ?? "", /^the file 'b\.jsonl\..*it is no (LZ4 frame|framed Snappy)$/);
  });
}

fileTest("a .bz2 file costs itself only, and names what is read instead", async (rig) => {
  for (const path of ["a.jsonl.bz2", "b.csv.bz2", "c.json.bz2"]) await rig.putOld(path, "BZh9");
  await rig.putOld("d.jsonl", '{"id":1}\n');
  const batches = await rig.batches(await rig.source("", {}, { clock: hastyClock() }));
  assert.deepEqual(batches.map(({ rows }) => rows), [0, 0, 0, 1]);
  for (const { unreadable } of batches.slice(0, 3)) {
    const [row] = await rig.rows(`SELECT _error AS e FROM ${unreadable?.table}`);
    assert.match(String(row?.["e"]), /\.bz2 files are not supported \(compress with gzip, zstd/);
  }
});
