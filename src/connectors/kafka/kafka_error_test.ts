import assert from "node:assert/strict";
import { kafkaError } from "./kafka_error.ts";

const ATTEMPT = { doing: "read topic 'orders'", brokers: ["broker:9092"] };

/** An error as kafkajs makes them. */
function thrown(name: string, message: string, type?: string): Error {
  return Object.assign(new Error(message), { name, ...(type === undefined ? {} : { type }) });
}

Deno.test("a certificate that is not trusted is told as such, in any of the runtime's words", () => {
  for (
    const reason of [
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "self-signed certificate in certificate chain",
      "invalid peer certificate: UnknownIssuer",
    ]
  ) {
    const error = kafkaError(
      thrown("KafkaJSConnectionError", `Connection error: ${reason}`),
      ATTEMPT,
    );
    assert.deepEqual([error.code, error.retryable], ["kafka_tls_failed", false], reason);
    assert.match(error.hint ?? "", /ssl_ca_file/);
  }
  const away = kafkaError(thrown("KafkaJSConnectionError", "connect ECONNREFUSED"), ATTEMPT);
  assert.deepEqual([away.code, away.retryable], ["kafka_unreachable", true]);
});

Deno.test("a login that the brokers do not ask for is the user's to leave out", () => {
  const error = kafkaError(
    thrown(
      "KafkaJSProtocolError",
      "Request is not valid given the current SASL state",
      "ILLEGAL_SASL_STATE",
    ),
    ATTEMPT,
  );
  assert.deepEqual([error.code, error.domain], ["kafka_authentication_failed", "user"]);
  assert.match(error.hint ?? "", /ask for no login/);
});
