import assert from "node:assert/strict";
import { FlowError } from "../../core/error.ts";
import type { MysqlAddress } from "./address.ts";
import { toMysqlError } from "./mysql_error.ts";

const ADDRESS = { shown: "db/shop", host: "db", port: 3306, user: "u" } as MysqlAddress;

function told(errno: number): readonly [code: string, domain: string, retryable: boolean] {
  const sent = Object.assign(new Error("it failed"), { errno, sqlState: "HY000" });
  const error = toMysqlError(sent, "run a statement", ADDRESS);
  assert(error instanceof FlowError);
  return [error.code, error.domain, error.retryable];
}

Deno.test("a server that is away, busy or full may be asked again, one that refuses may not", () => {
  assert.deepEqual(told(1053), ["database_unreachable", "external", true]);
  assert.deepEqual(told(1213), ["database_busy", "external", true]);
  assert.deepEqual(told(1021), ["mysql_failed", "external", true]);
  assert.deepEqual(told(1114), ["mysql_failed", "external", true]);
  assert.deepEqual(told(1045), ["database_auth_failed", "user", false]);
  assert.deepEqual(told(1264), ["load_rejected", "user", false]);
});
