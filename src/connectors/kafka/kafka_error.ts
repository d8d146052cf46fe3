import { describeError, FlowError } from "../../core/error.ts";

/** What was attempted, for messages: `read topic 'orders'`. */
export interface Attempt {
  readonly doing: string;
  readonly brokers: readonly string[];
  readonly details?: Readonly<Record<string, string | number>>;
}

/** What a class of failures means for the user. */
interface Meaning {
  readonly code: string;
  readonly domain: "user" | "external";
  readonly retryable: boolean;
  readonly hint: string;
}

const LOGIN_FAILED: Meaning = {
  code: "kafka_authentication_failed",
  domain: "user",
  retryable: false,
  hint: "check sasl_plain_username, sasl_plain_password, sasl_mechanism and security_protocol",
};
const NOT_ALLOWED: Meaning = {
  code: "kafka_not_authorized",
  domain: "user",
  retryable: false,
  hint: "give this user the right in the cluster's access control lists",
};
const UNKNOWN_TOPIC: Meaning = {
  code: "kafka_unknown_topic",
  domain: "user",
  retryable: false,
  hint: "create the topic, or correct its name",
};
const TLS_FAILED: Meaning = {
  code: "kafka_tls_failed",
  domain: "user",
  retryable: false,
  hint:
    "set ssl_ca_file to the authority that signed the brokers' certificates, and use the host name that they hold",
};
const UNREACHABLE: Meaning = {
  code: "kafka_unreachable",
  domain: "external",
  retryable: true,
  hint: "check bootstrap_servers and security_protocol, and that the brokers are up",
};
const OTHER: Meaning = {
  code: "kafka_failed",
  domain: "external",
  retryable: true,
  hint: "see the brokers' logs",
};

/** By kafkajs' error name, or the protocol's error type. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  KafkaJSSASLAuthenticationError: LOGIN_FAILED,
  SASL_AUTHENTICATION_FAILED: LOGIN_FAILED,
  UNSUPPORTED_SASL_MECHANISM: LOGIN_FAILED,
  ILLEGAL_SASL_STATE: {
    code: "kafka_authentication_failed",
    domain: "user",
    retryable: false,
    hint:
      "the brokers ask for no login at this address: leave out sasl_plain_username and sasl_plain_password, or use the port that does",
  },
  TOPIC_AUTHORIZATION_FAILED: NOT_ALLOWED,
  GROUP_AUTHORIZATION_FAILED: NOT_ALLOWED,
  CLUSTER_AUTHORIZATION_FAILED: NOT_ALLOWED,
  UNKNOWN_TOPIC_OR_PARTITION: UNKNOWN_TOPIC,
  INVALID_TOPIC_EXCEPTION: UNKNOWN_TOPIC,
  INVALID_SESSION_TIMEOUT: {
    code: "kafka_session_timeout_refused",
    domain: "user",
    retryable: false,
    hint:
      "choose session_timeout_ms between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms",
  },
  INCONSISTENT_GROUP_PROTOCOL: {
    code: "kafka_group_in_use",
    domain: "user",
    retryable: false,
    hint:
      "another program shares its partitions by another rule in this group: use a group_id of your own",
  },
  KafkaJSConnectionError: UNREACHABLE,
  KafkaJSConnectionClosedError: UNREACHABLE,
  KafkaJSRequestTimeoutError: UNREACHABLE,
  KafkaJSBrokerNotFound: UNREACHABLE,
  KafkaJSNoBrokerAvailableError: UNREACHABLE,
  KafkaJSMetadataNotLoaded: UNREACHABLE,
};

/** kafkajs has no name of its own for these. */
const AWAY_WORDS = /not connected|timed out|no answer from the brokers/i;
const TLS_WORDS =
  /certificate|_CERT\b|_CERT_|_ISSUER_|LEAF_SIGNATURE|UnknownIssuer|NotValidForName|handshake|\bTLS\b|\bSSL\b/i;

/** A failure of kafkajs as a {@link FlowError} that says what was attempted and what to do. */
export function kafkaError(thrown: unknown, attempt: Attempt): FlowError {
  const chain = causesOf(thrown);
  const given = chain.find((error) => error instanceof FlowError);
  if (given instanceof FlowError) return given;
  const meaning = meaningOf(chain);
  const reason = describeError(chain.at(-1) ?? thrown);
  const where = meaning === UNREACHABLE ? ` at ${attempt.brokers.join(", ")}` : "";
  return new FlowError(`cannot ${attempt.doing}${where}: ${reason}`, {
    code: meaning.code,
    domain: meaning.domain,
    retryable: meaning.retryable,
    hint: meaning.hint,
    details: { ...attempt.details, brokers: attempt.brokers.join(",") },
    cause: thrown,
  });
}

/** The error and what caused it, outermost first. */
function causesOf(thrown: unknown): Error[] {
  const chain: Error[] = [];
  for (let error = thrown; error instanceof Error && !chain.includes(error);) {
    chain.push(error);
    error = error.cause;
  }
  return chain;
}

function meaningOf(chain: readonly Error[]): Meaning {
  for (const error of [...chain].reverse()) {
    if (error.name.startsWith("KafkaJSConnection") && TLS_WORDS.test(error.message)) {
      return TLS_FAILED;
    }
    const { type } = error as Error & { readonly type?: string };
    const meaning = (type === undefined ? undefined : MEANINGS[type]) ?? MEANINGS[error.name];
    if (meaning !== undefined) return meaning;
  }
  return chain.some(({ message }) => AWAY_WORDS.test(message)) ? UNREACHABLE : OTHER;
}

/** Failures that only mean that the group is being shared out anew: whoever owns the partition then goes on from what is stored. */
export function isRebalance(thrown: unknown): boolean {
  return causesOf(thrown).some((error) => {
    const { type } = error as Error & { readonly type?: string };
    return type !== undefined && REBALANCES.has(type);
  });
}

const REBALANCES: ReadonlySet<string> = new Set([
  "REBALANCE_IN_PROGRESS",
  "UNKNOWN_MEMBER_ID",
  "ILLEGAL_GENERATION",
  "NOT_COORDINATOR_FOR_GROUP",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "GROUP_LOAD_IN_PROGRESS",
  "FENCED_INSTANCE_ID",
]);
