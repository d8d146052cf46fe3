import { Kafka, logLevel, type Producer } from "kafkajs";

/** Messages per key before the next key: version 0, 1, 2 … of each. */
const KEYS = 50;

/** One event: `id` counts all events from 0, `k` is a key, `version` counts the events of that key. */
export interface FeedEvent {
  readonly id: number;
  readonly k: number;
  readonly version: number;
}

/** Makes the topic with `partitions` partitions. */
export async function createTopic(
  brokers: string,
  topic: string,
  partitions: number,
): Promise<void> {
  const admin = client(brokers).admin();
  await admin.connect();
  try {
    await admin.createTopics({
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1 }],
      waitForLeaders: true,
    });
  } finally {
    await admin.disconnect();
  }
}

/** Sends the messages to the partitions that they name. */
export async function produce(
  brokers: string,
  topic: string,
  messages: readonly { value: string | Uint8Array | null; partition?: number; key?: string }[],
): Promise<void> {
  const producer = client(brokers).producer();
  await producer.connect();
  try {
    for (let from = 0; from < messages.length; from += 5000) {
      await producer.send({
        topic,
        messages: messages.slice(from, from + 5000).map(({ value, ...rest }) => ({
          ...rest,
          value: value === null || typeof value === "string"
            ? value
            : new Uint8Array(value) as never,
        })),
      });
    }
  } finally {
    await producer.disconnect();
  }
}

/**
 * Feeds a topic slowly and without an end, so that a process that reads it can be killed in the middle of the load as often as wanted.
 * Events of a key always go to the same partition, so that they keep their order.
 */
export class Feed {
  readonly #producer: Producer;
  readonly #topic: string;
  readonly #partitions: number;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #events = 0;

  constructor(brokers: string, topic: string, partitions: number) {
    this.#producer = client(brokers).producer({ idempotent: true, maxInFlightRequests: 1 });
    this.#topic = topic;
    this.#partitions = partitions;
  }

  /** Starts feeding `rowsPerTick` events every `tickMs`. */
  async start(rowsPerTick: number, tickMs: number): Promise<void> {
    await this.#producer.connect();
    this.#running = (async () => {
      while (!this.#stop.signal.aborted) {
        await this.#send(rowsPerTick);
        await new Promise((resolve) => setTimeout(resolve, tickMs));
      }
    })();
  }

  /** Stops, and tells how many events there are. */
  async stop(): Promise<number> {
    this.#stop.abort();
    await this.#running;
    await this.#producer.disconnect();
    return this.#events;
  }

  async #send(count: number): Promise<void> {
    const messages = Array.from({ length: count }, (_value, at) => {
      const event = eventOf(this.#events + at);
      return { value: JSON.stringify(event), partition: event.k % this.#partitions };
    });
    await this.#producer.send({ topic: this.#topic, messages });
    this.#events += count;
  }
}

/** The event of that number. */
export function eventOf(id: number): FeedEvent {
  return { id, k: id % KEYS, version: Math.floor(id / KEYS) };
}

function client(brokers: string): Kafka {
  return new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
}
