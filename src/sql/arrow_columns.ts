import type { DuckDBVector } from "@duckdb/node-api";
import * as arrow from "apache-arrow";

/** Values of one column on their way into a record batch of Arrow. */
export interface ArrowColumn {
  readonly type: arrow.DataType;
  /** Bytes held so far, roughly. */
  readonly bytes: number;
  /** Takes the first `length` values of an engine's vector. */
  append(vector: DuckDBVector, length: number): void;
  /** The values as Arrow data; the column is empty afterwards. */
  take(): arrow.Data;
}

/** How a column of the engine goes into Arrow. */
export interface ArrowMapping {
  /** The expression that is selected, of a type whose layout the column understands. */
  readonly select: (expression: string) => string;
  readonly create: () => ArrowColumn;
}

const MICROSECOND_UTC = "UTC";

/** Types of a fixed width whose layout is the same in the engine and in Arrow: the bytes are copied. */
const SAME_LAYOUT: Readonly<Record<string, readonly [width: number, type: () => arrow.DataType]>> =
  {
    TINYINT: [1, () => new arrow.Int8()],
    SMALLINT: [2, () => new arrow.Int16()],
    INTEGER: [4, () => new arrow.Int32()],
    BIGINT: [8, () => new arrow.Int64()],
    UTINYINT: [1, () => new arrow.Uint8()],
    USMALLINT: [2, () => new arrow.Uint16()],
    UINTEGER: [4, () => new arrow.Uint32()],
    UBIGINT: [8, () => new arrow.Uint64()],
    FLOAT: [4, () => new arrow.Float32()],
    DOUBLE: [8, () => new arrow.Float64()],
    DATE: [4, () => new arrow.DateDay()],
    TIME: [8, () => new arrow.TimeMicrosecond()],
    TIMESTAMP: [8, () => new arrow.TimestampMicrosecond()],
    TIMESTAMP_NS: [8, () => new arrow.TimestampNanosecond()],
    "TIMESTAMP WITH TIME ZONE": [8, () => new arrow.TimestampMicrosecond(MICROSECOND_UTC)],
  };

/** Types that are cast to one of {@link SAME_LAYOUT} without a loss. */
const CAST: Readonly<Record<string, string>> = {
  TIMESTAMP_S: "TIMESTAMP",
  TIMESTAMP_MS: "TIMESTAMP",
};

const asItIs = (expression: string): string => expression;

/**
 * How values of an engine type go into Arrow: numbers, booleans, dates, times, DECIMAL, VARCHAR and BLOB as what they are (HUGEINT as
 * DECIMAL(38,0)), nested values as JSON text, everything else as the engine's text.
 */
export function arrowMapping(type: string): ArrowMapping {
  const cast = CAST[type];
  const layout = SAME_LAYOUT[cast ?? type];
  if (layout !== undefined) {
    const [width, make] = layout;
    return {
      select: cast === undefined ? asItIs : (expression) => `CAST(${expression} AS ${cast})`,
      create: () => new FixedColumn(make(), width),
    };
  }
  if (type === "BOOLEAN") return { select: asItIs, create: () => new BooleanColumn() };
  if (type === "BLOB") return { select: asItIs, create: () => new BytesColumn(new arrow.Binary()) };
  const [, precision = "38", scale = "0"] = /^DECIMAL\((\d+),(\d+)\)$/.exec(type) ?? [];
  if (/^(DECIMAL\(|U?HUGEINT$)/.test(type)) {
    return {
      // The engine keeps short decimals in fewer bytes; Arrow's have 16.
      select: (expression) => `CAST(${expression} AS DECIMAL(38,${scale}))`,
      create: () => new FixedColumn(new arrow.Decimal(Number(scale), Number(precision), 128), 16),
    };
  }
  const isNested = /^(STRUCT|MAP|UNION)\(|\]$/.test(type);
  return {
    select: (expression) => `CAST(${isNested ? `to_json(${expression})` : expression} AS VARCHAR)`,
    create: () => new BytesColumn(new arrow.Utf8()),
  };
}

/** What the engine's vectors have inside, which the client's types call private; reading value by value would make an object of each. */
interface RawVector {
  readonly items?: ArrayBufferView;
  readonly dataView?: DataView;
  readonly validity: { itemValid(index: number): boolean };
}

function rawOf(vector: DuckDBVector): RawVector {
  return vector as unknown as RawVector;
}

/** The bytes of a vector of fixed width. */
function bytesOf(vector: DuckDBVector, length: number): Uint8Array {
  const { items, dataView } = rawOf(vector);
  const view = items ?? dataView;
  if (view === undefined || view.byteLength < length) {
    throw new TypeError("the vector has no values of a fixed width");
  }
  return new Uint8Array(view.buffer, view.byteOffset, length);
}

/** Which values are not NULL, as Arrow wants it: one bit each, the lowest first. */
class ValidBits {
  #bits = new Uint8Array(1024);
  #count = 0;
  #nulls = 0;

  get count(): number {
    return this.#count;
  }

  get nulls(): number {
    return this.#nulls;
  }

  append(vector: DuckDBVector, length: number): void {
    const { validity } = rawOf(vector);
    this.#bits = roomFor(this.#bits, (this.#count + length + 7) >> 3);
    for (let i = 0; i < length; i += 1) {
      if (validity.itemValid(i)) setBit(this.#bits, this.#count + i);
      else this.#nulls += 1;
    }
    this.#count += length;
  }

  /** The bits, or nothing where there is no NULL. */
  take(): { readonly length: number; readonly nullCount: number; readonly nullBitmap: Uint8Array } {
    const taken = {
      length: this.#count,
      nullCount: this.#nulls,
      nullBitmap: this.#nulls === 0 ? new Uint8Array(0) : this.#bits,
    };
    this.#bits = new Uint8Array(1024);
    this.#count = 0;
    this.#nulls = 0;
    return taken;
  }
}

function setBit(bits: Uint8Array, at: number): void {
  bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
}

/** The same bytes with room for `size` of them. */
function roomFor(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  if (size <= bytes.length) return bytes;
  const larger = new Uint8Array(Math.max(size, bytes.length * 2));
  larger.set(bytes);
  return larger;
}

class FixedColumn implements ArrowColumn {
  readonly type: arrow.DataType;
  readonly #width: number;
  readonly #valid = new ValidBits();
  #values = new Uint8Array(16_384);

  constructor(type: arrow.DataType, width: number) {
    this.type = type;
    this.#width = width;
  }

  get bytes(): number {
    return this.#valid.count * this.#width;
  }

  append(vector: DuckDBVector, length: number): void {
    const at = this.bytes;
    const added = length * this.#width;
    this.#values = roomFor(this.#values, at + added);
    this.#values.set(bytesOf(vector, added), at);
    this.#valid.append(vector, length);
  }

  take(): arrow.Data {
    const used = this.bytes;
    const buffer = this.#values.buffer.slice(0, used);
    const data = new this.type.ArrayType(buffer);
    this.#values = new Uint8Array(16_384);
    return arrow.makeData({ type: this.type, ...this.#valid.take(), data } as never);
  }
}

class BooleanColumn implements ArrowColumn {
  readonly type: arrow.DataType = new arrow.Bool();
  readonly #valid = new ValidBits();
  #bits = new Uint8Array(1024);

  get bytes(): number {
    return this.#valid.count >> 3;
  }

  append(vector: DuckDBVector, length: number): void {
    const at = this.#valid.count;
    const values = bytesOf(vector, length);
    this.#bits = roomFor(this.#bits, (at + length + 7) >> 3);
    for (let i = 0; i < length; i += 1) {
      if (values[i] === 1) setBit(this.#bits, at + i);
    }
    this.#valid.append(vector, length);
  }

  take(): arrow.Data {
    const data = this.#bits;
    this.#bits = new Uint8Array(1024);
    return arrow.makeData({ type: this.type, ...this.#valid.take(), data } as never);
  }
}

/** Texts and byte strings: their bytes one after the other, and where each begins. */
class BytesColumn implements ArrowColumn {
  readonly type: arrow.Utf8 | arrow.Binary;
  readonly #valid = new ValidBits();
  readonly #encoder = new TextEncoder();
  #values = new Uint8Array(16_384);
  #used = 0;
  #offsets = new Int32Array(2049);

  constructor(type: arrow.Utf8 | arrow.Binary) {
    this.type = type;
  }

  get bytes(): number {
    return this.#used + this.#valid.count * 4;
  }

  append(vector: DuckDBVector, length: number): void {
    const at = this.#valid.count;
    if (at + length + 1 > this.#offsets.length) {
      const larger = new Int32Array(Math.max(at + length + 1, this.#offsets.length * 2));
      larger.set(this.#offsets);
      this.#offsets = larger;
    }
    for (let i = 0; i < length; i += 1) {
      this.#add(vector.getItem(i));
      this.#offsets[at + i + 1] = this.#used;
    }
    this.#valid.append(vector, length);
  }

  #add(value: unknown): void {
    if (typeof value === "string") {
      this.#values = roomFor(this.#values, this.#used + value.length * 3);
      const { written } = this.#encoder.encodeInto(value, this.#values.subarray(this.#used));
      this.#used += written;
    } else if (value !== null) {
      const { bytes } = value as { readonly bytes: Uint8Array };
      this.#values = roomFor(this.#values, this.#used + bytes.length);
      this.#values.set(bytes, this.#used);
      this.#used += bytes.length;
    }
  }

  take(): arrow.Data {
    const taken = {
      type: this.type,
      ...this.#valid.take(),
      data: this.#values.subarray(0, this.#used),
      valueOffsets: this.#offsets,
    };
    this.#values = new Uint8Array(16_384);
    this.#used = 0;
    this.#offsets = new Int32Array(2049);
    return arrow.makeData(taken as never);
  }
}
