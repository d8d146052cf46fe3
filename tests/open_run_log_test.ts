import assert from "node:assert/strict";
import { connectors } from "../src/connectors/mod.ts";
import { systemClock } from "../src/core/clock.ts";
import type { Observation } from "../src/core/observation.ts";
import type { RunLog } from "../src/core/run_log.ts";
import { openRunLogToRead, openRunLogToRun } from "../src/ops/open_run_log.ts";

/** How the run log opens under Deno's permissions, and where it cannot. */

const loose = { sanitizeOps: false, sanitizeResources: false };

function context(home: string | undefined) {
  const notices: string[] = [];
  return {
    notices,
    connectors,
    variable: (name: string) => name === "HOME" ? home : undefined,
    isReadable: () => true,
    clock: systemClock,
    observe: (observation: Observation) => {
      assert.equal(observation.kind, "notice");
      if (observation.kind === "notice") notices.push(observation.message);
    },
    signal: new AbortController().signal,
  };
}

const run = {
  runId: "r1",
  pipeline: "orders",
  status: "success",
  attempt: 1,
  startedAt: "2026-05-01T12:00:00.000Z",
  targets: [],
} as const;

Deno.test(
  "the default run log is made in the home directory, and is empty before",
  loose,
  async () => {
    const home = await Deno.makeTempDir({ prefix: "flow_test_" });
    const asked = context(home);
    const before = await openRunLogToRead({}, asked);
    assert.deepEqual(await before.list({ limit: 10 }), []);
    await before.close();
    await assert.rejects(Deno.stat(`${home}/.ematix-flow`), Deno.errors.NotFound);

    const log = await openRunLogToRun({}, asked);
    await log.start(run);
    await log.close();
    assert.deepEqual(asked.notices, []);
    const after = await openRunLogToRead({}, asked);
    assert.equal((await after.list({ limit: 10 })).length, 1);
    await after.close();
    await Deno.remove(home, { recursive: true });
  },
);

Deno.test("a run removes old runs, a question does not", loose, async () => {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const url = `${folder}/run_log.db`;
  const asked = context(undefined);
  const log = await openRunLogToRun({ url }, asked);
  const failed = { ...run, status: "failed" } as const;
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
  await log.start({ ...failed, runId: "old", startedAt: daysAgo(500) });
  await log.start({ ...failed, runId: "young", startedAt: daysAgo(300) });
  await log.close();
  const ids = async (opened: RunLog) => {
    const runs = await opened.list({ limit: 10 });
    await opened.close();
    return runs.map(({ runId }) => runId);
  };
  const forever = { ...asked, variable: () => "forever" };
  assert.deepEqual(await ids(await openRunLogToRun({ url }, forever)), ["young", "old"]);
  assert.deepEqual(await ids(await openRunLogToRead({ url }, asked)), ["young", "old"]);
  assert.deepEqual(await ids(await openRunLogToRun({ url }, asked)), ["young"]);
  assert.deepEqual(asked.notices, []);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("without a home directory a run goes on, and a question is an error", loose, async () => {
  const asked = context(undefined);
  const log = await openRunLogToRun({}, asked);
  await log.start(run);
  assert.equal((await log.list({ limit: 10 })).length, 1);
  await log.close();
  assert.equal(asked.notices.length, 1);
  assert.match(asked.notices[0] ?? "", /HOME.*--run-log.*Continuing without durable run history$/);
  await assert.rejects(openRunLogToRead({}, asked), { code: "run_log_homeless" });
});

Deno.test(
  "a run log that cannot be had is a warning for a run, an error for a question",
  loose,
  async () => {
    const url = "postgres://flow:geheim77@127.0.0.1:1/db";
    const asked = context(undefined);
    const log = await openRunLogToRun({ url }, asked);
    await log.start(run);
    await log.close();
    assert.equal(asked.notices.length, 1);
    assert.match(asked.notices[0] ?? "", /Continuing without durable run history$/);
    assert.doesNotMatch(asked.notices[0] ?? "", /geheim/);
    await assert.rejects(openRunLogToRead({ url }, asked), { code: "run_log_unavailable" });

    const never = { url: "mysql://flow:geheim77@host/db" };
    await assert.rejects(openRunLogToRun(never, asked), { code: "run_log_unsupported" });
    await assert.rejects(openRunLogToRead(never, asked), { code: "run_log_unsupported" });
    const off = context(undefined);
    await (await openRunLogToRun({ off: true }, off)).close();
    assert.deepEqual(off.notices, []);
  },
);

Deno.test({
  name: "a path that may not be written is a warning for a run",
  ...loose,
  permissions: { read: true, write: false, env: false, net: false },
  async fn() {
    const asked = context("/nowhere-to-be-written");
    const log = await openRunLogToRun({}, asked);
    await log.start(run);
    await log.close();
    assert.equal(asked.notices.length, 1);
    assert.match(
      asked.notices[0] ?? "",
      /cannot open the run log.*not allowed.*--allow-write.*Continuing without durable/,
    );
    await assert.rejects(openRunLogToRead({ url: "/nowhere-to-be-written/x.db" }, asked), {
      code: "run_log_unavailable",
    });
  },
});
