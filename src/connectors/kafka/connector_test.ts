import assert from "node:assert/strict";
import * as v from "valibot";
import { FlowError } from "../../core/error.ts";
import { Secret } from "../../core/secret.ts";
import { kafkaConnector } from "./connector.ts";
import { BROKERS } from "./test_rig.ts";

const ignore = BROKERS === undefined;
const env = (name: string) => Deno.env.get(`FLOW_TEST_KAFKA_${name}`) ?? "";
const ca = { ssl_ca_file: env("CA_FILE") };
const login = {
  sasl_plain_username: env("SASL_USER"),
  sasl_plain_password: new Secret(env("SASL_PASSWORD")),
};

function check(options: Readonly<Record<string, unknown>>) {
  return kafkaConnector.check?.(options, AbortSignal.timeout(60_000)) as Promise<
    { detail: string }
  >;
}

async function failure(options: Readonly<Record<string, unknown>>): Promise<FlowError> {
  const error = await check(options).then(() => undefined, (thrown) => thrown);
  assert.ok(error instanceof FlowError, `no FlowError: ${error}`);
  return error;
}

Deno.test({
  name: "kafka check: in the clear, with every login, with TLS and with both",
  ignore,
  async fn() {
    const { detail } = await check({ bootstrap_servers: env("BROKERS") });
    assert.match(detail, /^1 broker, cluster /);
    for (const sasl_mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]) {
      await check({ bootstrap_servers: env("SASL_BROKERS"), ...login, sasl_mechanism });
      await check({ bootstrap_servers: env("SASL_SSL_BROKERS"), ...login, ...ca, sasl_mechanism });
    }
    await check({ bootstrap_servers: env("SSL_BROKERS"), ...ca });
  },
});

Deno.test({
  name: "kafka check: a wrong password is the user's error and does not show up in it",
  ignore,
  async fn() {
    for (const sasl_mechanism of ["PLAIN", "SCRAM-SHA-256"]) {
      const error = await failure({
        bootstrap_servers: env("SASL_BROKERS"),
        ...login,
        sasl_plain_password: new Secret("not-the-password"),
        sasl_mechanism,
      });
      assert.deepEqual([error.code, error.domain, error.retryable], [
        "kafka_authentication_failed",
        "user",
        false,
      ]);
      assert.doesNotMatch(Deno.inspect(error), /not-the-password/);
    }
  },
});

Deno.test({
  name: "kafka check: a certificate that nobody known signed is the user's error",
  ignore,
  async fn() {
    const error = await failure({ bootstrap_servers: env("SSL_BROKERS"), ssl: true });
    assert.deepEqual([error.code, error.retryable], ["kafka_tls_failed", false]);
  },
});

Deno.test("kafka check: brokers that are away are named within 15 s, and may be back later", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = closed.addr;
  closed.close();
  const error = await failure({ bootstrap_servers: `127.0.0.1:${port}` });
  assert.deepEqual([error.code, error.domain, error.retryable], [
    "kafka_unreachable",
    "external",
    true,
  ]);
  assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
});

Deno.test("kafka check: a file that cannot be read is named", async () => {
  const error = await failure({ bootstrap_servers: "127.0.0.1:1", ssl_ca_file: "no/such/ca.pem" });
  assert.equal(error.code, "kafka_file_unreadable");
  assert.match(error.message, /ssl_ca_file = "no\/such\/ca\.pem"/);
});

Deno.test("kafka options: defaults, secrets, and what a topic's name may be", () => {
  const entries = { ...kafkaConnector.connectionOptions, ...kafkaConnector.sourceOptions };
  const options = v.parse(v.object(entries), {
    bootstrap_servers: "broker:9092",
    sasl_plain_password: "s3cret-word",
  });
  assert.equal(options["payload_format"], "json");
  assert.equal(options["session_timeout_ms"], 6_000);
  assert.equal(options["auto_offset_reset"], undefined);
  assert.doesNotMatch(Deno.inspect(options), /s3cret-word/);
  for (const [name, entry] of Object.entries(entries)) {
    const { wrapped } = entry as { wrapped?: v.GenericSchema };
    assert.ok(v.getDescription(wrapped ?? entry as v.GenericSchema), `${name} has no description`);
  }
  const source = (query: string) =>
    kafkaConnector.createSource?.({ sourceId: query, query, options });
  assert.equal(source("orders.v1")?.sourceId, "orders.v1");
  for (const query of ["orders,payments", "/orders.*/", "no topic", ""]) {
    assert.throws(() => source(query), FlowError);
  }
});
