import snappy from "snappyjs";
import { CorruptData } from "./lz4_frame.ts";
import { littleEndian, PendingBytes } from "./pending_bytes.ts";

/** `sNaPpY`, with which a file begins. */
const IDENTIFIER = Uint8Array.of(0x73, 0x4e, 0x61, 0x50, 0x70, 0x59);
const HEADER_BYTES = 4;
const CHECKSUM_BYTES = 4;
const MAX_BLOCK_BYTES = 65536;

/** What a chunk is, by its first byte. Those from {@link SKIPPABLE} on that are not named may be passed over. */
const PACKED = 0x00;
const STORED = 0x01;
const SKIPPABLE = 0x80;
const START = 0xff;

/** Unpacks a file in Snappy's framing format (as `snzip` and `python-snappy` write it), piece by piece. Checksums are verified. */
export class SnappyUnpacker {
  readonly #pending = new PendingBytes();
  #started = false;

  /**
   * Takes the file's next bytes; gives what they unpack to, each piece valid until the next one.
   *
   * @throws {CorruptData}
   */
  *add(bytes: Uint8Array): Generator<Uint8Array> {
    this.#pending.add(bytes);
    for (;;) {
      const header = this.#pending.peek(HEADER_BYTES);
      if (header === undefined) return;
      const kind = header[0] ?? 0;
      if (!this.#started && kind !== START) throw new CorruptData("it is no framed Snappy");
      const chunk = this.#pending.take(HEADER_BYTES + littleEndian(header, 1, 3));
      if (chunk === undefined) return;
      const body = chunk.subarray(HEADER_BYTES);
      if (kind === PACKED || kind === STORED) yield content(kind, body);
      else if (kind === START) this.#start(body);
      else if (kind < SKIPPABLE) throw new CorruptData("a Snappy chunk is of an unknown kind");
    }
  }

  /** The file has no more bytes. @throws {CorruptData} when it should have */
  end(): void {
    if (!this.#started || this.#pending.length > 0) throw new CorruptData("unexpected end of file");
  }

  #start(body: Uint8Array): void {
    const isIdentifier = body.length === IDENTIFIER.length &&
      IDENTIFIER.every((byte, at) => body[at] === byte);
    if (!isIdentifier) throw new CorruptData("it is no framed Snappy");
    this.#started = true;
  }
}

function content(kind: number, body: Uint8Array): Uint8Array {
  if (body.length < CHECKSUM_BYTES) throw new CorruptData("a Snappy chunk is too short");
  const packed = body.subarray(CHECKSUM_BYTES);
  const bytes = kind === STORED ? packed : uncompressed(packed);
  if (bytes.length > MAX_BLOCK_BYTES) {
    throw new CorruptData("a Snappy chunk is larger than allowed");
  }
  if (maskedCrc32c(bytes) !== littleEndian(body, 0, CHECKSUM_BYTES)) {
    throw new CorruptData("the checksum of a Snappy chunk is wrong");
  }
  return bytes;
}

function uncompressed(packed: Uint8Array): Uint8Array {
  try {
    return snappy.uncompress(packed, MAX_BLOCK_BYTES);
  } catch (cause) {
    throw new CorruptData("a Snappy chunk is damaged", { cause });
  }
}

/** CRC-32C of a byte, by the byte. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_byte, at) => {
  let crc = at;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** The checksum as the format has it: of a checksum that is itself checked, hence turned and shifted. */
export function maskedCrc32c(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
