import assert from "node:assert/strict";
import { FlowError } from "../../core/error.ts";
import type { PostgresAddress } from "./address.ts";
import { toPostgresError } from "./postgres_error.ts";

const ADDRESS = { shown: "db/shop", user: "u" } as PostgresAddress;

function told(code: string): readonly [code: string, domain: string, retryable: boolean] {
  const sent = Object.assign(new Error("it failed"), { code, severity: "ERROR" });
  const error = toPostgresError(sent, "write to t", ADDRESS);
  assert(error instanceof FlowError);
  return [error.code, error.domain, error.retryable];
}

Deno.test("a server that is away, busy, full or broken may be asked again, one that refuses may not", () => {
  assert.deepEqual(told("57P01"), ["postgres_unreachable", "external", true]);
  assert.deepEqual(told("53100"), ["postgres_busy", "external", true]);
  assert.deepEqual(told("25P03"), ["postgres_failed", "external", true]);
  assert.deepEqual(told("58030"), ["postgres_failed", "external", true]);
  assert.deepEqual(told("XX000"), ["postgres_failed", "external", true]);
  assert.deepEqual(told("0A000"), ["postgres_failed", "external", false]);
  assert.deepEqual(told("54011"), ["postgres_failed", "external", false]);
  assert.deepEqual(told("42501"), ["postgres_permission_denied", "user", false]);
});
