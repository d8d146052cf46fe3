import assert from "node:assert/strict";
import { FlowError } from "../../core/error.ts";
import { toDatabaseError } from "./database_error.ts";
import type { PostgresAddress } from "./address.ts";
import { toPostgresError } from "./postgres_error.ts";

const ADDRESS: PostgresAddress = {
  newClient: () => {
    throw new Error("nobody connects");
  },
  shown: "localhost:5432/shop",
  user: "flow",
  serverOptions: "",
};

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

/** By SQLSTATE: what the sink tells, what declared pipelines tell, and whether trying again may help. */
const STATES:
  readonly (readonly [state: string, sink: string, database: string, again: boolean])[] = [
    ["40001", "postgres_busy", "database_busy", true],
    ["40P01", "postgres_busy", "database_busy", true],
    ["53100", "postgres_busy", "database_busy", true],
    ["55P03", "postgres_busy", "database_busy", true],
    ["55006", "postgres_busy", "database_busy", true],
    ["25006", "postgres_busy", "database_busy", true],
    ["55000", "postgres_statement_invalid", "query_invalid", false],
    ["55P02", "postgres_statement_invalid", "query_invalid", false],
    ["55P04", "postgres_statement_invalid", "query_invalid", false],
  ];

Deno.test("only what may pass by itself is worth another try", () => {
  for (const [state, sink, database, again] of STATES) {
    const error = Object.assign(new Error("no"), { code: state, severity: "ERROR" });
    const told = toPostgresError(error, "write", ADDRESS);
    assert(told instanceof FlowError);
    const domain = again ? "external" : "user";
    assert.deepEqual([told.code, told.domain, told.retryable], [sink, domain, again], state);
    const work = { doing: "run a statement", writes: true };
    const other = toDatabaseError(error, work, ADDRESS);
    assert(other instanceof FlowError);
    assert.deepEqual([other.code, other.domain, other.retryable], [database, domain, again], state);
  }
});
