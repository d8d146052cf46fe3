/** One process of `run_due_processes_test.ts`: asks what is due, and notes what it runs. Arguments: run log URL, file for the notes, time. */
import { connectors } from "../../src/connectors/mod.ts";
import { systemClock } from "../../src/core/clock.ts";
import { openRunLogToRun } from "../../src/ops/open_run_log.ts";
import { runDue } from "../../src/ops/run_due.ts";

const [url = "", notes = "", now = ""] = Deno.args;
const observe = () => {};
const { signal } = new AbortController();

const runLog = await openRunLogToRun({ url }, {
  connectors,
  variable: () => undefined,
  isReadable: () => true,
  clock: systemClock,
  observe: (observation) => {
    throw new Error(`unexpected: ${JSON.stringify(observation)}`);
  },
  signal,
});
const schedule = { cron: "0 * * * *", timezone: "UTC" };
const retry = { maxAttempts: 1, backoffSeconds: 0, backoffFactor: 1 };
const pipelines = Array.from({ length: 25 }, (_, n) => ({
  name: `p${n}`,
  schedule,
  timezone: "UTC",
  dependsOn: [],
  retry,
}));
const { ran, failed } = await runDue(pipelines, {
  nowMs: Date.parse(now),
  intervalSeconds: 60,
  runLog,
  clock: systemClock,
  observe,
  signal,
  async execute({ name }) {
    await Deno.writeTextFile(notes, `${name}\n`, { append: true });
    return { targets: [], notices: [] };
  },
});
await runLog.close();
await Deno.stdout.write(
  new TextEncoder().encode(JSON.stringify({ ran: ran.length, failed: failed.length })),
);
