import assert from "node:assert/strict";
import fc from "fast-check";
import lz4 from "lz4js";
import { CorruptData, lz4Compress, lz4Decompress } from "./lz4_frame.ts";

/** Bytes that repeat themselves now and then, as real data does. */
const repetitive = fc.array(
  fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 30 })),
  { maxLength: 30 },
).map((parts) =>
  Uint8Array.from(parts.flatMap(([part, times]) => Array(times).fill([...part]).flat()))
);

Deno.test("lz4: what was compressed comes back", () => {
  fc.assert(fc.property(repetitive, (data) => {
    assert.deepEqual(lz4Decompress(lz4Compress(data)).slice(), data);
  }));
});

Deno.test("lz4: frames of another writer, with blocks that depend on earlier ones", () => {
  fc.assert(fc.property(repetitive, (data) => {
    assert.deepEqual(lz4Decompress(lz4.compress(data)).slice(), data);
  }));
  const large = Uint8Array.from({ length: 9 << 20 }, (_, at) => (at * 31 + (at >> 9)) & 0xff);
  assert.deepEqual(lz4Decompress(lz4.compress(large)).slice(), large);
});

Deno.test("lz4: another reader reads our frames, over several blocks", () => {
  const data = Uint8Array.from({ length: 300_000 }, (_, at) => (at % 251) ^ (at >> 12));
  const frame = lz4Compress(data);
  assert.ok(frame.length < data.length / 2);
  assert.deepEqual(Uint8Array.from(lz4.decompress(frame)), data);
});

Deno.test("lz4: cut or changed data is refused or decoded, never read beyond its end", () => {
  const frame = lz4Compress(Uint8Array.from({ length: 5_000 }, (_, at) => at % 7));
  fc.assert(
    fc.property(fc.nat(frame.length - 1), fc.nat(255), fc.nat(frame.length), (at, value, cut) => {
      const damaged = frame.slice(0, cut);
      if (at < cut) damaged[at] = value;
      try {
        lz4Decompress(damaged);
      } catch (error) {
        assert.ok(error instanceof CorruptData);
      }
    }),
  );
});
