import type { CopyPart } from "./copy_out.ts";

const HEADER_BYTES = 5;
const COPY_DATA = 0x64;

/** Cuts what comes from the socket during a COPY into messages: one type byte, a length of four bytes that counts itself, the content. */
export class FrameCutter {
  readonly #strips: boolean;
  /** The beginning of a message whose end has not come yet. */
  #rest: Uint8Array[] = [];
  #restBytes = 0;
  #neededBytes = HEADER_BYTES;

  /** @param strips take the headers off the rows */
  constructor(strips: boolean) {
    this.#strips = strips;
  }

  /**
   * The rows that are complete with this chunk, in place: the chunk is overwritten. Other messages go to `onMessage` as they come;
   * what follows the one after which the server waits for a statement goes there, too.
   */
  cut(
    chunk: Uint8Array,
    onMessage: (type: number, frame: Uint8Array) => void,
  ): CopyPart | undefined {
    const bytes = this.#withRest(chunk);
    if (bytes === undefined) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const strips = this.#strips;
    let [at, to, rows, longestRow] = [0, 0, 0, 0];
    let needed = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const type = bytes[at] ?? 0;
      const length = view.getUint32(at + 1) + 1;
      if (bytes.length - at < length) {
        needed = length;
        break;
      }
      if (type === COPY_DATA) {
        const from = strips ? at + HEADER_BYTES : at;
        if (from !== to) bytes.copyWithin(to, from, at + length);
        to += at + length - from;
        rows += 1;
        if (length > longestRow) longestRow = length;
      } else {
        onMessage(type, bytes.subarray(at, at + length));
      }
      at += length;
    }
    if (at < bytes.length) this.#keep(bytes.slice(at), needed);
    return rows === 0 ? undefined : { bytes: bytes.subarray(0, to), rows, longestRow };
  }

  #withRest(chunk: Uint8Array): Uint8Array | undefined {
    if (this.#restBytes === 0) return chunk;
    this.#rest.push(chunk);
    this.#restBytes += chunk.length;
    if (this.#restBytes < this.#neededBytes) return undefined;
    const bytes = new Uint8Array(this.#restBytes);
    let at = 0;
    for (const piece of this.#rest) {
      bytes.set(piece, at);
      at += piece.length;
    }
    this.#rest = [];
    this.#restBytes = 0;
    return bytes;
  }

  #keep(rest: Uint8Array, needed: number): void {
    this.#rest = [rest];
    this.#restBytes = rest.length;
    this.#neededBytes = needed;
  }
}
