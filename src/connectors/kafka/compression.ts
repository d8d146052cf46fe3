import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { CompressionCodecs, CompressionTypes } from "kafkajs";
import snappy from "snappyjs";
import { CorruptData, lz4Compress, lz4Decompress } from "../../formats/lz4_frame.ts";

/** What `compression` may say, and Kafka's number for it in the attributes of a batch. */
export const CODEC_NUMBERS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** A codec's name. */
export type CodecName = keyof typeof CODEC_NUMBERS;

/** `0x82 S N A P P Y 0x00`, with which Java's Snappy stream starts. */
const XERIAL_MAGIC = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00);
const XERIAL_HEADER_BYTES = 16;
const XERIAL_BLOCK_BYTES = 32 * 1024;
/** A batch of a hundred kilobytes comes out in two or three pieces; in the library's own size it is a dozen, and a third slower. */
const CHUNK_BYTES = 64 * 1024;

/**
 * The records of a batch, as they were before the producer compressed them.
 *
 * @param codec the lowest three bits of the batch's attributes
 * @throws {CorruptData} when they cannot be decompressed
 */
export function decompress(codec: number, data: Uint8Array): Uint8Array {
  try {
    switch (codec) {
      case CODEC_NUMBERS.none:
        return data;
      case CODEC_NUMBERS.gzip:
        return zlib.gunzipSync(data, { chunkSize: CHUNK_BYTES });
      case CODEC_NUMBERS.snappy:
        return snappyDecompress(data);
      case CODEC_NUMBERS.lz4:
        return lz4Decompress(data);
      case CODEC_NUMBERS.zstd:
        return zlib.zstdDecompressSync(data, { chunkSize: CHUNK_BYTES });
    }
  } catch (error) {
    if (error instanceof CorruptData) throw error;
    throw new CorruptData(error instanceof Error ? error.message : String(error), { cause: error });
  }
  throw new CorruptData(`unknown compression ${codec}`);
}

/** The data in the form that Kafka's own clients write. */
export function compress(codec: CodecName, data: Uint8Array): Uint8Array {
  switch (codec) {
    case "none":
      return data;
    case "gzip":
      return zlib.gzipSync(data);
    case "snappy":
      return snappyCompress(data);
    case "lz4":
      return lz4Compress(data);
    case "zstd":
      return zlib.zstdCompressSync(data);
  }
}

function snappyDecompress(data: Uint8Array): Uint8Array {
  if (!XERIAL_MAGIC.every((byte, at) => data[at] === byte)) return snappy.uncompress(data);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const blocks: Uint8Array[] = [];
  for (let at = XERIAL_HEADER_BYTES; at < data.length;) {
    if (at + 4 > data.length) throw new CorruptData("Snappy stream ends early");
    const size = view.getInt32(at);
    at += 4;
    if (size < 0 || at + size > data.length) throw new CorruptData("Snappy block ends early");
    blocks.push(snappy.uncompress(data.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat(blocks);
}

function snappyCompress(data: Uint8Array): Uint8Array {
  const header = new Uint8Array(XERIAL_HEADER_BYTES);
  header.set(XERIAL_MAGIC);
  const versions = new DataView(header.buffer);
  versions.setInt32(8, 1); // version
  versions.setInt32(12, 1); // compatible with
  const parts = [header];
  for (let at = 0; at < data.length; at += XERIAL_BLOCK_BYTES) {
    const block = snappy.compress(data.subarray(at, at + XERIAL_BLOCK_BYTES));
    const size = new Uint8Array(4);
    new DataView(size.buffer).setInt32(0, block.length);
    parts.push(size, block);
  }
  return Buffer.concat(parts);
}

/** What kafkajs hands to a codec: its growing buffer. */
interface Encoded {
  readonly buffer: Uint8Array;
}

/** Gives kafkajs (which compresses what we produce, and reads record sets of old formats) the codecs that it lacks. */
export function registerCodecs(): void {
  for (
    const [type, name] of [
      [CompressionTypes.Snappy, "snappy"],
      [CompressionTypes.LZ4, "lz4"],
      [CompressionTypes.ZSTD, "zstd"],
    ] as const
  ) {
    CompressionCodecs[type] = () => ({
      compress: (encoder: Encoded) => Promise.resolve(Buffer.from(compress(name, encoder.buffer))),
      decompress: (data: Uint8Array) =>
        Promise.resolve(Buffer.from(decompress(CODEC_NUMBERS[name], data))),
    });
  }
}
