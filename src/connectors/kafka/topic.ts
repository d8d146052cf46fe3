import type { Clock } from "../../core/clock.ts";
import { FlowError } from "../../core/error.ts";
import { type KafkaClient, withAdmin } from "./client.ts";

/** A topic that is missing may be about to be made: it is looked for this long. */
const APPEARS_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 500;

/** The begin and the end of a partition: the first offset that it has, and the one behind its last (committed) record. */
export interface PartitionBounds {
  readonly low: number;
  readonly high: number;
}

/**
 * The topic's partitions with their bounds. Waits for a topic that is not there yet when `mayAppear`.
 *
 * @throws {FlowError} `kafka_unknown_topic`, `kafka_unreachable` …
 */
export async function topicBounds(
  client: KafkaClient,
  topic: string,
  wait: { readonly mayAppear: boolean; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ReadonlyMap<number, PartitionBounds>> {
  const deadline = wait.clock.monotonic() + (wait.mayAppear ? APPEARS_WITHIN_MS : 0);
  const attempt = { doing: `read topic '${topic}'`, brokers: client.brokers, details: { topic } };
  return await withAdmin(client, attempt, wait.signal, async (admin) => {
    while (true) {
      const exists = (await admin.listTopics()).includes(topic);
      if (exists) break;
      if (wait.clock.monotonic() >= deadline) throw unknownTopic(client, topic, wait.mayAppear);
      await wait.clock.sleep(LOOK_EVERY_MS, wait.signal);
    }
    const bounds = await admin.fetchTopicOffsets(topic);
    return new Map(bounds.map(({ partition, low, high }) => [
      partition,
      { low: Number(low), high: Number(high) },
    ]));
  });
}

function unknownTopic(client: KafkaClient, topic: string, waited: boolean): FlowError {
  const brokers = client.brokers.join(", ");
  return new FlowError(
    `cannot read topic '${topic}': the brokers at ${brokers} know no such topic` +
      (waited ? `, ${APPEARS_WITHIN_MS / 1000} s after the start` : ""),
    {
      code: "kafka_unknown_topic",
      domain: "user",
      hint:
        "create the topic, correct the query, or give this user the right to describe the topic",
      details: { topic, brokers: client.brokers.join(",") },
    },
  );
}

/** Makes sure that the topic exists, creating it with the broker's defaults where that is allowed. */
export async function ensureTopic(
  client: KafkaClient,
  topic: string,
  create: boolean,
  signal: AbortSignal,
): Promise<void> {
  const attempt = {
    doing: `write to topic '${topic}'`,
    brokers: client.brokers,
    details: { topic },
  };
  await withAdmin(client, attempt, signal, async (admin) => {
    if ((await admin.listTopics()).includes(topic)) return;
    if (!create) {
      throw new FlowError(`cannot write to topic '${topic}': it does not exist`, {
        code: "target_table_missing",
        domain: "user",
        hint: "create the topic, or leave out create = false",
        details: { topic },
      });
    }
    await admin.createTopics({ topics: [{ topic }], waitForLeaders: true });
  });
}
