import assert from "node:assert/strict";
import fc from "fast-check";
import snappy from "snappyjs";
import { CODEC_NUMBERS, type CodecName, compress, decompress } from "./compression.ts";
import { CorruptData } from "../../formats/lz4_frame.ts";

const CODECS = Object.keys(CODEC_NUMBERS) as CodecName[];

for (const codec of CODECS) {
  Deno.test(`compression: ${codec} gives back what it got`, () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2_000 }), (data) => {
      assert.deepEqual(
        Uint8Array.from(decompress(CODEC_NUMBERS[codec], compress(codec, data))),
        data,
      );
    }));
    const large = new Uint8Array(200_000).fill(65);
    assert.deepEqual(
      Uint8Array.from(decompress(CODEC_NUMBERS[codec], compress(codec, large))),
      large,
    );
  });
}

Deno.test("compression: snappy without Java's framing is read too", () => {
  const data = new TextEncoder().encode("payload payload payload");
  assert.deepEqual(Uint8Array.from(decompress(CODEC_NUMBERS.snappy, snappy.compress(data))), data);
});

Deno.test("compression: garbage is refused as corrupt, whatever the codec says", () => {
  const garbage = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00, 1, 2, 3);
  for (const codec of [CODEC_NUMBERS.gzip, CODEC_NUMBERS.lz4, CODEC_NUMBERS.zstd, 7]) {
    assert.throws(() => decompress(codec, garbage), CorruptData);
  }
  const short = Uint8Array.of(...garbage.subarray(0, 8), 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 99, 1);
  assert.throws(() => decompress(CODEC_NUMBERS.snappy, short), CorruptData);
});
