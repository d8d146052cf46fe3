import assert from "node:assert/strict";
import fc from "fast-check";
import lz4 from "lz4js";
import { CorruptData, lz4Compress } from "./lz4_frame.ts";
import { Lz4Unpacker } from "./lz4_unpacker.ts";
import { XxHash32, xxHash32 } from "./xxhash32.ts";

/** Files of the program `lz4`: twelve lines of JSON. */
const WRITTEN = {
  "linked blocks, checksums of blocks and content":
    "BCJNGHRAvXQAAADxAHsiaWQiOjAsIm5hbWUiOgcAUiAwIn0KGQAaMRkAFTEZABoyGQAVMhkAGjMZ" +
    "ABUzGQAaNBkAFTQZABo1GQAVNRkAGjYZABU2GQAaNxkAFTcZABo4GQAVOBkAGjkZABU5GQAbMfsA" +
    "FzH8AAv9AFAxMSJ9Co0/qywAAAAAJ576TA==",
  "content size": "BCJNGGxAMAEAAAAAAACzcwAAAPEAeyJpZCI6MCwibmFtZSI6BwBSIDAifQoZABoxGQAVMRkAGjIZ" +
    "ABUyGQAaMxkAFTMZABo0GQAVNBkAGjUZABU1GQAaNhkAFTYZABo3GQAVNxkAGjgZABU4GQAaORkA" +
    "FjnhAAv7ABcx/AAL/QBQMTEifQoAAAAAJ576TA==",
  "no checksum, independent blocks":
    "BCJNGGBAgnQAAADxAHsiaWQiOjAsIm5hbWUiOgcAUiAwIn0KGQAaMRkAFTEZABoyGQAVMhkAGjMZ" +
    "ABUzGQAaNBkAFTQZABo1GQAVNRkAGjYZABU2GQAaNxkAFTcZABo4GQAVOBkAGjkZABU5GQAbMfsA" +
    "FzH8AAv9AFAxMSJ9CgAAAAA=",
};
const CONTENT = Array.from({ length: 12 }, (_l, at) => `{"id":${at},"name":"name ${at}"}\n`).join(
  "",
);

function unpack(bytes: Uint8Array, size: number): Uint8Array {
  const unpacker = new Lz4Unpacker();
  const pieces: number[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    for (const piece of unpacker.add(bytes.subarray(at, at + size))) {
      for (const byte of piece) pieces.push(byte);
    }
  }
  unpacker.end();
  return Uint8Array.from(pieces);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const repetitive = fc.array(
  fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 30 })),
  { maxLength: 30 },
).map((parts) =>
  Uint8Array.from(parts.flatMap(([part, times]) => Array(times).fill([...part]).flat()))
);

for (const [what, base64] of Object.entries(WRITTEN)) {
  Deno.test(`lz4 files: ${what}`, () => {
    const file = Uint8Array.fromBase64(base64);
    for (const size of [1, 7, 1000]) {
      assert.equal(new TextDecoder().decode(unpack(file, size)), CONTENT);
    }
    for (let cut = 0; cut < file.length; cut += 1) {
      assert.throws(() => unpack(file.subarray(0, cut), 50), CorruptData, `cut at ${cut}`);
    }
  });
}

Deno.test("lz4 files: several frames, with others to be passed over between them", () => {
  const frame = Uint8Array.fromBase64(WRITTEN["content size"]);
  const other = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
  const text = new TextDecoder().decode(unpack(joined(other, frame, other, frame, other), 9));
  assert.equal(text, CONTENT + CONTENT);
  assert.throws(() => unpack(other, 9), CorruptData);
});

Deno.test("lz4 files: whatever was written, in whatever pieces it comes", () => {
  fc.assert(fc.property(repetitive, fc.integer({ min: 1, max: 500 }), (data, size) => {
    assert.deepEqual(unpack(Uint8Array.from(lz4.compress(data)), size), data);
    assert.deepEqual(unpack(lz4Compress(data), size), data);
  }));
  // Blocks that depend on earlier ones, over the whole window.
  const large = Uint8Array.from({ length: 9 << 20 }, (_b, at) => (at * 31 + (at >> 9)) & 0xff);
  assert.ok(xxHash32(unpack(Uint8Array.from(lz4.compress(large)), 65536)) === xxHash32(large));
});

Deno.test("lz4 files: a changed byte is found out by a checksum", () => {
  for (const [what, base64] of Object.entries(WRITTEN)) {
    if (what.startsWith("no checksum")) continue;
    const file = Uint8Array.fromBase64(base64);
    for (let at = 0; at < file.length; at += 1) {
      const damaged = file.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      assert.throws(() => unpack(damaged, 100), CorruptData, `${what}, byte ${at}`);
    }
  }
});

Deno.test("xxHash32: known values, and pieces of any size", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  assert.equal(xxHash32(bytes("")), 0x02cc5d05);
  assert.equal(xxHash32(bytes("abc")), 0x32d153ff);
  assert.equal(xxHash32(bytes("Nobody inspects the spammish repetition")), 0xe2293b2f);
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
    const hash = new XxHash32();
    for (const piece of pieces) hash.add(piece);
    assert.equal(hash.digest(), xxHash32(joined(...pieces)));
  }));
});
