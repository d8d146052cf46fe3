import { Buffer } from "node:buffer";
import type { Batch } from "kafkajs";
import Decoder from "kafkajs/src/protocol/decoder.js";
import fetchRequests from "kafkajs/src/protocol/requests/fetch/index.js";
import decodeMessageSet from "kafkajs/src/protocol/messageSet/decoder.js";
import { type OldMessage, OldMessages } from "./message_set.ts";
import {
  type AbortedTransaction,
  isRecordBatch,
  lastOffsetOf,
  RecordBatches,
  type RecordSet,
} from "./record_batch.ts";

/**
 * kafkajs decodes every record of a fetch response into an object, which costs several times what everything else does. Consumers made after
 * {@link keepFetchedBytes} get, per partition, one stand-in message instead that holds the raw record set; kafkajs goes by
 * its offset and never looks inside. Aborted transactions and control batches are sorted out by {@link RecordBatches}.
 *
 * This leans on the inside of kafkajs 2.2.4 (requests are looked up by `definition.protocol({ version })`), so the version is pinned.
 */
interface StandIn {
  /** Offset of the last record, which kafkajs takes as the position reached. */
  readonly offset: string;
  readonly key: null;
  readonly value: null;
  readonly fetched: FetchedSet;
}

/** What a fetch brought of one partition. `hole`: the broker has nothing between the asked offset and the end of the partition. */
type FetchedSet =
  | {
    readonly kind: "batches";
    readonly data: Uint8Array;
    readonly aborted: readonly AbortedTransaction[];
  }
  | { readonly kind: "messages"; readonly messages: readonly OldMessage[] }
  | { readonly kind: "hole" };

interface FetchPartition {
  readonly partition: number;
  readonly fetchOffset: number | string;
}

interface FetchArguments {
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly FetchPartition[];
  }[];
}

interface PartitionData {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: string;
  readonly lastStableOffset?: string;
  readonly lastStartOffset?: string;
  abortedTransactions?: readonly unknown[];
  readonly preferredReadReplica?: number;
  messages: readonly (StandIn | OldMessage)[];
}

interface FetchData {
  readonly throttleTime: number;
  readonly responses: readonly {
    readonly topicName: string;
    readonly partitions: readonly PartitionData[];
  }[];
}

interface FetchProtocol {
  readonly request: unknown;
  readonly response: {
    decode(data: Buffer): Promise<FetchData>;
    parse(data: FetchData): Promise<FetchData>;
  };
  readonly requestTimeout: number;
}

interface FetchDefinition {
  protocol(at: { version: number }): (asked: FetchArguments) => FetchProtocol;
}

/** The part of kafkajs' reader of responses that is used here. */
interface ResponseDecoder {
  readInt16(): number;
  readInt32(): number;
  readInt64(): { toString(): string };
  readString(): string;
  readBytes(size: number): Buffer;
  readArray<Item>(read: (decoder: ResponseDecoder) => Item): Item[];
  canReadBytes(size: number): boolean;
}

/** The error that ends a consumer whose position the broker does not have (any more). */
export class OffsetLost extends Error {
  override readonly name = "OffsetLost";
  /** For kafkajs: do not try again, above all do not go on elsewhere by itself. */
  readonly retriable = false;
  readonly partition: number;
  readonly offset: string;

  constructor(partition: number, offset: string) {
    super(`the broker has no offset ${offset} in partition ${partition}`);
    this.partition = partition;
    this.offset = offset;
  }
}

let kept = false;

/** Makes all consumers of this process keep what they fetch as bytes. May be called more than once. */
export function keepFetchedBytes(): void {
  if (kept) return;
  kept = true;
  const definition: FetchDefinition = fetchRequests;
  const original = definition.protocol;
  definition.protocol = ({ version }) => {
    const make = original({ version });
    return (asked) => {
      const protocol = make(asked);
      return { ...protocol, response: keepingBytes(protocol.response, version, asked) };
    };
  };
}

function keepingBytes(
  original: FetchProtocol["response"],
  version: number,
  asked: FetchArguments,
): FetchProtocol["response"] {
  return {
    async decode(data) {
      return version < 4
        ? standInsForMessages(await original.decode(data), asked)
        : await decodeResponse(data, version, asked);
    },
    async parse(data) {
      try {
        return await original.parse(data);
      } catch (error) {
        throw lostOffsetOf(error, asked) ?? error;
      }
    },
  };
}

/** kafkajs would move a consumer with a lost offset to the topic's begin or end without a word. */
function lostOffsetOf(error: unknown, asked: FetchArguments): OffsetLost | undefined {
  if (!(error instanceof Error) || error.name !== "KafkaJSOffsetOutOfRange") return undefined;
  const { topic, partition } = error as Error & { topic: string; partition: number };
  return new OffsetLost(partition, askedOffset(asked, topic, partition));
}

function askedOffset(asked: FetchArguments, topic: string, partition: number): string {
  for (const part of asked.topics) {
    if (part.topic !== topic) continue;
    const found = part.partitions.find((one) => one.partition === partition);
    if (found !== undefined) return String(found.fetchOffset);
  }
  return "0";
}

/** Decodes a response of version 4 to 11, record sets excepted. */
export async function decodeResponse(
  data: Buffer,
  version: number,
  asked: FetchArguments,
): Promise<FetchData> {
  const decoder: ResponseDecoder = new Decoder(data);
  const throttleTime = decoder.readInt32();
  if (version >= 7) {
    decoder.readInt16(); // an error of the whole response, which belongs to fetch sessions; kafkajs makes none
    decoder.readInt32(); // id of the fetch session
  }
  const responses = decoder.readArray((topic) => ({
    topicName: topic.readString(),
    partitions: topic.readArray((part) => readPartition(part, version)),
  }));
  const isEmpty = responses.every(({ partitions }) =>
    partitions.every(({ records }) => records.length === 0)
  );
  return {
    // From version 6 on the client is asked to wait by itself, and may as well ask again (as kafkajs does).
    throttleTime: version >= 6 ? 0 : throttleTime,
    responses: await Promise.all(responses.map(async ({ topicName, partitions }) => ({
      topicName,
      partitions: await Promise.all(
        partitions.map(async ({ records, aborted, ...part }) => ({
          ...part,
          abortedTransactions: [],
          messages: await standIns(
            records,
            aborted,
            Number(askedOffset(asked, topicName, part.partition)),
            isEmpty && throttleTime === 0 && part.errorCode === 0
              ? Number(part.lastStableOffset)
              : 0,
          ),
        })),
      ),
    }))),
  };
}

function readPartition(decoder: ResponseDecoder, version: number) {
  const partition = decoder.readInt32();
  const errorCode = decoder.readInt16();
  const highWatermark = decoder.readInt64().toString();
  const lastStableOffset = decoder.readInt64().toString();
  const lastStartOffset = version >= 5 ? decoder.readInt64().toString() : "-1";
  const aborted = decoder.readArray((one): AbortedTransaction => ({
    producerId: BigInt(one.readInt64().toString()),
    firstOffset: Number(one.readInt64().toString()),
  }));
  const preferredReadReplica = version >= 11 ? decoder.readInt32() : -1;
  const size = decoder.readInt32();
  const records = size <= 0 || !decoder.canReadBytes(size)
    ? Buffer.alloc(0)
    : decoder.readBytes(size);
  return {
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    lastStartOffset,
    preferredReadReplica,
    aborted,
    records,
  };
}

/** @param emptyUntil the partition's end, when the whole response was empty; else 0 */
async function standIns(
  records: Buffer,
  aborted: readonly AbortedTransaction[],
  asked: number,
  emptyUntil: number,
): Promise<StandIn[]> {
  if (records.length === 0) {
    return asked < emptyUntil ? [standIn(asked, { kind: "hole" })] : [];
  }
  if (isRecordBatch(records)) {
    const last = lastOffsetOf(records);
    return last === undefined
      ? []
      : [standIn(Math.max(last, asked), { kind: "batches", data: records, aborted })];
  }
  const messages: OldMessage[] = await decodeMessageSet(new Decoder(records), records.length);
  return standInForMessages(messages, asked);
}

function standInForMessages(messages: readonly OldMessage[], asked: number): StandIn[] {
  const last = messages.at(-1);
  if (last === undefined) return [];
  return [standIn(Math.max(Number(last.offset), asked), { kind: "messages", messages })];
}

function standInsForMessages(data: FetchData, asked: FetchArguments): FetchData {
  for (const { topicName, partitions } of data.responses) {
    for (const part of partitions) {
      const from = Number(askedOffset(asked, topicName, part.partition));
      part.messages = standInForMessages(part.messages as readonly OldMessage[], from);
    }
  }
  return data;
}

function standIn(offset: number, fetched: FetchedSet): StandIn {
  return { offset: String(offset), key: null, value: null, fetched };
}

/** What `eachBatch` got of one partition. */
export interface Fetched {
  /** The offset that was asked for: the fetch is of use only if it is the one to go on at. */
  readonly from: number;
  /** The rows; `undefined` when the broker has none from `from` to the end of the partition. */
  readonly records: RecordSet | undefined;
  /** The offset to hand to `resolveOffset` when all of it was taken. */
  readonly lastOffset: string;
  readonly highWatermark: number;
}

/** Reads the stand-in of a batch that kafkajs gave to `eachBatch`. */
export function fetchedOf(batch: Batch): Fetched | undefined {
  const message = batch.messages[0] as unknown as StandIn | undefined;
  if (message === undefined) return undefined;
  // Not in the published types, but set by the constructor of kafkajs' Batch.
  const from = Number((batch as Batch & { readonly fetchedOffset: string | number }).fetchedOffset);
  return {
    from,
    records: recordSet(message.fetched, from, batch.topic),
    lastOffset: message.offset,
    highWatermark: Number(batch.highWatermark),
  };
}

function recordSet(fetched: FetchedSet, from: number, topic: string): RecordSet | undefined {
  switch (fetched.kind) {
    case "batches":
      return new RecordBatches(fetched.data, from, fetched.aborted, topic);
    case "messages":
      return new OldMessages(fetched.messages, from);
    case "hole":
      return undefined;
  }
}
