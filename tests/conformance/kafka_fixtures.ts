import { kafkaConnector } from "../../src/connectors/kafka/connector.ts";
import { BROKERS, KafkaRig } from "../../src/connectors/kafka/test_rig.ts";
import { membersOf, sinkOf, sourceOf } from "./made.ts";
import type { SinkFixture } from "./sink_suite.ts";
import type { SourceFixture } from "./source_suite.ts";

/** The cluster that tests may use; its tests are skipped without it. */
export const KAFKA_BROKERS: string | undefined = BROKERS;

/** A topic of two partitions with these messages. */
export async function kafkaSourceFixture(
  messages: readonly string[],
  more: (rows: number) => readonly string[],
): Promise<SourceFixture> {
  const rig = await KafkaRig.create();
  const topic = await rig.createTopic(2);
  const produce = (values: readonly string[]) =>
    rig.produce(topic, values.map((value, at) => ({ value, partition: at % 2 })));
  await produce(messages);
  return {
    rows: messages.length,
    source: () =>
      sourceOf(kafkaConnector, topic, {
        bootstrap_servers: KAFKA_BROKERS,
        // A group that another source just left would still be waiting for it.
        group_id: rig.newName(),
        session_timeout_ms: 3000,
      }),
    add: (rows) => produce(more(rows)),
    close: () => rig[Symbol.asyncDispose](),
  };
}

/** A topic of one partition. */
export async function kafkaSinkFixture(): Promise<SinkFixture> {
  const rig = await KafkaRig.create();
  const topic = await rig.createTopic(1);
  return {
    sink: (ask) => sinkOf(kafkaConnector, { bootstrap_servers: KAFKA_BROKERS, topic }, ask, {}),
    async rows() {
      const source = await rig.open(topic, { group_id: rig.newName() });
      try {
        const { rows } = await rig.readAll(source);
        return rows.map(({ _payload }) => membersOf(_payload ?? "{}"));
      } finally {
        await source.close();
      }
    },
    close: () => rig[Symbol.asyncDispose](),
  };
}
