/** What is wrong with compressed data. Callers add where it came from. */
export class CorruptData extends Error {
  override readonly name = "CorruptData";
}

/** The number that a frame begins with. */
export const FRAME_MAGIC = 0x184d2204;
/** How long the blocks of a frame are at most, by the number in its description. */
export const BLOCK_SIZES: readonly number[] = [0, 0, 0, 0, 1 << 16, 1 << 18, 1 << 20, 1 << 22];

/**
 * The content of an LZ4 frame (the form that Kafka's producers write). Blocks may depend on earlier ones. Checksums are not verified:
 * the broker has done so, and TCP has its own.
 *
 * @throws {CorruptData} when the data is no complete frame
 */
export function lz4Decompress(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 7 || view.getUint32(0, true) !== FRAME_MAGIC) {
    throw new CorruptData("no LZ4 frame");
  }
  const flags = view.getUint8(4);
  const hasBlockChecksums = (flags & 0x10) !== 0;
  const hasContentSize = (flags & 0x08) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  const maxBlockBytes = BLOCK_SIZES[(view.getUint8(5) >> 4) & 0x07] ?? 0;
  if (maxBlockBytes === 0) throw new CorruptData("LZ4 frame of unknown block size");
  let at = 6 + (hasContentSize ? 8 : 0) + (hasDictionary ? 4 : 0) + 1;
  let output: Uint8Array = new Uint8Array(frame.length * 4 + 64);
  let length = 0;
  while (true) {
    if (at + 4 > frame.length) throw new CorruptData("LZ4 frame ends early");
    const header = view.getUint32(at, true);
    at += 4;
    if (header === 0) return output.subarray(0, length);
    const size = header & 0x7fffffff;
    if (at + size > frame.length) throw new CorruptData("LZ4 block ends early");
    output = withRoom(output, length, maxBlockBytes);
    if ((header & 0x80000000) !== 0) {
      if (size > maxBlockBytes) throw new CorruptData("LZ4 block is larger than allowed");
      output.set(frame.subarray(at, at + size), length);
      length += size;
    } else {
      length = decompressBlock(frame, at, at + size, output, length, length + maxBlockBytes);
    }
    at += size + (hasBlockChecksums ? 4 : 0);
  }
}

/** Frame of version 1, with independent blocks (Kafka refuses others) of up to 64 KiB, without checksums but the header's. */
const FRAME_HEADER = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82);
const BLOCK_BYTES = 1 << 16;
const STORED = 0x80000000;

/** The format's rules for the end of a block: no match begins in the last 12 bytes, and the last 5 are literals. */
const NO_MATCH_BYTES = 12;
const LAST_LITERALS = 5;
const MIN_MATCH = 4;
const MAX_DISTANCE = 65535;
const HASH_BITS = 14;

/** The data as an LZ4 frame, in the form that Kafka's brokers and clients read. */
export function lz4Compress(data: Uint8Array): Uint8Array {
  const blocks = Math.ceil(data.length / BLOCK_BYTES);
  const frame = new Uint8Array(FRAME_HEADER.length + data.length + 4 * (blocks + 1));
  const view = new DataView(frame.buffer);
  // The worst case is larger than the block, which is then stored as it is.
  const packed = new Uint8Array(BLOCK_BYTES + BLOCK_BYTES / 128);
  const positions = new Int32Array(1 << HASH_BITS);
  frame.set(FRAME_HEADER);
  let to = FRAME_HEADER.length;
  for (let at = 0; at < data.length; at += BLOCK_BYTES) {
    const end = Math.min(at + BLOCK_BYTES, data.length);
    const size = compressBlock(data, at, end, packed, positions);
    const isSmaller = size < end - at;
    const content = isSmaller ? packed.subarray(0, size) : data.subarray(at, end);
    view.setUint32(to, isSmaller ? size : (STORED | content.length) >>> 0, true);
    frame.set(content, to + 4);
    to += 4 + content.length;
  }
  view.setUint32(to, 0, true); // end mark
  return frame.subarray(0, to + 4);
}

/**
 * Writes `input[start, end)` as a block to `output`; returns its size. `positions` holds, by hash, where four bytes were last seen, plus one; what it
 * knows of earlier blocks is passed over.
 */
function compressBlock(
  input: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
  positions: Int32Array,
): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let to = 0;
  let anchor = start;
  let misses = 0;
  for (let at = start; at < end - NO_MATCH_BYTES;) {
    const four = view.getInt32(at, true);
    const hash = Math.imul(four, -1640531535) >>> (32 - HASH_BITS);
    let candidate = (positions[hash] as number) - 1;
    positions[hash] = at + 1;
    if (
      candidate < start || at - candidate > MAX_DISTANCE || view.getInt32(candidate, true) !== four
    ) {
      // Where nothing repeats, look at fewer and fewer places.
      misses += 1;
      at += 1 + (misses >> 6);
      continue;
    }
    misses = 0;
    const distance = at - candidate;
    const literalEnd = at;
    at += MIN_MATCH;
    candidate += MIN_MATCH;
    while (at < end - LAST_LITERALS && input[at] === input[candidate]) {
      at += 1;
      candidate += 1;
    }
    const matched = at - literalEnd - MIN_MATCH;
    to = writeLiterals(input, anchor, literalEnd, output, to, Math.min(matched, 15));
    output[to++] = distance & 0xff;
    output[to++] = distance >> 8;
    if (matched >= 15) to = writeLength(output, to, matched - 15);
    anchor = at;
  }
  return writeLiterals(input, anchor, end, output, to, 0);
}

/** A token, and the literals that it begins with. */
function writeLiterals(
  input: Uint8Array,
  from: number,
  end: number,
  output: Uint8Array,
  to: number,
  matchNibble: number,
): number {
  const literals = end - from;
  output[to++] = (Math.min(literals, 15) << 4) | matchNibble;
  if (literals >= 15) to = writeLength(output, to, literals - 15);
  output.set(input.subarray(from, end), to);
  return to + literals;
}

function writeLength(output: Uint8Array, to: number, length: number): number {
  for (; length >= 255; length -= 255) output[to++] = 255;
  output[to++] = length;
  return to;
}

function withRoom(bytes: Uint8Array, used: number, more: number): Uint8Array {
  if (used + more <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(bytes.length * 2, used + more));
  larger.set(bytes.subarray(0, used));
  return larger;
}

/**
 * Writes the block `input[at, end)` to `output` from `to` on, where earlier blocks may stand before; returns the position behind the last byte.
 *
 * @throws {CorruptData} also when it would go beyond `limit`
 */
export function decompressBlock(
  input: Uint8Array,
  at: number,
  end: number,
  output: Uint8Array,
  to: number,
  limit: number,
): number {
  while (at < end) {
    const token = input[at++] as number;
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= end) throw new CorruptData("LZ4 block ends within a length");
        more = input[at++] as number;
        literals += more;
      }
    }
    if (at + literals > end || to + literals > limit) {
      throw new CorruptData("LZ4 literals exceed their block");
    }
    for (const stop = at + literals; at < stop; at += 1) output[to++] = input[at] as number;
    if (at === end) return to;
    if (at + 2 > end) throw new CorruptData("LZ4 block ends within an offset");
    const distance = (input[at] as number) | ((input[at + 1] as number) << 8);
    at += 2;
    let matched = (token & 0x0f) + 4;
    if (matched === 19) {
      let more = 255;
      while (more === 255) {
        if (at >= end) throw new CorruptData("LZ4 block ends within a length");
        more = input[at++] as number;
        matched += more;
      }
    }
    if (distance === 0 || distance > to || to + matched > limit) {
      throw new CorruptData("LZ4 match exceeds its block");
    }
    // Byte by byte: source and destination may overlap, and then the match repeats itself.
    for (const stop = to + matched; to < stop; to += 1) {
      output[to] = output[to - distance] as number;
    }
  }
  return to;
}
