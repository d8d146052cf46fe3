import assert from "node:assert/strict";
import { constants, zstdCompressSync } from "node:zlib";
import { ZstdFrames } from "./zstd_frames.ts";

const TEXTS: Readonly<Record<string, Uint8Array>> = {
  "no content": new Uint8Array(0),
  "a short text": new TextEncoder().encode("short"),
  "one byte again and again": new Uint8Array(300_000),
  "random bytes": random(200_000),
};

function random(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(count, at + 65_536)));
  }
  return bytes;
}

function isWhole(bytes: Uint8Array, piece = bytes.length): boolean {
  const frames = new ZstdFrames();
  for (let at = 0; at < bytes.length; at += piece) frames.add(bytes.subarray(at, at + piece));
  return frames.isWhole;
}

for (const [name, text] of Object.entries(TEXTS)) {
  for (const checksum of [0, 1]) {
    Deno.test(`zstd frames end where they should: ${name}, checksum ${checksum}`, () => {
      const params = { [constants.ZSTD_c_checksumFlag]: checksum };
      const one = zstdCompressSync(text, { params });
      const skippable = Uint8Array.of(0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
      const all = new Uint8Array([...one, ...skippable, ...one]);
      for (const piece of [1, 7, all.length]) assert.equal(isWhole(all, piece), true);
      assert.equal(isWhole(one), true);
      const cuts = [1, 3, 4, 5, one.length - 1, one.length >> 1, one.length - 4]
        .filter((cut) => cut > 0 && cut < one.length);
      for (const cut of cuts) {
        assert.equal(isWhole(one.subarray(0, cut)), false, `cut at ${cut} of ${one.length}`);
      }
      assert.equal(isWhole(all.subarray(0, one.length + 9)), false);
      assert.equal(isWhole(all.subarray(0, one.length + skippable.length + 2)), false);
    });
  }
}

Deno.test("zstd frames: an empty file is none, what is no frame is not judged", () => {
  assert.equal(isWhole(new Uint8Array(0)), false);
  assert.equal(isWhole(new TextEncoder().encode("something else")), true);
});
