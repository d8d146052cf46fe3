const FRAME = 0xfd2fb528;
/** The low four bits of a skippable frame's magic number are free. */
const SKIPPABLE = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const RLE_BLOCK = 1;

/**
 * Follows the frames and blocks of a zstd file (RFC 8878) to tell whether it ends where it should: the decompressor takes a file that was
 * cut for one that has ended.
 */
export class ZstdFrames {
  /** The bytes of the header that is being read. */
  #header: number[] = [];
  /** Bytes to be passed over. */
  #passing = 0;
  #inFrame = false;
  #hasChecksum = false;
  #frames = 0;
  /** Something else than frames was met, which the decompressor has to judge. */
  #lost = false;

  /** True when the bytes so far are whole frames, at least one. */
  get isWhole(): boolean {
    return this.#lost ||
      (!this.#inFrame && this.#frames > 0 && this.#passing === 0 && this.#header.length === 0);
  }

  /** The next bytes of the file. */
  add(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#lost) {
      if (this.#passing > 0) {
        const passed = Math.min(this.#passing, bytes.length - at);
        this.#passing -= passed;
        at += passed;
        continue;
      }
      this.#header.push(bytes[at] ?? 0);
      at += 1;
      if (this.#inFrame) this.#readBlockHeader();
      else this.#readFrameHeader();
    }
  }

  #readFrameHeader(): void {
    const { length } = this.#header;
    if (length < 4) return;
    const magic = this.#number(0, 4);
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      if (length === 8) this.#pass(this.#number(4, 4));
      return;
    }
    if (magic !== FRAME) {
      this.#lost = true;
      return;
    }
    if (length < 5) return;
    const descriptor = this.#header[4] ?? 0;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const sizeBytes = CONTENT_SIZE_BYTES[descriptor >> 6] ?? 0;
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    this.#inFrame = true;
    this.#frames += 1;
    // A single segment has no window, and always the size of its content.
    const window = isSingleSegment ? 0 : 1;
    const size = sizeBytes === 0 && isSingleSegment ? 1 : sizeBytes;
    this.#pass(window + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + size);
  }

  #readBlockHeader(): void {
    if (this.#header.length < 3) return;
    const header = this.#number(0, 3);
    const isLast = (header & 1) === 1;
    const size = ((header >> 1) & 3) === RLE_BLOCK ? 1 : header >> 3;
    if (isLast) this.#inFrame = false;
    this.#pass(size + (isLast && this.#hasChecksum ? 4 : 0));
  }

  #pass(bytes: number): void {
    this.#passing = bytes;
    this.#header = [];
  }

  #number(from: number, bytes: number): number {
    let number = 0;
    for (let at = bytes - 1; at >= 0; at -= 1) {
      number = number * 256 + (this.#header[from + at] ?? 0);
    }
    return number;
  }
}
