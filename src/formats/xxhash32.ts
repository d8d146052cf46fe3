const PRIME_1 = 0x9e3779b1;
const PRIME_2 = 0x85ebca77;
const PRIME_3 = 0xc2b2ae3d;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;
const STRIPE_BYTES = 16;

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** The checksum of LZ4 frames (xxHash of 32 bits, seed 0), over bytes that come in pieces. */
export class XxHash32 {
  readonly #lanes = Int32Array.of(PRIME_1 + PRIME_2, PRIME_2, 0, -PRIME_1);
  /** Bytes that make no whole stripe yet. */
  readonly #rest = new Uint8Array(STRIPE_BYTES);
  #restBytes = 0;
  #total = 0;

  add(bytes: Uint8Array): void {
    this.#total += bytes.length;
    let at = 0;
    if (this.#restBytes > 0) {
      at = Math.min(STRIPE_BYTES - this.#restBytes, bytes.length);
      this.#rest.set(bytes.subarray(0, at), this.#restBytes);
      this.#restBytes += at;
      if (this.#restBytes < STRIPE_BYTES) return;
      this.#addStripes(this.#rest, 0, STRIPE_BYTES);
    }
    const whole = at + Math.floor((bytes.length - at) / STRIPE_BYTES) * STRIPE_BYTES;
    this.#addStripes(bytes, at, whole);
    this.#rest.set(bytes.subarray(whole));
    this.#restBytes = bytes.length - whole;
  }

  /** The checksum of all bytes so far. */
  digest(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#lanes;
    let hash = this.#total >= STRIPE_BYTES
      ? rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18)
      : PRIME_5;
    hash = (hash + this.#total) | 0;
    const view = new DataView(this.#rest.buffer);
    let at = 0;
    for (; at + 4 <= this.#restBytes; at += 4) {
      const word = Math.imul(view.getInt32(at, true), PRIME_3);
      hash = Math.imul(rotated((hash + word) | 0, 17), PRIME_4);
    }
    for (; at < this.#restBytes; at += 1) {
      hash = (hash + Math.imul(this.#rest[at] ?? 0, PRIME_5)) | 0;
      hash = Math.imul(rotated(hash, 11), PRIME_1);
    }
    hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
    hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  #addStripes(bytes: Uint8Array, from: number, to: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const lanes = this.#lanes;
    for (let at = from; at < to; at += STRIPE_BYTES) {
      for (let lane = 0; lane < 4; lane += 1) {
        const word = Math.imul(view.getInt32(at + lane * 4, true), PRIME_2);
        lanes[lane] = Math.imul(rotated(((lanes[lane] ?? 0) + word) | 0, 13), PRIME_1);
      }
    }
  }
}

/** The checksum of these bytes. */
export function xxHash32(bytes: Uint8Array): number {
  const hash = new XxHash32();
  hash.add(bytes);
  return hash.digest();
}
