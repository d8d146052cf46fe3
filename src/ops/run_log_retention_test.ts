import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import { FakeClock } from "./fake_clock.ts";
import { LenientRunLog } from "./lenient_run_log.ts";
import { MemoryRunLog } from "./memory_run_log.ts";
import { removeOldRuns } from "./run_log_retention.ts";

const DAY_MS = 86_400_000;
const NOW = "2026-05-01T00:00:00.000Z";

/** The ages in days of the runs that stay, of failed runs that are so old. */
async function left(
  ages: readonly number[],
  value: string | undefined,
  isReadable = true,
): Promise<{ readonly ages: number[]; readonly warnings: string[] }> {
  const runLog = new MemoryRunLog();
  for (const age of [...ages, 0]) {
    await runLog.start({
      runId: `${age}`,
      pipeline: "orders",
      status: "failed",
      attempt: 1,
      startedAt: new Date(Date.parse(NOW) - age * DAY_MS).toISOString(),
      targets: [],
    });
  }
  const warnings: string[] = [];
  await removeOldRuns(runLog, {
    variable: (name) => name === "EMATIX_FLOW_RUN_LOG_KEEP_DAYS" ? value : undefined,
    isReadable: () => isReadable,
    clock: new FakeClock(NOW),
    warn: (message) => warnings.push(message),
  });
  const runs = await runLog.list({ limit: 10_000 });
  return { ages: runs.map(({ runId }) => Number(runId)).filter((age) => age > 0), warnings };
}

Deno.test("runs stay 400 days, or as long as the variable says", async () => {
  const ages = [1, 2, 30, 400, 401, 5000];
  const none: string[] = [];
  assert.deepEqual(await left(ages, undefined), { ages: [1, 2, 30, 400], warnings: none });
  assert.deepEqual(await left(ages, ""), { ages: [1, 2, 30, 400], warnings: none });
  assert.deepEqual(await left(ages, "2"), { ages: [1, 2], warnings: none });
  assert.deepEqual(await left(ages, " 30 "), { ages: [1, 2, 30], warnings: none });
  assert.deepEqual(await left(ages, "Forever"), { ages, warnings: none });
  assert.deepEqual(await left(ages, "999999"), { ages, warnings: none });
});

Deno.test("a value that is no number of days removes nothing, and is told", async () => {
  for (const value of ["0", "-1", "1.5", "90d", "never", "1e3", "9999999"]) {
    const { ages, warnings } = await left([500], value);
    assert.deepEqual(ages, [500], value);
    assert.equal(warnings.length, 1, value);
    assert.match(warnings[0] ?? "", /^EMATIX_FLOW_RUN_LOG_KEEP_DAYS is '.+', which is no number/);
  }
});

Deno.test("a variable that may not be read could say that runs stay", async () => {
  assert.deepEqual(await left([500], undefined, false), { ages: [500], warnings: [] });
});

Deno.test("one command removes a thousand runs at most", async () => {
  const ages = Array.from({ length: 1500 }, (_, n) => 500 + n);
  assert.equal((await left(ages, undefined)).ages.length, 500);
});

Deno.test("a log that lets nothing be deleted is told of, and goes on to be written", async () => {
  class Undeletable extends MemoryRunLog {
    constructor(readonly retryable: boolean) {
      super();
    }
    override prune(): Promise<number> {
      return Promise.reject(
        new FlowError("cannot write to the run log x: permission denied", {
          code: "run_log_unavailable",
          domain: "user",
          retryable: this.retryable,
        }),
      );
    }
  }
  for (const retryable of [false, true]) {
    const warnings: string[] = [];
    const clock = new FakeClock(NOW);
    const warn = (message: string) => warnings.push(message);
    const inner = new Undeletable(retryable);
    const runLog = new LenientRunLog(inner, { clock, warn });
    await removeOldRuns(runLog, {
      variable: () => undefined,
      isReadable: () => true,
      clock,
      warn,
    });
    await runLog.setAttemptState("orders", { attemptCount: 1, lastAttemptAt: "", gaveUp: false });
    assert.equal((await inner.attemptState("orders"))?.attemptCount, 1);
    const told = /permission denied.*Old runs stay in the run log$/;
    assert.equal(warnings.length, retryable ? 0 : 1);
    if (!retryable) assert.match(warnings[0] ?? "", told);
  }
});
