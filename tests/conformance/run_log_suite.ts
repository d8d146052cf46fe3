import assert from "node:assert/strict";
import type { RunLog, RunRecord } from "../../src/core/run_log.ts";

/** A place for a run log, empty at first. */
export interface RunLogFixture {
  /** A handle on it that is not open yet; each is another process's view. */
  handle(): RunLog;
  /** Records many runs in a quicker way than one by one; after a handle was opened. */
  fill?(records: readonly RunRecord[]): void;
  /** True when handles share what they write, and it outlives them. */
  readonly durable: boolean;
  close(): Promise<void>;
}

/** One implementation of {@link RunLog}. */
export interface RunLogKind {
  readonly name: string;
  readonly ignore?: boolean;
  make(): Promise<RunLogFixture>;
}

const at = (minute: number, second = 0): string =>
  new Date(Date.UTC(2026, 4, 1, 12, minute, second)).toISOString();

function record(runId: string, change: Partial<RunRecord> = {}): RunRecord {
  return {
    runId,
    pipeline: "orders",
    status: "running",
    attempt: 1,
    startedAt: at(0),
    targets: [],
    ...change,
  };
}

const ids = (records: readonly RunRecord[]): string[] => records.map(({ runId }) => runId);

/** What every run log must do. */
export function runLogSuite(kind: RunLogKind): void {
  const test = (
    name: string,
    body: (log: RunLog, fixture: RunLogFixture) => Promise<void>,
  ): void =>
    Deno.test({
      name: `run log ${kind.name}: ${name}`,
      ignore: kind.ignore === true,
      // Workers and sockets of the databases end a moment after they are closed.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        const fixture = await kind.make();
        try {
          const log = fixture.handle();
          await log.open(new AbortController().signal);
          try {
            await body(log, fixture);
          } finally {
            await log.close();
            await log.close();
          }
        } finally {
          await fixture.close();
        }
      },
    });

  test("a run comes back as it was recorded, at its start and at its end", async (log) => {
    const started = record("r1", { scheduledFor: at(0), attempt: 2 });
    await log.start(started);
    assert.deepEqual(await log.show("r1"), started);
    const finished: RunRecord = {
      ...started,
      status: "failed",
      finishedAt: at(1, 2),
      heartbeatAt: at(0, 30),
      targets: [{
        target: "shop.orders",
        mode: "merge",
        path: "cross_db",
        rowsInserted: 3,
        rowsUpdated: 0,
        watermark: "2026-05-01 \u{1F600} ' \" \\",
      }],
      error: {
        code: "load_rejected",
        domain: "user",
        retryable: false,
        message: "value 'x\u{1F600}' of column n is no number",
        hint: "cast it",
        details: { column: "n", row: 7 },
        cause: "invalid input",
      },
    };
    await log.finish(finished);
    assert.deepEqual(await log.show("r1"), finished);
    await log.finish(record("r2", { status: "success" }));
    assert.equal((await log.show("r2"))?.status, "success", "the end alone is recorded too");
    assert.equal(await log.show("r3"), undefined);
  });

  test("an id is given once", async (log) => {
    await log.start(record("r1"));
    const isTaken = { name: "FlowError", code: "run_id_taken" };
    await assert.rejects(log.start(record("r1")), isTaken);
    await assert.rejects(log.claim(record("r1", { scheduledFor: at(5) })), isTaken);
    assert.equal((await log.list({ limit: 10 })).length, 1);
  });

  test("runs are listed newest first, and filtered", async (log) => {
    await log.start(record("a", { startedAt: at(1) }));
    await log.start(record("b", { startedAt: at(3), status: "success", pipeline: "users" }));
    await log.start(record("c", { startedAt: at(2), status: "skipped", reason: "why" }));
    await log.start(record("d", { startedAt: at(2), scheduledFor: at(2) }));
    assert.deepEqual(ids(await log.list({ limit: 10 })), ["b", "d", "c", "a"]);
    assert.deepEqual(ids(await log.list({ limit: 2 })), ["b", "d"]);
    assert.deepEqual(ids(await log.list({ limit: 10, pipeline: "orders" })), ["d", "c", "a"]);
    assert.deepEqual(ids(await log.list({ limit: 10, status: "running" })), ["d", "a"]);
    assert.deepEqual(ids(await log.list({ limit: 10, since: at(2) })), ["b", "d", "c"]);
    assert.deepEqual(
      ids(await log.list({ limit: 10, since: "2026-05-01T14:02:00+02:00" })),
      ["b", "d", "c"],
      "another zone",
    );
    assert.deepEqual(ids(await log.list({ limit: 10, scheduledFor: at(2) })), ["d"]);
    const [skipped] = await log.list({ limit: 1, pipeline: "orders", status: "skipped" });
    assert.equal(skipped?.reason, "why");
    assert.deepEqual(await log.list({ limit: 10, pipeline: "nobody" }), []);
  });

  test("the newest run and the newest success of each pipeline", async (log) => {
    await log.start(record("o1", { startedAt: at(1), status: "success" }));
    await log.start(record("o2", { startedAt: at(2), status: "failed" }));
    await log.start(record("o3", { startedAt: at(3), status: "skipped" }));
    await log.start(record("u1", { startedAt: at(2), pipeline: "users" }));
    await log.start(record("x1", { startedAt: at(2), pipeline: "others", status: "success" }));
    const names = ["orders", "users", "nobody"];
    const shown = (runs: ReadonlyMap<string, RunRecord>) =>
      [...runs].map(([name, { runId }]) => `${name} ${runId}`).toSorted();
    assert.deepEqual(shown(await log.lastRuns(names)), ["orders o2", "users u1"]);
    assert.deepEqual(shown(await log.lastSuccesses(names)), ["orders o1"]);
    assert.equal((await log.lastRuns([])).size, 0);
  });

  test("a time of the schedule is claimed once, and again after a failure", async (log) => {
    const slot = { scheduledFor: at(5) };
    assert.equal(await log.claim(record("a", slot)), true);
    assert.equal(await log.claim(record("b", slot)), false, "it runs");
    assert.equal(await log.claim(record("c", { scheduledFor: at(6) })), true, "another time");
    const users = { ...slot, pipeline: "users" };
    assert.equal(await log.claim(record("d", users)), true, "another pipeline");
    await log.finish(record("a", { ...slot, status: "failed" }));
    assert.equal(await log.claim(record("e", slot)), false, "this attempt has been");
    assert.equal(await log.claim(record("f", { ...slot, attempt: 2 })), true);
    await log.finish(record("f", { ...slot, attempt: 2, status: "success" }));
    assert.equal(await log.claim(record("g", { ...slot, attempt: 3 })), false, "it succeeded");
    await log.start(record("h", { scheduledFor: at(7), attempt: 0, status: "skipped" }));
    assert.equal(await log.claim(record("i", { scheduledFor: at(7) })), true, "skips do not claim");
    assert.equal(await log.show("b"), undefined);
  });

  test("only a silent run is abandoned", async (log) => {
    await log.start(record("a", { startedAt: at(0) }));
    const failed = record("a", { status: "failed", finishedAt: at(9) });
    assert.equal(await log.abandon(failed, at(0)), false, "it has just started");
    await log.heartbeat("a", at(4));
    assert.equal((await log.show("a"))?.heartbeatAt, at(4));
    assert.equal(await log.abandon(failed, at(3)), false, "it has just given a sign");
    assert.equal(await log.abandon(failed, at(5)), true);
    assert.equal(await log.abandon(failed, at(5)), false, "once");
    assert.deepEqual(await log.show("a"), failed);
    await log.heartbeat("a", at(6));
    assert.deepEqual(await log.show("a"), failed, "it has ended");
    await log.heartbeat("nobody", at(6));
    assert.equal(await log.abandon(record("nobody"), at(5)), false);
  });

  test("lines keep their order, and the last ones can be asked for", async (log) => {
    await log.append("a", [
      { at: at(0), level: "info", text: "one" },
      { at: at(0), level: "warning", text: "two ' \" \\ \u{1F600}\nnext" },
    ]);
    await log.append("odd", [{ at: at(0), level: "info", text: "a\ud83d" }]);
    assert.equal((await log.lines("odd"))[0]?.text.slice(0, 1), "a", "half a pair of surrogates");
    await log.append("b", [{ at: at(0), level: "info", text: "other" }]);
    await log.append("a", []);
    await log.append("a", [{ at: at(1), level: "error", text: "three" }]);
    const all = await log.lines("a");
    assert.deepEqual(all, [
      { at: at(0), level: "info", text: "one" },
      { at: at(0), level: "warning", text: "two ' \" \\ \u{1F600}\nnext" },
      { at: at(1), level: "error", text: "three" },
    ]);
    assert.deepEqual(await log.lines("a", 2), all.slice(1));
    assert.deepEqual(await log.lines("a", 100), all);
    assert.deepEqual(await log.lines("a", 0), []);
    assert.deepEqual(await log.lines("nobody"), []);
  });

  test("attempt states come, change and go", async (log) => {
    assert.equal(await log.attemptState("orders"), undefined);
    const waiting = {
      attemptCount: 1,
      lastAttemptAt: at(0),
      nextEligibleAt: at(1),
      gaveUp: false,
    };
    await log.setAttemptState("orders", waiting);
    await log.setAttemptState("users", { attemptCount: 5, lastAttemptAt: at(3), gaveUp: true });
    assert.deepEqual(await log.attemptState("orders"), waiting);
    assert.deepEqual(await log.attemptState("users"), {
      attemptCount: 5,
      lastAttemptAt: at(3),
      gaveUp: true,
    });
    const over = { attemptCount: 2, lastAttemptAt: at(2), gaveUp: false };
    await log.setAttemptState("orders", over);
    assert.deepEqual(await log.attemptState("orders"), over);
    await log.setAttemptState("orders", undefined);
    await log.setAttemptState("nobody", undefined);
    assert.equal(await log.attemptState("orders"), undefined);
  });

  test("old runs are removed with their lines, but not what decisions stand on", async (log) => {
    const runs: readonly RunRecord[] = [
      record("skipped", { startedAt: at(1), status: "skipped", reason: "why" }),
      record("first", { startedAt: at(2), status: "success" }),
      record("failed", { startedAt: at(3), status: "failed" }),
      record("newest success", { startedAt: at(4), status: "success" }),
      record("later failed", { startedAt: at(5), status: "failed" }),
      record("newest", { startedAt: at(6), status: "failed" }),
      record("alone", { startedAt: at(2), status: "success", pipeline: "users" }),
      record("unfinished", { startedAt: at(1), pipeline: "hung" }),
      record("young", { startedAt: at(10), status: "failed", pipeline: "days" }),
      record("younger", { startedAt: at(11), status: "success", pipeline: "days" }),
    ];
    for (const run of runs) {
      await log.start(run);
      await log.append(run.runId, [{ at: at(0), level: "info", text: run.runId }]);
    }
    const left = async () => ids(await log.list({ limit: 100 })).toSorted();
    const everything = runs.map(({ runId }) => runId).toSorted();
    assert.equal(await log.prune(at(1), 100), 0);
    assert.deepEqual(await left(), everything, "none is older");
    assert.equal(await log.prune(at(10), 2), 2);
    const without = (...gone: readonly string[]) => everything.filter((id) => !gone.includes(id));
    assert.deepEqual(await left(), without("skipped", "first"), "the oldest come first");
    assert.equal(await log.prune(at(10), 100), 2);
    const gone = ["skipped", "first", "failed", "later failed"];
    assert.deepEqual(await left(), without(...gone));
    assert.equal(await log.prune(at(10), 100), 0, "the rest stays");
    for (const id of everything) {
      assert.equal((await log.lines(id)).length, gone.includes(id) ? 0 : 1, id);
    }
    assert.equal((await log.lastSuccesses(["orders"])).get("orders")?.runId, "newest success");
    assert.equal((await log.lastRuns(["orders"])).get("orders")?.runId, "newest");
  });

  test("ten thousand runs are listed quickly, and old ones removed", async (log, fixture) => {
    const statuses = ["success", "failed", "skipped"] as const;
    const records = Array.from({ length: 10_000 }, (_, n) =>
      record(`r${n}`, {
        pipeline: `p${n % 20}`,
        startedAt: at(0, n),
        status: statuses[n % 3] ?? "success",
      }));
    if (fixture.fill === undefined) await Promise.all(records.map((one) => log.start(one)));
    else fixture.fill(records);
    const began = performance.now();
    assert.equal((await log.list({ limit: 100 })).length, 100);
    assert.deepEqual(ids(await log.list({ limit: 2, pipeline: "p7" })), ["r9987", "r9967"]);
    assert.equal((await log.list({ limit: 1000, status: "failed" })).length, 1000);
    const names = Array.from({ length: 20 }, (_, n) => `p${n}`);
    assert.equal((await log.lastRuns(names)).size, 20);
    assert.equal((await log.lastSuccesses(names)).size, 20);
    assert.equal(await log.prune(at(0, 9_000), 1000), 1000);
    const ms = performance.now() - began;
    assert.ok(ms < 1000, `it took ${Math.round(ms)} ms`);
  });

  test("two handles see one log, also at once, and it outlives them", async (log, fixture) => {
    if (!fixture.durable) return;
    const other = fixture.handle();
    await other.open(new AbortController().signal);
    const claims = await Promise.all(
      Array.from({ length: 40 }, (_, n) => {
        const [handle, name] = n % 2 === 0 ? [log, "a"] as const : [other, "b"] as const;
        const slot = Math.floor(n / 2);
        return handle.claim(record(`${name}${slot}`, { scheduledFor: at(slot) }));
      }),
    );
    assert.equal(claims.filter((claimed) => claimed).length, 20, "each time once");
    const writes = Array.from({ length: 100 }, (_, n) => {
      const handle = n % 2 === 0 ? log : other;
      return handle.append("lines", [{ at: at(0), level: "info", text: `${n}` }]);
    });
    await Promise.all(writes);
    assert.equal((await log.lines("lines")).length, 100);
    await log.setAttemptState("orders", { attemptCount: 1, lastAttemptAt: at(0), gaveUp: false });
    assert.equal((await other.attemptState("orders"))?.attemptCount, 1);
    await other.close();
    await log.close();

    const later = fixture.handle();
    await later.open(new AbortController().signal);
    assert.equal((await later.list({ limit: 100 })).length, 20);
    assert.equal((await later.lines("lines", 3)).length, 3);
    await later.close();
  });

  test("many processes may make it at the same moment", async (log, fixture) => {
    if (!fixture.durable) return;
    const fresh = await kind.make();
    try {
      const handles = Array.from({ length: 4 }, () => fresh.handle());
      await Promise.all(handles.map((handle) => handle.open(new AbortController().signal)));
      await Promise.all(handles.map((handle, n) => handle.start(record(`r${n}`))));
      assert.equal((await handles[0]?.list({ limit: 10 }))?.length, 4);
      for (const handle of handles) await handle.close();
    } finally {
      await fresh.close();
    }
    assert.deepEqual(await log.list({ limit: 1 }), []);
  });

  test("a closed log says that it is", async (log, fixture) => {
    if (!fixture.durable) return;
    await log.close();
    await assert.rejects(log.list({ limit: 1 }), { code: "run_log_unavailable" });
  });
}
