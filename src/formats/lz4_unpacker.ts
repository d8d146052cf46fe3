import { BLOCK_SIZES, CorruptData, decompressBlock, FRAME_MAGIC } from "./lz4_frame.ts";
import { littleEndian, PendingBytes } from "./pending_bytes.ts";
import { XxHash32, xxHash32 } from "./xxhash32.ts";

/** The low four bits of a skippable frame's magic number are free. */
const SKIPPABLE = 0x184d2a50;
/** How far back a block may refer to earlier ones. */
const WINDOW_BYTES = 64 * 1024;
const STORED = 0x80000000;

/** What a frame says of itself. */
interface Frame {
  readonly maxBlockBytes: number;
  readonly hasBlockChecksums: boolean;
  /** Of all its content, where it has a checksum of that. */
  readonly hash: XxHash32 | undefined;
  /** The content so far, the last of it at the end: what blocks may refer to. */
  readonly output: Uint8Array;
  /** How much of `output` is of earlier blocks. */
  before: number;
}

/** Unpacks a file of LZ4 frames (as `lz4` writes them), piece by piece. Checksums are verified. */
export class Lz4Unpacker {
  readonly #pending = new PendingBytes();
  #frame: Frame | undefined;
  #frames = 0;
  #toSkip = 0;

  /**
   * Takes the file's next bytes; gives what they unpack to, each piece valid until the next one.
   *
   * @throws {CorruptData}
   */
  *add(bytes: Uint8Array): Generator<Uint8Array> {
    this.#pending.add(bytes);
    for (;;) {
      this.#toSkip -= this.#pending.skip(this.#toSkip);
      if (this.#toSkip > 0) return;
      const frame = this.#frame;
      if (frame === undefined) {
        if (!this.#begin()) return;
        continue;
      }
      const block = this.#takeBlock(frame);
      if (block === undefined) return;
      if (block.length === 0) continue;
      frame.hash?.add(block);
      yield block;
      this.#keepWindow(frame, block.length);
    }
  }

  /** The file has no more bytes. @throws {CorruptData} when it should have */
  end(): void {
    const isWhole = this.#frame === undefined && this.#frames > 0 && this.#toSkip === 0 &&
      this.#pending.length === 0;
    if (!isWhole) throw new CorruptData("unexpected end of file");
  }

  /** Begins a frame; false when its header is not there as a whole. */
  #begin(): boolean {
    const start = this.#pending.peek(8);
    if (start === undefined) {
      const magic = this.#pending.peek(4);
      if (magic !== undefined) checkMagic(littleEndian(magic, 0, 4));
      return false;
    }
    const magic = littleEndian(start, 0, 4);
    checkMagic(magic);
    if (magic !== FRAME_MAGIC) {
      this.#toSkip = littleEndian(start, 4, 4);
      this.#pending.skip(8);
      return true;
    }
    const flags = start[4] ?? 0;
    const hasSize = (flags & 0x08) !== 0;
    const hasDictionary = (flags & 0x01) !== 0;
    const length = 7 + (hasSize ? 8 : 0) + (hasDictionary ? 4 : 0);
    const header = this.#pending.take(length);
    if (header === undefined) return false;
    const checksum = (xxHash32(header.subarray(4, length - 1)) >>> 8) & 0xff;
    const maxBlockBytes = BLOCK_SIZES[((header[5] ?? 0) >> 4) & 7] ?? 0;
    if (flags >> 6 !== 1 || maxBlockBytes === 0 || header[length - 1] !== checksum) {
      throw new CorruptData("the header of an LZ4 frame is damaged");
    }
    if (hasDictionary) throw new CorruptData("the LZ4 frame needs a dictionary");
    this.#frames += 1;
    this.#frame = {
      maxBlockBytes,
      hasBlockChecksums: (flags & 0x10) !== 0,
      hash: (flags & 0x04) === 0 ? undefined : new XxHash32(),
      output: new Uint8Array(WINDOW_BYTES + maxBlockBytes),
      before: 0,
    };
    return true;
  }

  /** The content of the next block, nothing at the frame's end; `undefined` when it is not there as a whole. */
  #takeBlock(frame: Frame): Uint8Array | undefined {
    const start = this.#pending.peek(4);
    if (start === undefined) return undefined;
    const word = littleEndian(start, 0, 4);
    if (word === 0) return this.#finish(frame);
    const isStored = word >= STORED;
    const size = isStored ? word - STORED : word;
    if (size > frame.maxBlockBytes) throw new CorruptData("an LZ4 block is larger than allowed");
    const whole = this.#pending.take(4 + size + (frame.hasBlockChecksums ? 4 : 0));
    if (whole === undefined) return undefined;
    const packed = whole.subarray(4, 4 + size);
    if (frame.hasBlockChecksums && xxHash32(packed) !== littleEndian(whole, 4 + size, 4)) {
      throw new CorruptData("the checksum of an LZ4 block is wrong");
    }
    const { before, output, maxBlockBytes } = frame;
    if (isStored) {
      output.set(packed, before);
      return output.subarray(before, before + size);
    }
    return output.subarray(
      before,
      decompressBlock(packed, 0, size, output, before, before + maxBlockBytes),
    );
  }

  #finish(frame: Frame): Uint8Array | undefined {
    const end = this.#pending.take(frame.hash === undefined ? 4 : 8);
    if (end === undefined) return undefined;
    this.#frame = undefined;
    if (frame.hash !== undefined && frame.hash.digest() !== littleEndian(end, 4, 4)) {
      throw new CorruptData("the checksum of the LZ4 content is wrong");
    }
    return new Uint8Array(0);
  }

  #keepWindow(frame: Frame, added: number): void {
    const end = frame.before + added;
    frame.before = Math.min(end, WINDOW_BYTES);
    frame.output.copyWithin(0, end - frame.before, end);
  }
}

function checkMagic(magic: number): void {
  if (magic !== FRAME_MAGIC && (magic & 0xfffffff0) !== SKIPPABLE) {
    throw new CorruptData("it is no LZ4 frame");
  }
}
