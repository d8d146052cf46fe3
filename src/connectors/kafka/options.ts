import * as v from "valibot";
import { secretText } from "../../core/connector.ts";

/** Keys that say how to reach a cluster. They may stand in a connection, in `[source]` and in `[target]`. */
export const kafkaConnectionOptions = {
  bootstrap_servers: v.pipe(
    v.union([
      v.pipe(v.string(), v.nonEmpty()),
      v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.nonEmpty()),
    ]),
    v.description("Brokers to ask first: `host:port`, several separated by commas or as a list."),
  ),
  client_id: v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("Name under which the brokers log this client. Default: flow."),
    ),
  ),
  group_id: v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("Consumer group. Default: the pipeline's name."),
    ),
  ),
  security_protocol: v.optional(
    v.pipe(
      v.picklist(["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
      v.description(
        "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. Default: what the other keys ask for.",
      ),
    ),
  ),
  sasl_mechanism: v.optional(
    v.pipe(
      v.picklist(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
      v.description("How to log in: PLAIN (default), SCRAM-SHA-256 or SCRAM-SHA-512."),
    ),
  ),
  sasl_plain_username: v.optional(
    v.pipe(v.string(), v.nonEmpty(), v.description("User for SASL, with any mechanism.")),
  ),
  sasl_plain_password: v.optional(
    v.pipe(secretText(), v.description("Password for SASL, with any mechanism.")),
  ),
  ssl: v.optional(
    v.pipe(v.boolean(), v.description("Use TLS. Implied by the ssl_…_file keys.")),
  ),
  ssl_ca_file: v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("PEM file of the authority that signed the brokers' certificates."),
    ),
  ),
  ssl_cert_file: v.optional(
    v.pipe(v.string(), v.nonEmpty(), v.description("PEM file of the client's own certificate.")),
  ),
  ssl_key_file: v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("PEM file of the key that belongs to ssl_cert_file."),
    ),
  ),
};

/** Keys of a source, besides those of the connection. */
export const kafkaSourceOptions = {
  payload_format: v.optional(
    v.pipe(
      v.picklist(["json", "raw_bytes"]),
      v.description(
        "json (default): every message is a JSON object; raw_bytes: one column `payload`.",
      ),
    ),
    "json",
  ),
  auto_offset_reset: v.optional(
    v.pipe(
      v.picklist(["earliest", "latest"]),
      v.description(
        "Where to start without a stored position: earliest (default) or latest. When it is written down, it also holds " +
          "for a stored position that the broker no longer has; otherwise that is an error.",
      ),
    ),
  ),
  session_timeout_ms: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1_000),
      v.maxValue(1_800_000),
      v.description(
        "After this time without a heartbeat the group gives the partitions to others (ms). Default: 6000.",
      ),
    ),
    6_000,
  ),
};

/** Keys of a target, besides those of the connection. */
export const kafkaTargetOptions = {
  topic: v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("Topic to write to. Default: the name in [target.table]."),
    ),
  ),
  message_key_column: v.optional(
    v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description("Column whose text becomes the message key; it stays in the message too."),
    ),
  ),
  compression: v.optional(
    v.pipe(
      v.picklist(["none", "gzip", "snappy", "lz4", "zstd"]),
      v.description("Compression of the messages: none (default), gzip, snappy, lz4 or zstd."),
    ),
    "none",
  ),
};

/** Validated connection options. */
export type KafkaConnectionOptions = v.InferOutput<
  ReturnType<typeof v.object<typeof kafkaConnectionOptions>>
>;

/** Validated options of a source: its own and the connection's. */
export type KafkaSourceOptions =
  & KafkaConnectionOptions
  & v.InferOutput<ReturnType<typeof v.object<typeof kafkaSourceOptions>>>;

/** Validated options of a target: its own and the connection's. */
export type KafkaTargetOptions =
  & KafkaConnectionOptions
  & v.InferOutput<ReturnType<typeof v.object<typeof kafkaTargetOptions>>>;
