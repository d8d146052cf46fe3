/** Bytes that came in pieces, and are taken out in others. */
export class PendingBytes {
  #space = new Uint8Array(0);
  #from = 0;
  #to = 0;

  get length(): number {
    return this.#to - this.#from;
  }

  /** Puts a copy of the bytes at the end. What was taken before is not valid any more. */
  add(bytes: Uint8Array): void {
    const needed = this.length + bytes.length;
    if (this.#to + bytes.length > this.#space.length) {
      const space = needed > this.#space.length
        ? new Uint8Array(Math.max(needed, this.#space.length * 2))
        : this.#space;
      space.set(this.#space.subarray(this.#from, this.#to));
      this.#space = space;
      this.#from = 0;
    }
    this.#to = this.#from + needed;
    this.#space.set(bytes, this.#to - bytes.length);
  }

  /** The next bytes, which stay; `undefined` when there are not as many yet. */
  peek(count: number): Uint8Array | undefined {
    if (count > this.length) return undefined;
    return this.#space.subarray(this.#from, this.#from + count);
  }

  /** The next bytes, which are gone then; `undefined` when there are not as many yet. */
  take(count: number): Uint8Array | undefined {
    const bytes = this.peek(count);
    if (bytes !== undefined) this.#from += count;
    return bytes;
  }

  /** Passes over as many of the next bytes as are there; returns how many. */
  skip(count: number): number {
    const skipped = Math.min(count, this.length);
    this.#from += skipped;
    return skipped;
  }
}

/** The number that stands there, lowest byte first. */
export function littleEndian(bytes: Uint8Array, from: number, count: number): number {
  let number = 0;
  for (let at = from + count - 1; at >= from; at -= 1) number = number * 256 + (bytes[at] ?? 0);
  return number;
}
