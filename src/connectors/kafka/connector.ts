import type { ConnectionCheck, Connector, Options } from "../../core/connector.ts";
import { createClient, withAdmin } from "./client.ts";
import { KafkaDeadLetters } from "./dead_letters.ts";
import {
  type KafkaConnectionOptions,
  kafkaConnectionOptions,
  kafkaSourceOptions,
  kafkaTargetOptions,
} from "./options.ts";
import { KafkaSink } from "./sink.ts";
import { KafkaSource } from "./source.ts";

/** Apache Kafka: a topic as source, as target, and for dead letters. */
export const kafkaConnector: Connector = {
  kind: "kafka",
  connectionOptions: kafkaConnectionOptions,
  sourceOptions: kafkaSourceOptions,
  targetOptions: kafkaTargetOptions,
  createSource: (request) => new KafkaSource(request),
  createSink: (request) => new KafkaSink(request),
  createDeadLetters: (options, destination) => new KafkaDeadLetters(options, destination),
  check,
};

async function check(options: Options, signal: AbortSignal): Promise<ConnectionCheck> {
  // Validated by the connector's own entries.
  const client = await createClient(options as KafkaConnectionOptions, () => {});
  const attempt = { doing: "connect to Kafka", brokers: client.brokers };
  const cluster = await withAdmin(client, attempt, signal, (admin) => admin.describeCluster());
  const count = cluster.brokers.length;
  return {
    detail: `${count} broker${count === 1 ? "" : "s"}, cluster ${cluster.clusterId}`,
  };
}
