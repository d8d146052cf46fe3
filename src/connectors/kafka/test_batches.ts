import { Buffer } from "node:buffer";
import { RecordBatch } from "kafkajs/src/protocol/recordBatch/v0/index.js";
import Record from "kafkajs/src/protocol/recordBatch/record/v0/index.js";
import Long from "kafkajs/src/utils/long.js";
import { CODEC_NUMBERS, type CodecName, registerCodecs } from "./compression.ts";

/** A record as tests describe it. */
export interface TestRecord {
  readonly offsetDelta: number;
  readonly timestampDelta: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers?: Readonly<{ [name: string]: string | string[] }>;
}

/** A record batch as tests describe it. */
export interface TestBatch {
  readonly baseOffset: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp?: number;
  readonly lastOffsetDelta: number;
  readonly codec?: CodecName;
  readonly producerId?: number;
  readonly transactional?: boolean;
  /** Bits to set in the attributes besides those of kafkajs. */
  readonly attributes?: number;
  readonly records: readonly TestRecord[];
}

/** The batch in Kafka's format 2, encoded by kafkajs. */
export async function encodeBatch(batch: TestBatch): Promise<Buffer> {
  registerCodecs();
  const { buffer } = await RecordBatch({
    compression: CODEC_NUMBERS[batch.codec ?? "none"],
    firstOffset: Long.fromValue(batch.baseOffset),
    firstTimestamp: batch.baseTimestamp,
    maxTimestamp: batch.maxTimestamp ?? batch.baseTimestamp,
    lastOffsetDelta: batch.lastOffsetDelta,
    transactional: batch.transactional ?? false,
    producerId: Long.fromValue(batch.producerId ?? -1),
    records: batch.records.map((record) =>
      Record({
        ...record,
        key: record.key === null ? null : Buffer.from(record.key),
        value: record.value === null ? null : Buffer.from(record.value),
      })
    ),
  });
  const bytes = Buffer.from(buffer);
  bytes.writeInt16BE(bytes.readInt16BE(21) | (batch.attributes ?? 0), 21);
  return bytes;
}

/** The marker that ends a transaction, as the broker writes it. */
export async function encodeMarker(
  offset: number,
  producerId: number,
  type: "abort" | "commit",
): Promise<Buffer> {
  const key = type === "abort" ? "\x00\x00\x00\x00" : "\x00\x00\x00\x01";
  return await encodeBatch({
    baseOffset: offset,
    baseTimestamp: 0,
    lastOffsetDelta: 0,
    producerId,
    transactional: true,
    attributes: 0x20,
    records: [{ offsetDelta: 0, timestampDelta: 0, key, value: "\x00\x00\x00\x00\x00\x00" }],
  });
}
