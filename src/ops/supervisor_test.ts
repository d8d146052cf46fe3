import assert from "node:assert/strict";
import type { Clock } from "../core/clock.ts";
import { type ErrorDomain, FlowError, toFlowError } from "../core/error.ts";
import { backoffMs, HEALTHY_MS, restartHelps, supervise } from "./supervisor.ts";

const policy = { minBackoffMs: 1000, maxBackoffMs: 30_000 };

/** A clock on which sleeping takes no time but moves it. */
function virtualClock(): Clock & { advance(ms: number): void; readonly slept: number[] } {
  let now = 0;
  const slept: number[] = [];
  return {
    now: () => now,
    monotonic: () => now,
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      slept.push(ms);
      now += ms;
      return Promise.resolve();
    },
    advance: (ms) => void (now += ms),
    slept,
  };
}

const away = () => new FlowError("away", { code: "x", domain: "external", retryable: true });

Deno.test("the wait doubles up to its maximum, and jitter takes at most half", () => {
  assert.deepEqual([1, 2, 3, 6].map((n) => backoffMs(policy, n, 1)), [1000, 2000, 4000, 30_000]);
  assert.equal(backoffMs(policy, 3, 0), 2000);
  assert.ok(backoffMs(policy, 50, 0.5) <= 30_000);
});

Deno.test("a run that fails is started again, and a healthy minute resets the wait", async () => {
  const clock = virtualClock();
  let runs = 0;
  const result = await supervise(
    () => {
      runs += 1;
      if (runs === 3) clock.advance(HEALTHY_MS);
      return runs < 5 ? Promise.reject(away()) : Promise.resolve("done");
    },
    policy,
    { clock, random: () => 1, signal: new AbortController().signal, onRestart: () => {} },
  );
  assert.equal(result, "done");
  assert.deepEqual(clock.slept, [1000, 2000, 1000, 2000]);
});

Deno.test("it gives up after maxRestarts in a row", async () => {
  let runs = 0;
  await assert.rejects(
    supervise(
      () => {
        runs += 1;
        return Promise.reject(away());
      },
      { ...policy, maxRestarts: 2 },
      {
        clock: virtualClock(),
        random: () => 0,
        signal: new AbortController().signal,
        onRestart: () => {},
      },
    ),
    /gave up after 2 restarts: away/,
  );
  assert.equal(runs, 3);
});

Deno.test("what only the user can mend is not tried again, nor is anything after a stop", async () => {
  const context = {
    clock: virtualClock(),
    random: () => 0,
    onRestart: () => assert.fail("no restart expected"),
  };
  const broken = new FlowError("bad key", { code: "definition_invalid", domain: "user" });
  await assert.rejects(
    supervise(() => Promise.reject(broken), policy, {
      ...context,
      signal: new AbortController().signal,
    }),
    (error) => error === broken,
  );
  await assert.rejects(
    supervise(() => Promise.reject(away()), policy, { ...context, signal: AbortSignal.abort() }),
    /away/,
  );
});

Deno.test("whether a restart helps is for the error to say, except after a crash of flow itself", () => {
  const helps = (domain: ErrorDomain, retryable: boolean) =>
    restartHelps(new FlowError("x", { code: "x", domain, retryable }));
  const domains: readonly ErrorDomain[] = ["user", "external", "internal"];
  assert.deepEqual(domains.map((domain) => helps(domain, true)), [true, true, true]);
  assert.deepEqual(domains.map((domain) => helps(domain, false)), [false, false, true]);
  assert.ok(restartHelps(toFlowError(new TypeError("x is not a function"))));
});
