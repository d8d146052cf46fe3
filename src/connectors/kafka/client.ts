import { type Admin, Kafka, type KafkaConfig, logLevel, type SASLOptions } from "kafkajs";
import { describeError, FlowError, redactText } from "../../core/error.ts";
import { type Attempt, kafkaError } from "./kafka_error.ts";
import { registerCodecs } from "./compression.ts";
import { keepFetchedBytes } from "./fetch_response.ts";
import { quietRequestTimer } from "./request_timer.ts";
import type { KafkaConnectionOptions } from "./options.ts";

/** A broker that is away at the start is waited for this long. */
const CONNECT_WITHIN_MS = 15_000;
const CONNECTION_TIMEOUT_MS = 5_000;
/** An answer is waited for this long, unless the request itself may take longer (joining a group). */
const REQUEST_TIMEOUT_MS = 30_000;
const DISCONNECT_WITHIN_MS = 5_000;
/** The same complaint of the client is passed on once in this time. */
const REPEAT_NOTICE_MS = 60_000;
const DEFAULT_PORT = 9092;

/** Takes what is worth a line for the user. Already redacted. */
export type Notice = (message: string) => void;

/** A set-up client, and whom it talks to, for messages. */
export interface KafkaClient {
  readonly kafka: Kafka;
  readonly brokers: readonly string[];
}

/** A topic with its brokers, the same in whatever order they are listed. */
export function topicPlace(options: KafkaConnectionOptions, topic: string): string {
  return `kafka topic ${topic} at ${brokersOf(options).sort().join(",")}`;
}

/** The brokers as `host:port`. */
export function brokersOf(options: KafkaConnectionOptions): string[] {
  const given = options.bootstrap_servers;
  const list = typeof given === "string" ? given.split(",") : given;
  return list.map((broker) => broker.trim()).filter((broker) => broker !== "").map((broker) =>
    /:\d+$/.test(broker) ? broker : `${broker}:${DEFAULT_PORT}`
  );
}

/**
 * A client for the options; nothing is connected yet. Reads the certificate files.
 *
 * @throws {FlowError} `kafka_options_invalid` when the security options contradict each other, `kafka_file_unreadable` for a certificate file
 */
export async function createClient(
  options: KafkaConnectionOptions,
  notice: Notice,
  requestTimeoutMs: number = REQUEST_TIMEOUT_MS,
): Promise<KafkaClient> {
  keepFetchedBytes();
  quietRequestTimer();
  registerCodecs();
  const brokers = brokersOf(options);
  const { sasl, ssl } = securityOf(options);
  const kafka = new Kafka({
    brokers,
    clientId: options.client_id ?? "flow",
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    authenticationTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: requestTimeoutMs,
    retry: { initialRetryTime: 200, retries: 5, maxRetryTime: 3_000 },
    logLevel: logLevel.WARN,
    logCreator: () => noticesOf(notice),
    ...(ssl ? { ssl: await tlsOptions(options) } : {}),
    ...(sasl === undefined ? {} : { sasl }),
  });
  return { kafka, brokers };
}

/**
 * What the client complains about though it is part of its life: rebalances, a broker that is about to make the place for its first group, and that an
 * idempotent producer does not retry for ever.
 */
const ROUTINE =
  /rebalanc|rejoin|re-join|Limiting retries|not aware of this member|group coordinator is not available/i;

type LogEntry = { readonly log: { readonly message: string; readonly error?: unknown } };

function noticesOf(notice: Notice): (entry: LogEntry) => void {
  const last = new Map<string, number>();
  return ({ log }) => {
    if (ROUTINE.test(log.message)) return;
    const reason = typeof log.error === "string" ? `: ${log.error}` : "";
    const message = redactText(`kafka client: ${log.message}${reason}`);
    const now = performance.now();
    if (now - (last.get(message) ?? -Infinity) < REPEAT_NOTICE_MS) return;
    if (last.size > 100) last.clear();
    last.set(message, now);
    notice(message);
  };
}

/** What the security keys together ask for. */
export function securityOf(
  options: KafkaConnectionOptions,
): { readonly sasl: SASLOptions | undefined; readonly ssl: boolean } {
  const protocol = options.security_protocol;
  const hasFiles = options.ssl_ca_file !== undefined || options.ssl_cert_file !== undefined ||
    options.ssl_key_file !== undefined;
  const ssl = protocol === undefined ? options.ssl ?? hasFiles : protocol.endsWith("SSL");
  const wantsSasl = protocol === undefined
    ? options.sasl_plain_username !== undefined
    : protocol.startsWith("SASL");
  if (options.ssl !== undefined && options.ssl !== ssl) {
    throw invalid(`ssl = ${options.ssl} contradicts security_protocol = "${protocol}"`);
  }
  if ((options.ssl_cert_file === undefined) !== (options.ssl_key_file === undefined)) {
    throw invalid("ssl_cert_file and ssl_key_file belong together, and one is missing");
  }
  if (!ssl && hasFiles) throw invalid(`ssl_…_file has no effect without TLS`);
  if (!wantsSasl) {
    if (options.sasl_plain_username !== undefined) {
      throw invalid(`sasl_plain_username contradicts security_protocol = "${protocol}"`);
    }
    return { sasl: undefined, ssl };
  }
  const { sasl_plain_username: username, sasl_plain_password: password } = options;
  if (username === undefined || password === undefined) {
    throw invalid("SASL needs sasl_plain_username and sasl_plain_password");
  }
  const login = { username, password: password.reveal() };
  switch (options.sasl_mechanism ?? "PLAIN") {
    case "PLAIN":
      return { sasl: { mechanism: "plain", ...login }, ssl };
    case "SCRAM-SHA-256":
      return { sasl: { mechanism: "scram-sha-256", ...login }, ssl };
    case "SCRAM-SHA-512":
      return { sasl: { mechanism: "scram-sha-512", ...login }, ssl };
  }
}

function invalid(what: string): FlowError {
  return new FlowError(`cannot connect to Kafka: ${what}`, {
    code: "kafka_options_invalid",
    domain: "user",
    hint: "correct the connection's security_protocol, sasl_… and ssl… keys",
  });
}

async function tlsOptions(
  options: KafkaConnectionOptions,
): Promise<Exclude<KafkaConfig["ssl"], boolean | undefined>> {
  const { ssl_ca_file: ca, ssl_cert_file: cert, ssl_key_file: key } = options;
  return {
    ...(ca === undefined ? {} : { ca: [await readPem("ssl_ca_file", ca)] }),
    ...(cert === undefined ? {} : { cert: await readPem("ssl_cert_file", cert) }),
    ...(key === undefined ? {} : { key: await readPem("ssl_key_file", key) }),
  };
}

async function readPem(option: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new FlowError(`cannot read ${option} = "${path}": ${describeError(error)}`, {
      code: "kafka_file_unreadable",
      domain: "user",
      hint: "correct the path, or allow flow to read it",
      cause: error,
    });
  }
}

/** Something of kafkajs that connects: consumer, producer, admin. */
interface Connects {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/** Connects within a bounded time. @throws {FlowError} such as `kafka_unreachable` or `kafka_authentication_failed` */
export async function connect(
  client: Connects,
  attempt: Attempt,
  signal: AbortSignal | undefined,
): Promise<void> {
  const timeout = AbortSignal.timeout(CONNECT_WITHIN_MS);
  const ends = AbortSignal.any(signal === undefined ? [timeout] : [timeout, signal]);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const onEnd = () => reject(ends.reason);
  ends.addEventListener("abort", onEnd, { once: true });
  if (ends.aborted) onEnd();
  try {
    const connecting = client.connect();
    connecting.catch(() => {});
    await Promise.race([connecting, ended]);
  } catch (error) {
    void disconnect(client);
    if (timeout.aborted && error === timeout.reason) throw noAnswer(attempt);
    if (signal?.aborted) throw error;
    throw kafkaError(error, attempt);
  } finally {
    ends.removeEventListener("abort", onEnd);
  }
}

function noAnswer(attempt: Attempt): FlowError {
  const brokers = attempt.brokers.join(", ");
  return new FlowError(
    `cannot ${attempt.doing} at ${brokers}: no answer within ${CONNECT_WITHIN_MS / 1000} s`,
    {
      code: "kafka_unreachable",
      domain: "external",
      retryable: true,
      hint: "check bootstrap_servers and security_protocol, and that the brokers are up",
      details: { brokers: attempt.brokers.join(",") },
    },
  );
}

/** Disconnects within a bounded time, whatever happens: there is nothing left to lose. */
export async function disconnect(client: { disconnect(): Promise<void> }): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, DISCONNECT_WITHIN_MS);
  try {
    await Promise.race([client.disconnect(), late]);
  } catch {
    // The connection was broken already.
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `ask` with a connected admin client of its own, and disconnects it. Failures become {@link FlowError}s. */
export async function withAdmin<Result>(
  { kafka }: KafkaClient,
  attempt: Attempt,
  signal: AbortSignal | undefined,
  ask: (admin: Admin) => Promise<Result>,
): Promise<Result> {
  const admin = kafka.admin();
  await connect(admin, attempt, signal);
  try {
    return await ask(admin);
  } catch (error) {
    throw kafkaError(error, attempt);
  } finally {
    await disconnect(admin);
  }
}
