import assert from "node:assert/strict";
import { flow, inDirectory, RunningFlow, testEach } from "./flow_program.ts";
import { ordersToDuckdb, ordersToPostgres } from "./pipelines.ts";

/** Nobody listens at port 1. */
const AWAY = ordersToPostgres("postgres://u@127.0.0.1:1/db");

async function get(port: string, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: await response.text() };
}

function metric(body: string, name: string): number {
  const line = new RegExp(`^ematix_streaming_${name}\\{pipeline="orders"\\} (\\S+)$`, "m");
  return Number(line.exec(body)?.[1]);
}

testEach("--restart-on-error tries again, and gives up after --max-restarts", async (program) => {
  await inDirectory({ "p.toml": AWAY }, async (cwd) => {
    const args = ["consume", "p.toml", "--restart-on-error", "--max-restarts", "2"];
    const { code, stdout, stderr } = await flow(program, [...args, "--min-backoff-ms", "20"], {
      cwd,
    });
    assert.equal(code, 20);
    assert.equal(stdout, "");
    assert.match(stderr, /^orders: restart 1 in \d+ ms: .*127\.0\.0\.1:1/m);
    assert.match(stderr, /^orders: restart 2 in \d+ ms: /m);
    assert.doesNotMatch(stderr, /restart 3/);
    assert.match(stderr, /^error: gave up after 2 restarts: /m);
  });
});

testEach("what a restart cannot mend is not tried again", async (program) => {
  await inDirectory({ "p.toml": ordersToDuckdb("rosw = 1") }, async (cwd) => {
    const { code, stderr } = await flow(program, ["consume", "p.toml", "--restart-on-error"], {
      cwd,
    });
    assert.equal(code, 10);
    assert.doesNotMatch(stderr, /restart/);
  });
});

testEach("restarts are in the metrics, and a signal ends the wait with 0", async (program) => {
  await inDirectory({ "p.toml": AWAY }, async (cwd) => {
    const running = new RunningFlow(program, [
      "consume",
      "p.toml",
      "--restart-on-error",
      "--min-backoff-ms=600000",
      "--max-backoff-ms=600000",
      "--metrics-port=0",
    ], { cwd });
    const [, port = ""] = await running.saw(/^metrics: http:\/\/localhost:(\d+)\/metrics$/m);
    await running.saw(/^orders: restart 1 in (?:[5-9]|10) min /m);
    const { body } = await get(port, "/metrics");
    assert.equal(metric(body, "restarts_total"), 1);
    assert.equal(metric(body, "errors_total"), 1);
    assert.deepEqual(await get(port, "/readyz"), { status: 503, body: "failed\n" });
    assert.equal((await get(port, "/healthz")).status, 200);
    running.signal("SIGTERM");
    const { code, stderr } = await running.ended();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^orders: stopped: 0 rows read, 0 written, 1 restart in /m);
  });
});

testEach("the metrics of a running pipeline are served", async (program) => {
  const toml = ordersToDuckdb("rate = 2000", "max_batch_wait_ms = 100");
  await inDirectory({ "p.toml": toml }, async (cwd) => {
    const running = new RunningFlow(program, ["consume", "p.toml", "--metrics-port", "0"], { cwd });
    const [, port = ""] = await running.saw(/localhost:(\d+)/);
    const body = await running.until("rows in the metrics", async () => {
      const { body } = await get(port, "/metrics");
      return metric(body, "rows_written_total") > 0 ? body : undefined;
    });
    assert(metric(body, "rows_consumed_total") >= metric(body, "rows_written_total"));
    assert(metric(body, "batches_total") > 0);
    assert.match(body, /^ematix_streaming_batch_latency_seconds_count\{pipeline="orders"\} /m);
    assert.deepEqual(await get(port, "/readyz"), { status: 200, body: "ready\n" });
    running.signal("SIGTERM");
    assert.equal((await running.ended()).code, 0);
  });
});

testEach("a metrics port that is taken is an error of the outside", async (program) => {
  using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const port = String(listener.addr.port);
  await inDirectory({ "p.toml": ordersToDuckdb("rows = 1") }, async (cwd) => {
    const { code, stderr } = await flow(program, ["consume", "p.toml", "--metrics-port", port], {
      cwd,
    });
    assert.equal(code, 20);
    assert(stderr.startsWith(`error: cannot listen on metrics port ${port}: `), stderr);
  });
});
