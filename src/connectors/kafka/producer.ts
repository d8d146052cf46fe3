import { CompressionTypes, type Message, Partitioners, type Producer } from "kafkajs";
import { connect, disconnect, type KafkaClient } from "./client.ts";
import type { CodecName } from "./compression.ts";
import { type Attempt, kafkaError } from "./kafka_error.ts";

/** Brokers take batches of a mebibyte unless they are told otherwise. */
const CHUNK_BYTES = 900_000;
const CHUNK_MESSAGES = 10_000;
/** What a message costs besides key, value and headers. */
const MESSAGE_OVERHEAD_BYTES = 32;

const COMPRESSIONS: Readonly<Record<CodecName, CompressionTypes>> = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

/** A message with what its sender knows it by. */
export interface Outgoing<Tag> {
  readonly message: Message;
  readonly tag: Tag;
}

/** Called with a message that the broker refuses for its size, and how large it is. */
export type Refused<Tag> = (tag: Tag, bytes: number) => void;

/**
 * Sends messages to one topic in bounded chunks, in order, idempotently, each acknowledged by all replicas. A chunk that is too large for the
 * broker is sent in halves, until only the messages that are too large by themselves are left over.
 */
export class TopicProducer<Tag> {
  readonly #topic: string;
  readonly #compression: CompressionTypes;
  readonly #producer: Producer;
  readonly #attempt: Attempt;
  readonly #refused: Refused<Tag>;
  #chunk: Outgoing<Tag>[] = [];
  #chunkBytes = 0;

  constructor(client: KafkaClient, topic: string, compression: CodecName, refused: Refused<Tag>) {
    this.#topic = topic;
    this.#compression = COMPRESSIONS[compression];
    this.#refused = refused;
    this.#attempt = {
      doing: `write to topic '${topic}'`,
      brokers: client.brokers,
      details: { topic },
    };
    this.#producer = client.kafka.producer({
      createPartitioner: Partitioners.DefaultPartitioner,
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      // kafkajs wants many retries of an idempotent producer; with these the last one is about 20 s after the first.
      retry: { initialRetryTime: 200, retries: 8, maxRetryTime: 5_000 },
    });
  }

  async connect(signal: AbortSignal): Promise<void> {
    await connect(this.#producer, this.#attempt, signal);
  }

  /** Takes a message; sends when enough have come together. */
  async add(outgoing: Outgoing<Tag>): Promise<void> {
    const bytes = messageBytes(outgoing.message);
    if (
      this.#chunk.length > 0 &&
      (this.#chunkBytes + bytes > CHUNK_BYTES || this.#chunk.length >= CHUNK_MESSAGES)
    ) await this.flush();
    this.#chunk.push(outgoing);
    this.#chunkBytes += bytes;
  }

  /** Sends what has come together. All messages taken so far are acknowledged when this returns. */
  async flush(): Promise<void> {
    const chunk = this.#chunk;
    this.#chunk = [];
    this.#chunkBytes = 0;
    await this.#send(chunk);
  }

  /** Drops what has come together and was not sent. */
  clear(): void {
    this.#chunk = [];
    this.#chunkBytes = 0;
  }

  async #send(chunk: readonly Outgoing<Tag>[]): Promise<void> {
    const [first] = chunk;
    if (first === undefined) return;
    try {
      await this.#producer.send({
        topic: this.#topic,
        acks: -1,
        compression: this.#compression,
        messages: chunk.map(({ message }) => message),
      });
    } catch (error) {
      if (!isTooLarge(error)) throw kafkaError(error, this.#attempt);
      if (chunk.length === 1) {
        this.#refused(first.tag, messageBytes(first.message));
        return;
      }
      const middle = Math.ceil(chunk.length / 2);
      await this.#send(chunk.slice(0, middle));
      await this.#send(chunk.slice(middle));
    }
  }

  async close(): Promise<void> {
    await disconnect(this.#producer);
  }
}

function messageBytes({ key, value, headers }: Message): number {
  let bytes = MESSAGE_OVERHEAD_BYTES + sizeOf(key) + sizeOf(value);
  for (const [name, header] of Object.entries(headers ?? {})) {
    bytes += name.length + (Array.isArray(header) ? 0 : sizeOf(header));
  }
  return bytes;
}

/** Bytes of a text or buffer. Texts are taken as they would be at worst for their usual content, without encoding them. */
function sizeOf(part: string | Uint8Array | null | undefined): number {
  return part?.length ?? 0;
}

const TOO_LARGE: ReadonlySet<unknown> = new Set(["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"]);

function isTooLarge(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (TOO_LARGE.has((error as Error & { readonly type?: string }).type)) return true;
    if (error.cause === error) return false;
  }
  return false;
}
