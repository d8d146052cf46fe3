import { FlowError } from "../../core/error.ts";
import { CODEC_NUMBERS, decompress } from "./compression.ts";
import type { PayloadBuilder } from "./payload_builder.ts";

/** Positions within a record batch of format 2 (`magic`), the one that every broker since 0.11 keeps. */
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const BASE_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const RECORD_COUNT_AT = 57;
const RECORDS_AT = 61;
/** Bytes before those that the length counts. */
const LENGTH_OVERHEAD = 12;

const CODEC_MASK = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
/** Kafka's timestamp of a message that has none. */
const NO_TIMESTAMP = -1;
const NO_RECORDS = new Uint8Array(0);

/** A transaction that was aborted, as a fetch response lists them: its producer's batches from `firstOffset` on up to its abort marker. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** Part of a partition, as one fetch brought it, being turned into rows. */
export interface RecordSet {
  /** The offset behind the last row that was appended or skipped. */
  readonly position: number;
  /** Appends rows until the set is at its end (`true`) or the builder is full (`false`: to be called again with an empty one). */
  append(builder: PayloadBuilder, partition: number): boolean;
}

/** True when the bytes begin with a record batch of format 2, false for the message sets of older formats. */
export function isRecordBatch(data: Uint8Array): boolean {
  return data.length > MAGIC_AT && data[MAGIC_AT] === 2;
}

/** The last offset in the complete record batches of `data`, `undefined` when there is none. */
export function lastOffsetOf(data: Uint8Array): number | undefined {
  const view = viewOf(data);
  let last: number | undefined;
  for (let at = 0; isComplete(view, at);) {
    last = Number(view.getBigInt64(at)) + view.getInt32(at + LAST_OFFSET_DELTA_AT);
    at += LENGTH_OVERHEAD + view.getInt32(at + LENGTH_AT);
  }
  return last;
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

/** Whether a whole batch of format 2 stands at `at`. The end of a fetch may hold part of one. */
function isComplete(view: DataView, at: number): boolean {
  return at + RECORDS_AT <= view.byteLength &&
    at + LENGTH_OVERHEAD + view.getInt32(at + LENGTH_AT) <= view.byteLength &&
    view.getInt8(at + MAGIC_AT) === 2;
}

/**
 * Walks the record batches of one fetched partition and copies what is wanted of each record into a {@link PayloadBuilder}. Records below `from`,
 * of aborted transactions and of control batches are skipped, but `position` moves over them.
 */
export class RecordBatches implements RecordSet {
  position: number;
  readonly #data: Uint8Array;
  readonly #view: DataView;
  readonly #from: number;
  readonly #topic: string;
  /** By first offset, descending: the next one is taken from the end. */
  readonly #aborted: AbortedTransaction[];
  readonly #abortedProducers = new Set<bigint>();
  /** Where the next batch begins. */
  #next = 0;
  /** The records of the current batch that are still to be walked, and where they begin. */
  #records: Uint8Array = NO_RECORDS;
  #at = 0;
  #left = 0;
  #endOffset = 0;
  #baseOffset = 0;
  #baseTimestamp = 0;
  #appendTime: number | undefined;

  constructor(
    data: Uint8Array,
    from: number,
    aborted: readonly AbortedTransaction[],
    topic: string,
  ) {
    this.#data = data;
    this.#view = viewOf(data);
    this.#from = from;
    this.#topic = topic;
    this.position = from;
    this.#aborted = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset);
  }

  append(builder: PayloadBuilder, partition: number): boolean {
    while (true) {
      if (this.#left > 0) {
        this.#walk(builder, partition);
        if (this.#left > 0) return false;
        this.#records = NO_RECORDS;
        this.position = Math.max(this.position, this.#endOffset);
      }
      if (!isComplete(this.#view, this.#next)) return true;
      this.#openBatch(partition);
    }
  }

  #openBatch(partition: number): void {
    const view = this.#view;
    const start = this.#next;
    const end = start + LENGTH_OVERHEAD + view.getInt32(start + LENGTH_AT);
    this.#next = end;
    const attributes = view.getInt16(start + ATTRIBUTES_AT);
    this.#baseOffset = Number(view.getBigInt64(start));
    this.#endOffset = this.#baseOffset + view.getInt32(start + LAST_OFFSET_DELTA_AT) + 1;
    if (this.#isSkipped(start, end, attributes)) {
      this.position = Math.max(this.position, this.#endOffset);
      return;
    }
    this.#baseTimestamp = Number(view.getBigInt64(start + BASE_TIMESTAMP_AT));
    this.#appendTime = (attributes & LOG_APPEND_TIME) === 0
      ? undefined
      : Number(view.getBigInt64(start + MAX_TIMESTAMP_AT));
    const records = this.#data.subarray(start + RECORDS_AT, end);
    try {
      this.#records = decompress(attributes & CODEC_MASK, records);
    } catch (error) {
      throw this.#corrupt(partition, error);
    }
    this.#at = 0;
    this.#left = view.getInt32(start + RECORD_COUNT_AT);
    if (this.#left <= 0) this.position = Math.max(this.position, this.#endOffset);
  }

  /** Control batches carry no data; those of aborted transactions must not be seen. */
  #isSkipped(start: number, end: number, attributes: number): boolean {
    const producerId = this.#view.getBigInt64(start + PRODUCER_ID_AT);
    for (
      let next = this.#aborted.at(-1);
      next !== undefined && next.firstOffset < this.#endOffset;
      next = this.#aborted.at(-1)
    ) {
      this.#abortedProducers.add(next.producerId);
      this.#aborted.pop();
    }
    if ((attributes & CONTROL) !== 0) {
      if (isAbortMarker(this.#data.subarray(start + RECORDS_AT, end), attributes & CODEC_MASK)) {
        this.#abortedProducers.delete(producerId);
      }
      return true;
    }
    if (this.#endOffset <= this.#from) return true;
    return (attributes & TRANSACTIONAL) !== 0 && this.#abortedProducers.has(producerId);
  }

  /**
   * Copies the rows of the current batch. The records are copied to the builder's end in one go; from there every payload moves down over the
   * bytes between payloads (which are never fewer than the gap).
   */
  #walk(builder: PayloadBuilder, partition: number): void {
    const size = this.#records.length - this.#at;
    builder.reservePayload(size);
    const bytes = builder.payload;
    const base = builder.payloadEnd;
    bytes.set(this.#at === 0 ? this.#records : this.#records.subarray(this.#at), base);
    const end = base + size;
    const { keys, headers } = builder.wanted;
    let at = base;
    let to = base;
    let left = this.#left;
    while (left > 0) {
      const recordStart = at;
      cursor = at;
      const length = readVarint(bytes);
      at = cursor;
      const recordEnd = at + length;
      if (length < 6 || recordEnd > end) throw this.#corrupt(partition);
      cursor = at + 1; // attributes, unused by the format
      const timestampDelta = readVarlong(bytes);
      const offset = this.#baseOffset + readVarint(bytes);
      if (offset < this.#from) {
        at = recordEnd;
        left -= 1;
        continue;
      }
      const keyLength = readVarint(bytes);
      const keyStart = cursor;
      if (keyLength > 0) cursor += keyLength;
      const valueLength = readVarint(bytes);
      const valueStart = cursor;
      const valueEnd = valueLength > 0 ? valueStart + valueLength : valueStart;
      if (valueEnd > recordEnd) throw this.#corrupt(partition);
      const needed = (valueLength > 0 ? valueLength : 0) + (keys && keyLength > 0 ? keyLength : 0);
      if (!builder.fits(needed) || !builder.reserveRow()) {
        at = recordStart;
        break;
      }
      const row = builder.count;
      if (keys) builder.setKey(bytes, keyLength < 0 ? -1 : keyStart, keyStart + keyLength);
      if (headers) builder.headers.push(headersText(bytes, valueEnd, recordEnd));
      if (valueLength < 0) {
        builder.starts[row] = -1;
        builder.ends[row] = -1;
      } else {
        bytes.copyWithin(to, valueStart, valueEnd);
        builder.starts[row] = to;
        to += valueLength;
        builder.ends[row] = to;
        to += 1;
        builder.bytes += valueLength;
      }
      builder.setPosition(partition, offset);
      const millis = this.#appendTime ?? this.#baseTimestamp + timestampDelta;
      builder.setTime(millis === NO_TIMESTAMP ? 0 : millis);
      builder.count = row + 1;
      this.position = offset + 1;
      at = recordEnd;
      left -= 1;
    }
    builder.payloadEnd = to;
    this.#at += at - base;
    this.#left = left;
  }

  #corrupt(partition: number, cause?: unknown): FlowError {
    return new FlowError(
      `cannot read topic '${this.#topic}' partition ${partition}: the record batch at offset ${this.#baseOffset} is corrupt`,
      {
        code: "kafka_batch_corrupt",
        domain: "external",
        hint:
          "see what another client reads there; to go on behind it, move the stored offset past the batch",
        details: { topic: this.#topic, partition, offset: String(this.#baseOffset) },
        ...(cause === undefined ? {} : { cause }),
      },
    );
  }
}

/** Where the readers below are. A variable of the module, so that nothing is made per number; all of this is synchronous. */
let cursor = 0;

/** A signed (zigzag) number of at most 32 bits at the cursor. Behind the end of the data it is a value that the caller's bounds refuse. */
function readVarint(bytes: Uint8Array): number {
  let byte = bytes[cursor++] as number;
  if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
  let value = byte & 0x7f;
  let shift = 7;
  do {
    byte = bytes[cursor++] as number;
    value |= (byte & 0x7f) << shift;
    shift += 7;
  } while (byte >= 0x80 && shift < 35);
  return (value >>> 1) ^ -(value & 1);
}

/** A signed (zigzag) number of up to 64 bits at the cursor, exact up to 53 bits. */
function readVarlong(bytes: Uint8Array): number {
  let byte = bytes[cursor++] as number;
  if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
  let value = byte & 0x7f;
  let scale = 128;
  do {
    byte = bytes[cursor++] as number;
    value += (byte & 0x7f) * scale;
    scale *= 128;
  } while (byte >= 0x80);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

const texts = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The headers between `at` and `end` as JSON object text: values are texts (or null), and a name that occurs more than once has a list of
 * them. `null` when there are none.
 */
function headersText(bytes: Uint8Array, at: number, end: number): string | null {
  cursor = at;
  const count = readVarint(bytes);
  if (count <= 0) return null;
  const headers = new Map<string, (string | null)[]>();
  for (let index = 0; index < count && cursor < end; index += 1) {
    const name = readText(bytes) ?? "";
    const value = readText(bytes);
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return headersJson(headers);
}

/** The JSON object text of headers; `null` without any. */
export function headersJson(
  headers: ReadonlyMap<string, readonly (string | null)[]>,
): string | null {
  if (headers.size === 0) return null;
  const members = [...headers].map(([name, values]) =>
    `${JSON.stringify(name)}:${JSON.stringify(values.length === 1 ? values[0] : values)}`
  );
  return `{${members.join(",")}}`;
}

function readText(bytes: Uint8Array): string | null {
  const length = readVarint(bytes);
  if (length < 0) return null;
  const start = cursor;
  cursor += length;
  return texts.decode(bytes.subarray(start, cursor));
}

/** Whether the single record of a control batch says that a transaction was aborted: its key is a version and a type, 0 for abort. */
function isAbortMarker(data: Uint8Array, codec: number): boolean {
  const records = codec === CODEC_NUMBERS.none ? data : decompress(codec, data);
  cursor = 0;
  readVarint(records); // length
  cursor += 1; // attributes
  readVarlong(records); // timestamp
  readVarint(records); // offset
  const keyLength = readVarint(records);
  if (keyLength < 4) return false;
  return records[cursor + 2] === 0 && records[cursor + 3] === 0;
}
