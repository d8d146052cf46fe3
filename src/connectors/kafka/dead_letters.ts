import { Buffer } from "node:buffer";
import type { Options } from "../../core/connector.ts";
import type { DeadLetter, DeadLetterSink } from "../../core/dead_letter.ts";
import { FlowError, redactText } from "../../core/error.ts";
import { createClient, topicPlace } from "./client.ts";
import type { KafkaConnectionOptions } from "./options.ts";
import { TopicProducer } from "./producer.ts";
import { ensureTopic } from "./topic.ts";

/** Errors longer than this are cut: headers count towards the size of a message. */
const MAX_ERROR_CHARACTERS = 4_000;

/**
 * Dead letters in a topic: the payload and key as they came, everything else in headers. At least once; a letter that is written again has the
 * same `emat-dlq-id`. The topic is made when it is missing.
 */
export class KafkaDeadLetters implements DeadLetterSink {
  readonly #topic: string;
  readonly #options: KafkaConnectionOptions;
  #producer: TopicProducer<DeadLetter> | undefined;
  #tooLarge: DeadLetter[] = [];
  readonly place: string;

  constructor(options: Options, topic: string) {
    this.#topic = topic;
    // Validated by the connector's own entries.
    this.#options = options as KafkaConnectionOptions;
    this.place = topicPlace(this.#options, topic);
  }

  async open(signal: AbortSignal): Promise<void> {
    // Dead letters have no place for notices; failures come as errors.
    const client = await createClient(this.#options, () => {});
    await ensureTopic(client, this.#topic, true, signal);
    this.#producer = new TopicProducer(
      client,
      this.#topic,
      "none",
      (letter) => this.#tooLarge.push(letter),
    );
    await this.#producer.connect(signal);
  }

  async write(letters: readonly DeadLetter[]): Promise<void> {
    const producer = this.#producer;
    if (producer === undefined) {
      throw new FlowError(`the dead-letter topic '${this.#topic}' is not open`, {
        code: "dead_letters_not_open",
        domain: "internal",
      });
    }
    try {
      this.#tooLarge = [];
      await this.#send(producer, letters, true);
      // The headers can make a message too large that just fitted into its own topic. Better a letter that leads to
      // the message than none at all, or a pipeline that stands still.
      const tooLarge = this.#tooLarge;
      this.#tooLarge = [];
      await this.#send(producer, tooLarge, false);
      const [lost] = this.#tooLarge;
      if (lost !== undefined) throw this.#cannotKeep(lost);
    } finally {
      producer.clear();
    }
  }

  async #send(
    producer: TopicProducer<DeadLetter>,
    letters: readonly DeadLetter[],
    withPayload: boolean,
  ): Promise<void> {
    for (const letter of letters) {
      const headers = letterHeaders(letter);
      await producer.add({
        tag: letter,
        message: withPayload ? { key: letter.key, value: bufferOf(letter.payload), headers } : {
          key: letter.key,
          value: null,
          headers: {
            ...headers,
            "emat-dlq-payload-omitted-bytes": String(letter.payload?.length ?? 0),
          },
        },
      });
    }
    await producer.flush();
  }

  #cannotKeep({ id }: DeadLetter): FlowError {
    return new FlowError(
      `cannot write dead letter ${id} to topic '${this.#topic}': it is too large even without its payload`,
      {
        code: "kafka_dead_letter_too_large",
        domain: "user",
        hint: "raise max.message.bytes of the dead-letter topic",
        details: { topic: this.#topic, id },
      },
    );
  }

  async close(): Promise<void> {
    await this.#producer?.close();
    this.#producer = undefined;
  }
}

/** The headers of a dead letter. */
export function letterHeaders(letter: DeadLetter): Record<string, string> {
  return {
    "emat-dlq-id": letter.id,
    "emat-dlq-pipeline": letter.pipeline,
    "emat-dlq-stage": letter.stage,
    "emat-dlq-error": redactText(letter.error).slice(0, MAX_ERROR_CHARACTERS),
    "emat-dlq-source-id": letter.sourceId,
    "emat-dlq-topic": letter.sourceId.replace(/#\d+$/, ""),
    "emat-dlq-partition": letter.partition,
    "emat-dlq-offset": String(letter.offset),
    "emat-dlq-failed-at": new Date(letter.failedAtMs).toISOString(),
    "emat-dlq-attempt": String(letter.attempt),
    "emat-dlq-payload-format": letter.payloadFormat,
  };
}

function bufferOf(payload: Uint8Array | null): Buffer | null {
  return payload === null
    ? null
    : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}
