import type { PayloadRows } from "../../core/session.ts";

/** How many rows and payload bytes one batch may have. */
export interface BatchLimits {
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** Which parts of a message besides its payload are wanted. */
export interface WantedParts {
  readonly keys: boolean;
  readonly headers: boolean;
}

const FIRST_ROWS = 4096;
const FIRST_BYTES = 256 * 1024;
const TWO_32 = 4294967296;
/** The engine's last and first moment, in microseconds. */
const LAST_MICROS = 9_223_372_036_854_775_806n;
const FIRST_MICROS = -9_223_372_022_400_000_000n;

/**
 * Collects rows in the arrays that the engine takes (see {@link PayloadRows}). Made once and used over and over: the arrays
 * grow to what a batch needs and stay. The hot loops write to the public arrays directly; nothing is made per row.
 */
export class PayloadBuilder {
  readonly limits: BatchLimits;
  readonly wanted: WantedParts;
  count = 0;
  /** Payload bytes (and key bytes) so far, without gaps. */
  bytes = 0;
  payload = new Uint8Array(FIRST_BYTES);
  /** Where the next payload goes: one byte behind the gap after the last one. */
  payloadEnd = 0;
  starts = new Int32Array(FIRST_ROWS);
  ends = new Int32Array(FIRST_ROWS);
  partitions = new Int32Array(FIRST_ROWS);
  offsets = new BigInt64Array(FIRST_ROWS);
  eventTimesMicros = new BigInt64Array(FIRST_ROWS);
  /** The halves of `offsets` and `eventTimesMicros` (little endian), written without making bigints. */
  offsetHalves = new Int32Array(this.offsets.buffer);
  timeHalves = new Int32Array(this.eventTimesMicros.buffer);
  keyBytes = new Uint8Array(0);
  keyEnd = 0;
  keyStarts = new Int32Array(0);
  keyEnds = new Int32Array(0);
  headers: (string | null)[] = [];
  /** Set when a row did not fit any more. */
  full = false;

  constructor(limits: BatchLimits, wanted: WantedParts) {
    this.limits = limits;
    this.wanted = wanted;
    if (wanted.keys) {
      this.keyBytes = new Uint8Array(FIRST_BYTES);
      this.keyStarts = new Int32Array(FIRST_ROWS);
      this.keyEnds = new Int32Array(FIRST_ROWS);
    }
  }

  /** Forgets the rows, keeps the arrays. */
  reset(): void {
    this.count = 0;
    this.bytes = 0;
    this.payloadEnd = 0;
    this.keyEnd = 0;
    this.headers = [];
    this.full = false;
  }

  /** Makes room for one more row, within the limit of rows; `false` when there is none. */
  reserveRow(): boolean {
    if (this.count >= this.limits.maxRows) {
      this.full = true;
      return false;
    }
    if (this.count < this.starts.length) return true;
    const rows = this.starts.length * 2;
    this.starts = new Int32Array(grown(this.starts, rows));
    this.ends = new Int32Array(grown(this.ends, rows));
    this.partitions = new Int32Array(grown(this.partitions, rows));
    this.offsets = new BigInt64Array(grown(this.offsets, rows));
    this.eventTimesMicros = new BigInt64Array(grown(this.eventTimesMicros, rows));
    this.offsetHalves = new Int32Array(this.offsets.buffer);
    this.timeHalves = new Int32Array(this.eventTimesMicros.buffer);
    if (this.wanted.keys) {
      this.keyStarts = new Int32Array(grown(this.keyStarts, rows));
      this.keyEnds = new Int32Array(grown(this.keyEnds, rows));
    }
    return true;
  }

  /** Makes room for this many more bytes of payload (gaps included). */
  reservePayload(bytes: number): void {
    const needed = this.payloadEnd + bytes;
    if (needed <= this.payload.length) return;
    this.payload = new Uint8Array(
      grown(this.payload, Math.max(needed, Math.ceil(this.payload.length * 1.5))),
    );
  }

  /** True when a row of this many bytes still fits, or there is none yet; otherwise marks the batch as full. */
  fits(bytes: number): boolean {
    if (this.count === 0 || this.bytes + bytes <= this.limits.maxBytes) return true;
    this.full = true;
    return false;
  }

  /** Notes the key of row `count`; `start === -1` is no key. */
  setKey(source: Uint8Array, start: number, end: number): void {
    if (start === -1) {
      this.keyStarts[this.count] = -1;
      this.keyEnds[this.count] = -1;
      return;
    }
    const length = end - start;
    if (this.keyEnd + length + 1 > this.keyBytes.length) {
      this.keyBytes = new Uint8Array(
        grown(this.keyBytes, Math.max(this.keyEnd + length + 1, this.keyBytes.length * 2)),
      );
    }
    this.keyBytes.set(source.subarray(start, end), this.keyEnd);
    this.keyStarts[this.count] = this.keyEnd;
    this.keyEnds[this.count] = this.keyEnd + length;
    this.keyEnd += length + 1;
    this.bytes += length;
  }

  /** Notes the time of row `count`, milliseconds since the epoch; outside of what the engine knows, its first or last moment. */
  setTime(millis: number): void {
    const micros = millis * 1000;
    if (Number.isSafeInteger(micros)) {
      this.timeHalves[2 * this.count] = micros | 0;
      this.timeHalves[2 * this.count + 1] = Math.floor(micros / TWO_32);
      return;
    }
    const exact = BigInt(Math.trunc(millis)) * 1000n;
    this.eventTimesMicros[this.count] = exact > LAST_MICROS
      ? LAST_MICROS
      : exact < FIRST_MICROS
      ? FIRST_MICROS
      : exact;
  }

  /** Notes partition and offset of row `count`. Offsets are exact up to 2^53. */
  setPosition(partition: number, offset: number): void {
    this.partitions[this.count] = partition;
    this.offsetHalves[2 * this.count] = offset | 0;
    this.offsetHalves[2 * this.count + 1] = Math.floor(offset / TWO_32);
  }

  /** The rows as the engine takes them: views on the arrays, valid until {@link reset}. */
  rows(): PayloadRows {
    const { count } = this;
    return {
      count,
      payload: this.payload.subarray(0, this.payloadEnd),
      starts: this.starts.subarray(0, count),
      ends: this.ends.subarray(0, count),
      partitions: this.partitions.subarray(0, count),
      offsets: this.offsets.subarray(0, count),
      eventTimesMicros: this.eventTimesMicros.subarray(0, count),
      ...(this.wanted.keys
        ? {
          keys: {
            bytes: this.keyBytes.subarray(0, this.keyEnd),
            starts: this.keyStarts.subarray(0, count),
            ends: this.keyEnds.subarray(0, count),
          },
        }
        : {}),
      ...(this.wanted.headers ? { headers: this.headers } : {}),
    };
  }
}

/** The array's content in a buffer for `length` of its items. The old buffer's memory is given back at once, not at the next garbage collection. */
function grown(
  { buffer, BYTES_PER_ELEMENT }: (Uint8Array | Int32Array | BigInt64Array) & {
    readonly buffer: ArrayBuffer;
  },
  length: number,
): ArrayBuffer {
  return buffer.transfer(length * BYTES_PER_ELEMENT);
}
