import type { PayloadRows } from "../../core/session.ts";

/** Where rows lie in a piece of bytes, and which rows of their file they are. */
export interface RowSpans {
  count: number;
  /** Set when a row was found that no longer fits. */
  full: boolean;
  /** The first row is taken however long it is. */
  readonly anyFirst: boolean;
  /** Rows from this number on are left for later. */
  readonly stopRow: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Row numbers within the file. */
  readonly numbers: Float64Array;
}

/** Room for `rows` spans. */
export function newSpans(rows: number): RowSpans {
  return {
    count: 0,
    full: false,
    anyFirst: false,
    stopRow: Infinity,
    starts: new Int32Array(rows),
    ends: new Int32Array(rows),
    numbers: new Float64Array(rows),
  };
}

/** Collects rows of one or more files for one batch, within bounds of rows and bytes. */
export class PayloadBuilder {
  readonly #maxRows: number;
  readonly #maxBytes: number;
  /** The numbers of the partitions, in their order. */
  readonly #numbers = new Map<string, number>();
  #payload: Uint8Array;
  #starts = new Int32Array(1024);
  #ends = new Int32Array(1024);
  #partitions = new Int32Array(1024);
  #offsets = new BigInt64Array(1024);
  #used = 0;
  #bytes = 0;
  #count = 0;

  constructor(maxRows: number, maxBytes: number) {
    this.#maxRows = maxRows;
    this.#maxBytes = maxBytes;
    this.#payload = new Uint8Array(Math.min(maxBytes, 64 * 1024));
  }

  /** Rows so far. */
  get count(): number {
    return this.#count;
  }

  /** Payload bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many rows still fit. */
  get roomRows(): number {
    return this.#bytes >= this.#maxBytes ? 0 : this.#maxRows - this.#count;
  }

  /** How many bytes still fit. A single row may be longer, when it is the first. */
  get roomBytes(): number {
    return this.#maxBytes - this.#bytes;
  }

  /** The number under which rows of this partition are added. */
  partition(name: string): number {
    const number = this.#numbers.get(name) ?? this.#numbers.size;
    this.#numbers.set(name, number);
    return number;
  }

  /**
   * Adds rows. What lies between them is copied along (one copy for all): where rows stand one byte apart, as lines do, the engine
   * takes them as they are.
   */
  add(bytes: Uint8Array, spans: RowSpans, partition: number): void {
    if (spans.count === 0) return;
    const from = spans.starts[0] ?? 0;
    const to = spans.ends[spans.count - 1] ?? 0;
    // One byte between the rows of two blocks.
    const at = this.#used === 0 ? 0 : this.#used + 1;
    this.#reserve(this.#count + spans.count, at + to - from);
    this.#payload.set(bytes.subarray(from, to), at);
    const shift = at - from;
    for (let row = 0; row < spans.count; row += 1) {
      const start = spans.starts[row] ?? 0;
      const end = spans.ends[row] ?? 0;
      this.#starts[this.#count] = start + shift;
      this.#ends[this.#count] = end + shift;
      this.#partitions[this.#count] = partition;
      this.#offsets[this.#count] = BigInt(spans.numbers[row] ?? 0);
      this.#bytes += end - start;
      this.#count += 1;
    }
    this.#used = at + to - from;
  }

  /** The rows in the engine's form. The builder is not to be used after. */
  rows(): PayloadRows {
    return {
      count: this.#count,
      payload: this.#payload.subarray(0, this.#used),
      starts: this.#starts.subarray(0, this.#count),
      ends: this.#ends.subarray(0, this.#count),
      partitions: this.#partitions.subarray(0, this.#count),
      partitionNames: [...this.#numbers.keys()],
      offsets: this.#offsets.subarray(0, this.#count),
    };
  }

  #reserve(rows: number, bytes: number): void {
    if (rows > this.#starts.length) {
      const length = Math.max(rows, this.#starts.length * 2);
      this.#starts = grown(this.#starts, new Int32Array(length));
      this.#ends = grown(this.#ends, new Int32Array(length));
      this.#partitions = grown(this.#partitions, new Int32Array(length));
      this.#offsets = grown(this.#offsets, new BigInt64Array(length));
    }
    if (bytes > this.#payload.length) {
      this.#payload = grown(
        this.#payload,
        new Uint8Array(Math.max(bytes, this.#payload.length * 2)),
      );
    }
  }
}

function grown<T extends Int32Array | BigInt64Array | Uint8Array>(old: T, larger: T): T {
  // Both arrays are of the same kind, which `set` of the union type cannot say.
  (larger as Uint8Array).set(old as Uint8Array);
  return larger;
}
