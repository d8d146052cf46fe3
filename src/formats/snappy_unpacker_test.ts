import assert from "node:assert/strict";
import fc from "fast-check";
import snappy from "snappyjs";
import { CorruptData } from "./lz4_frame.ts";
import { maskedCrc32c, SnappyUnpacker } from "./snappy_unpacker.ts";

/** A file in the framing format that another program (cramjam, as python-snappy uses it) wrote: twelve lines of JSON. */
const WRITTEN = "/wYAAHNOYVBwWQCDAACzC5TFsAI4eyJpZCI6MCwibmFtZSI6BQcQIDAifQoJGQAxNhkAADEVGQAy" +
  "NhkAADIVGQAzNhkAADMVGQA0NhkAADQVGQA1NhkAADUVGQA2NhkAADYVGQA3NhkAADcVGQA4NhkA" +
  "ADgVGQA5NhkAADkVGQAxOvsABDEwGRs+/QAMMSJ9Cg==";
const CONTENT = Array.from({ length: 12 }, (_l, at) => `{"id":${at},"name":"name ${at}"}\n`).join(
  "",
);
const START = Uint8Array.of(0xff, 6, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59);

function unpack(bytes: Uint8Array, size: number): Uint8Array {
  const unpacker = new SnappyUnpacker();
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

function chunk(kind: number, body: Uint8Array): Uint8Array {
  const { length } = body;
  return joined(Uint8Array.of(kind, length & 255, (length >> 8) & 255, length >> 16), body);
}

function block(data: Uint8Array, kind: number): Uint8Array {
  const checksum = new Uint8Array(4);
  new DataView(checksum.buffer).setUint32(0, maskedCrc32c(data), true);
  return chunk(kind, joined(checksum, kind === 1 ? data : snappy.compress(data)));
}

Deno.test("snappy files: of another program, in whatever pieces, and cut", () => {
  const file = Uint8Array.fromBase64(WRITTEN);
  for (const size of [1, 7, 1000]) {
    assert.equal(new TextDecoder().decode(unpack(file, size)), CONTENT);
  }
  for (let cut = 0; cut < file.length; cut += 1) {
    // Behind the identifier a file may end: it is an empty one.
    if (cut === START.length) continue;
    assert.throws(() => unpack(file.subarray(0, cut), 50), CorruptData, `cut at ${cut}`);
  }
});

Deno.test("snappy files: a changed byte is found out", () => {
  const file = Uint8Array.fromBase64(WRITTEN);
  for (let at = 0; at < file.length; at += 1) {
    const damaged = file.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x10;
    assert.throws(() => unpack(damaged, 100), CorruptData, `byte ${at}`);
  }
});

Deno.test("snappy files: stored blocks, padding, and files one after the other", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0, 1))),
    fc.integer({ min: 1, max: 99 }),
    (blocks, size) => {
      const padding = chunk(0xfe, new Uint8Array(5));
      const file = joined(
        START,
        ...blocks.flatMap(([data, kind]) => [block(data, kind), padding, START, chunk(0x80, data)]),
      );
      assert.deepEqual(unpack(file, size), joined(...blocks.map(([data]) => data)));
    },
  ));
});

Deno.test("snappy files: what is no framing, or of a later format, is refused", () => {
  const data = new Uint8Array(10);
  for (
    const file of [
      snappy.compress(data),
      block(data, 0),
      joined(START, chunk(0x02, data)),
      joined(START, chunk(0x00, new Uint8Array(3))),
      joined(START, block(new Uint8Array(65537), 1)),
      joined(START, block(new Uint8Array(65537), 0)),
      chunk(0xff, new TextEncoder().encode("sNaPpy")),
    ]
  ) assert.throws(() => unpack(file, 1000), CorruptData);
});

Deno.test("snappy files: the checksum is the one of the format", () => {
  const crc = 0xe3069283; // CRC-32C of "123456789"
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  assert.equal(maskedCrc32c(new TextEncoder().encode("123456789")), masked);
});
