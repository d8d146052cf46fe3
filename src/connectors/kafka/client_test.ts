import assert from "node:assert/strict";
import { FlowError } from "../../core/error.ts";
import { Secret } from "../../core/secret.ts";
import { brokersOf, securityOf } from "./client.ts";
import { kafkaError } from "./kafka_error.ts";
import type { KafkaConnectionOptions } from "./options.ts";

const plain = { bootstrap_servers: "broker:9092" };
const login = { sasl_plain_username: "ann", sasl_plain_password: new Secret("s3cret-word") };

Deno.test("client: brokers as text or list, with the usual port", () => {
  assert.deepEqual(brokersOf({ bootstrap_servers: "a:1, b ,[::1]:3" }), [
    "a:1",
    "b:9092",
    "[::1]:3",
  ]);
  assert.deepEqual(brokersOf({ bootstrap_servers: ["a", "b:2"] }), ["a:9092", "b:2"]);
});

Deno.test("client: the security protocol follows from the other keys", () => {
  const asked = (options: Partial<KafkaConnectionOptions>) => {
    const { sasl, ssl } = securityOf({ ...plain, ...options });
    return [sasl?.mechanism, ssl];
  };
  assert.deepEqual(asked({}), [undefined, false]);
  assert.deepEqual(asked({ ssl: true }), [undefined, true]);
  assert.deepEqual(asked({ ssl_ca_file: "ca.pem" }), [undefined, true]);
  assert.deepEqual(asked({ security_protocol: "SSL" }), [undefined, true]);
  assert.deepEqual(asked(login), ["plain", false]);
  assert.deepEqual(asked({ ...login, sasl_mechanism: "SCRAM-SHA-512", ssl: true }), [
    "scram-sha-512",
    true,
  ]);
  assert.deepEqual(
    asked({ ...login, security_protocol: "SASL_SSL", sasl_mechanism: "SCRAM-SHA-256" }),
    ["scram-sha-256", true],
  );
});

Deno.test("client: security keys that contradict each other are the user's error", () => {
  const wrong: Partial<KafkaConnectionOptions>[] = [
    { security_protocol: "SASL_SSL" },
    { security_protocol: "PLAINTEXT", ssl: true },
    { security_protocol: "PLAINTEXT", ssl_ca_file: "ca.pem" },
    { security_protocol: "SSL", ...login },
    { sasl_plain_username: "ann" },
    { ssl_cert_file: "me.pem" },
  ];
  for (const options of wrong) {
    assert.throws(
      () => securityOf({ ...plain, ...options }),
      (error) => error instanceof FlowError && error.code === "kafka_options_invalid",
    );
  }
});

Deno.test("client: failures of kafkajs say what to do, by what caused them", () => {
  const failure = (name: string, message: string, more: object = {}) => {
    const cause = Object.assign(new Error(message), { name, ...more });
    return kafkaError(new Error("outer", { cause }), {
      doing: "read topic 'orders'",
      brokers: ["broker:9092"],
    });
  };
  const refused = failure("KafkaJSConnectionError", "connect ECONNREFUSED");
  assert.equal(refused.message, "cannot read topic 'orders' at broker:9092: connect ECONNREFUSED");
  assert.deepEqual([refused.code, refused.retryable], ["kafka_unreachable", true]);
  const denied = failure("KafkaJSSASLAuthenticationError", "SASL PLAIN authentication failed");
  assert.deepEqual([denied.code, denied.domain, denied.retryable], [
    "kafka_authentication_failed",
    "user",
    false,
  ]);
  const tls = failure("KafkaJSConnectionError", "invalid peer certificate: UnknownIssuer");
  assert.equal(tls.code, "kafka_tls_failed");
  const acl = failure("KafkaJSProtocolError", "no", { type: "TOPIC_AUTHORIZATION_FAILED" });
  assert.equal(acl.code, "kafka_not_authorized");
  const lost = failure("KafkaJSNonRetriableError", "Broker not connected");
  assert.equal(lost.code, "kafka_unreachable");
  assert.equal(failure("TypeError", "x is not a function").code, "kafka_failed");
});
