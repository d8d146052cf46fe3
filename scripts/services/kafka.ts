/**
 * Apache Kafka as a single KRaft node: from Maven's jars on a local Java, or in Docker's official image.
 * It listens in the clear, with SASL (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), with TLS, and with both.
 */
import { makeCertificates } from "./certificates.ts";
import { KAFKA_JARS, KAFKA_ROOTS, KAFKA_VERSION } from "./kafka_jars.ts";
import { mavenJars } from "./maven.ts";
import { findJava } from "./packages.ts";
import { freePorts, type Guarded, run, startGuarded, waitUntilReady } from "./process.ts";
import { type Running, type ServiceDefinition, type StartContext, Unavailable } from "./service.ts";

const USER = "flow";
const PASSWORD = "flow-kafka-secret";
const LISTENERS = ["PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL", "CONTROLLER"] as const;
const READY_WITHIN_MS = 90_000;

export const kafka: ServiceDefinition = {
  name: "kafka",
  variables: [
    "FLOW_TEST_KAFKA_BROKERS",
    "FLOW_TEST_KAFKA_SASL_BROKERS",
    "FLOW_TEST_KAFKA_SSL_BROKERS",
    "FLOW_TEST_KAFKA_SASL_SSL_BROKERS",
    "FLOW_TEST_KAFKA_SASL_USER",
    "FLOW_TEST_KAFKA_SASL_PASSWORD",
    "FLOW_TEST_KAFKA_CA_FILE",
  ],
  docker: startInDocker,
  local: startLocally,
};

async function startLocally(context: StartContext): Promise<Running> {
  const java = await findJava(context.say);
  if ("reason" in java) throw new Unavailable(java.reason);
  const jars = await mavenJars({
    name: `kafka-${KAFKA_VERSION}`,
    roots: KAFKA_ROOTS,
    jars: KAFKA_JARS,
    say: context.say,
  });
  const layout = await prepare("127.0.0.1", context);
  const jvm = [
    java.java,
    "-Xms512m",
    "-Xmx768m",
    "-XX:+UseSerialGC",
    `-Dlog4j.configuration=file:${layout.directory}/log4j.properties`,
    "-cp",
    jars.join(":"),
  ] as const;
  const formatted = await run([...jvm, "kafka.tools.StorageTool", ...layout.format]);
  if (!formatted.ok) {
    await Deno.remove(layout.directory, { recursive: true });
    throw new Error(`Kafka's data directory could not be made: ${formatted.complaint}`);
  }
  const service = startGuarded({
    command: [...jvm, "kafka.Kafka", `${layout.directory}/server.properties`],
    logFile: context.logFile,
    dataDirectory: layout.directory,
    stopSignal: "TERM",
  });
  return await becomeReady(
    service,
    layout,
    context,
    `local packages, Apache Kafka ${KAFKA_VERSION}`,
  );
}

async function startInDocker(context: StartContext): Promise<Running> {
  const image = `apache/kafka:${KAFKA_VERSION}`;
  const layout = await prepare("0.0.0.0", context);
  const published = layout.ports.slice(0, 4).flatMap((port) => ["-p", `127.0.0.1:${port}:${port}`]);
  const bin = "/opt/kafka/bin";
  const service = startGuarded({
    command: [
      ...["docker", "run", "--rm", "--init", "--user", "0:0", ...published],
      ...["-v", `${layout.directory}:${layout.directory}`, "--entrypoint", "sh", image, "-c"],
      `${bin}/kafka-storage.sh "$@" && exec ${bin}/kafka-server-start.sh ${layout.directory}/server.properties`,
      ...["sh", ...layout.format],
    ] as [string, ...string[]],
    logFile: context.logFile,
    dataDirectory: layout.directory,
    stopSignal: "TERM",
  });
  return await becomeReady(service, layout, context, `Docker, ${image}`);
}

interface Layout {
  readonly directory: string;
  readonly ports: readonly number[];
  /** Arguments of Kafka's storage tool. */
  readonly format: readonly string[];
}

async function prepare(bindHost: string, context: StartContext): Promise<Layout> {
  const directory = await Deno.makeTempDir({ prefix: "flow-kafka-" });
  try {
    const ports = freePorts(LISTENERS.length);
    await makeCertificates(directory, context.say);
    await Deno.writeTextFile(
      `${directory}/server.properties`,
      properties(directory, bindHost, ports, context),
    );
    await Deno.writeTextFile(
      `${directory}/log4j.properties`,
      "log4j.rootLogger=INFO, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\n" +
        "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n" +
        "log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n",
    );
    const clusterId = crypto.getRandomValues(new Uint8Array(16)).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
    const scram = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
      "--add-scram",
      `${mechanism}=[name=${USER},password=${PASSWORD}]`,
    ]);
    const format = ["format", "-t", clusterId, "-c", `${directory}/server.properties`, ...scram];
    return { directory, ports, format };
  } catch (error) {
    await Deno.remove(directory, { recursive: true });
    throw error;
  }
}

function properties(
  directory: string,
  bindHost: string,
  ports: readonly number[],
  { durable }: StartContext,
): string {
  const at = (host: string, names: readonly string[]) =>
    names.map((name, i) => `${name}://${host}:${ports[i]}`).join(",");
  const login = "org.apache.kafka.common.security";
  const sasl = ["sasl_plaintext", "sasl_ssl"].flatMap((listener) => {
    const scram = `${login}.scram.ScramLoginModule required;`;
    return [
      `listener.name.${listener}.plain.sasl.jaas.config=${login}.plain.PlainLoginModule required ` +
      `user_${USER}="${PASSWORD}";`,
      `listener.name.${listener}.scram-sha-256.sasl.jaas.config=${scram}`,
      `listener.name.${listener}.scram-sha-512.sasl.jaas.config=${scram}`,
    ];
  });
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${ports[4]}`,
    "controller.listener.names=CONTROLLER",
    `listeners=${at(bindHost, LISTENERS)}`,
    `advertised.listeners=${at("127.0.0.1", LISTENERS.slice(0, 4))}`,
    "inter.broker.listener.name=PLAINTEXT",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT," +
    "SSL:SSL,SASL_SSL:SASL_SSL",
    "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    ...sasl,
    "ssl.keystore.type=PEM",
    `ssl.keystore.location=${directory}/server.pem`,
    `log.dirs=${directory}/data`,
    "num.network.threads=2",
    "num.io.threads=4",
    "auto.create.topics.enable=true",
    "group.initial.rebalance.delay.ms=0",
    "group.min.session.timeout.ms=1000",
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=4",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "transaction.state.log.num.partitions=2",
    // Records with old timestamps stay, so that recorded events can be replayed.
    "log.retention.ms=-1",
    `log.segment.bytes=${(durable ? 256 : 64) * 1024 * 1024}`,
    "log.index.size.max.bytes=1048576",
    "",
  ].join("\n");
}

async function becomeReady(
  service: Guarded,
  { directory, ports }: Layout,
  { logFile }: StartContext,
  how: string,
): Promise<Running> {
  await waitUntilReady({
    what: "Kafka",
    service,
    logFile,
    deadlineMs: READY_WITHIN_MS,
    check: () => knowsItself(ports[0] as number),
  });
  const [plain, sasl, ssl, saslSsl] = ports.map((port) => `127.0.0.1:${port}`) as [
    string,
    string,
    string,
    string,
  ];
  return {
    env: {
      FLOW_TEST_KAFKA_BROKERS: plain,
      FLOW_TEST_KAFKA_SASL_BROKERS: sasl,
      FLOW_TEST_KAFKA_SSL_BROKERS: ssl,
      FLOW_TEST_KAFKA_SASL_SSL_BROKERS: saslSsl,
      FLOW_TEST_KAFKA_SASL_USER: USER,
      FLOW_TEST_KAFKA_SASL_PASSWORD: PASSWORD,
      FLOW_TEST_KAFKA_CA_FILE: `${directory}/ca.pem`,
    },
    how,
    exited: service.exited.then(() => {}),
    stop: () => service.stop(),
  };
}

/**
 * Asks for the cluster's metadata (request 3, version 1, no topics) and looks for a broker in the answer. The
 * node answers this only when it has taken up its work, later than it takes connections.
 */
async function knowsItself(port: number): Promise<boolean> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = new Uint8Array(4 + 14);
  const view = new DataView(request.buffer);
  view.setInt32(0, 14); // bytes that follow
  view.setInt16(4, 3); // request: Metadata
  view.setInt16(6, 1); // its version
  view.setInt32(8, 1); // correlation id
  view.setInt16(12, -1); // no client id
  view.setInt32(14, 0); // no topics
  await connection.write(request);
  const answer = new Uint8Array(12); // size, correlation id, number of brokers
  const read = await connection.read(answer);
  return read === 12 && new DataView(answer.buffer).getInt32(8) > 0;
}
