import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import { findDenial, flagFor, permissionDenied } from "./denial.ts";
import { engineError } from "./engine_isolate.ts";

const RUN = 'Requires net access to "db:5432", run again with the --allow-net flag';
const COMPILED =
  'Requires read access to "/etc/passwd", specify the required permissions during compilation using `deno compile --allow-read`';

Deno.test("a refusal is found wherever a library wrapped it", () => {
  const refused = new Deno.errors.NotCapable(RUN);
  const wrapped: readonly unknown[] = [
    refused,
    new Error("connect", { cause: new Error("deeper", { cause: refused }) }),
    new AggregateError([new Error("other"), refused]),
    Object.assign(new Error("broker"), { originalError: refused }),
    new FlowError("cannot connect", { code: "x", domain: "external", cause: refused }),
    new Error(`Connection error: ${RUN}`),
  ];
  for (const thrown of wrapped) {
    assert.deepEqual(findDenial(thrown), { kind: "net", target: "db:5432" });
  }
  assert.equal(findDenial(new Error("Permission denied (os error 13)")), undefined);
  assert.equal(findDenial(undefined), undefined);
});

Deno.test("the lookup of a host that may not be reached names host and port where they are known", () => {
  const lookup = new Error("getaddrinfo EPERM db");
  assert.deepEqual(findDenial(lookup), { kind: "net", target: "db" });
  const kafka = Object.assign(new Error("Connection error: getaddrinfo EPERM db"), {
    broker: "db:9092",
  });
  const retries = new Error("Connection error: getaddrinfo EPERM db", { cause: kafka });
  assert.deepEqual(findDenial(retries), { kind: "net", target: "db:9092" });
});

Deno.test("the flag is named exactly", () => {
  assert.equal(flagFor({ kind: "env", target: "HOME" }), "--allow-env=HOME");
  assert.equal(flagFor({ kind: "env" }), "--allow-env");
  assert.equal(flagFor({ kind: "read", target: "/a,b" }), "--allow-read=/a,,b");
  const denied = permissionDenied(new Deno.errors.NotCapable(COMPILED), "module", "a.ts:1:2");
  assert.equal(denied?.code, "permission_denied");
  assert.match(denied?.message ?? "", /a\.ts:1:2: the module may not read '\/etc\/passwd'/);
  assert.equal(denied?.hint, "run flow with --allow-read=/etc/passwd");
});

Deno.test("what is never granted says so", () => {
  const refused = new Deno.errors.NotCapable(
    'Requires run access to "ls", run again with the --allow-run flag',
  );
  const denied = permissionDenied(refused, "module");
  assert.match(denied?.hint ?? "", /never have --allow-run/);
});

Deno.test("the engine keeps what it was doing, without the runtime's advice", () => {
  const error = engineError(
    new FlowError(`cannot read 'x': ${COMPILED}`, { code: "x_failed", domain: "external" }),
  );
  assert.equal(
    error.message,
    "cannot read 'x': permission denied: flow may not read '/etc/passwd'",
  );
  assert.equal(error.code, "permission_denied");
  assert.equal(error.hint, "run flow with --allow-read=/etc/passwd");
  assert.equal(engineError(new TypeError("boom")).code, "unexpected");
});
