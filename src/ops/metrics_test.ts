import assert from "node:assert/strict";
import { startMetricsServer } from "./metrics_server.ts";

Deno.test("the server tells the guide's metrics, health and readiness", async () => {
  const server = startMetricsServer({ port: 0, hostname: "127.0.0.1" });
  const get = (path: string) => fetch(`http://127.0.0.1:${server.port}${path}`);
  const status = async (path: string) => {
    const response = await get(path);
    await response.body?.cancel();
    return response.status;
  };
  try {
    assert.equal(await status("/healthz"), 200);
    assert.equal(await status("/readyz"), 503);
    const pipeline = "p";
    server.observe({
      kind: "run_started",
      pipeline,
      sources: ["a"],
      targets: ["t"],
      delivery: "x",
    });
    server.observe({ kind: "ready", pipeline });
    assert.equal(await status("/readyz"), 200);
    server.observe({
      kind: "batch_committed",
      pipeline,
      epoch: 1,
      rowsConsumed: 7,
      rowsWritten: 5,
      bytes: 100,
      latencyMs: 20,
      stageMs: {},
    });
    server.observe({ kind: "idle", pipeline });
    server.observe({
      kind: "rows_rejected",
      pipeline,
      stage: "decode",
      rows: 2,
      action: "dead_letter",
      example: "",
    });
    server.observe({ kind: "watermark", pipeline, sourceId: "a", micros: 2000 });
    server.observe({ kind: "watermark", pipeline, sourceId: "b", micros: 1000 });
    server.observe({ kind: "lag", pipeline, sourceId: "a", rows: 42 });
    const text = await (await get("/metrics")).text();
    for (
      const line of [
        'ematix_streaming_rows_consumed_total{pipeline="p"} 7',
        'ematix_streaming_rows_written_total{pipeline="p"} 5',
        'ematix_streaming_batches_total{pipeline="p"} 1',
        'ematix_streaming_iterations_total{pipeline="p"} 2',
        'ematix_streaming_idle_iterations_total{pipeline="p"} 1',
        'ematix_streaming_errors_total{pipeline="p"} 0',
        'ematix_streaming_dlq_writes_total{pipeline="p"} 2',
        'ematix_streaming_global_watermark_micros{pipeline="p"} 1000',
        'ematix_streaming_per_source_watermark_micros{pipeline="p",source="a"} 2000',
        'ematix_streaming_lag_rows{pipeline="p",source="a"} 42',
        'ematix_streaming_bytes_consumed_total{pipeline="p"} 100',
        'ematix_streaming_batch_latency_seconds_count{pipeline="p"} 1',
      ]
    ) assert.ok(text.includes(line), `missing: ${line}`);
    server.observe({
      kind: "error",
      pipeline,
      error: { code: "x", domain: "external", retryable: true, message: "m" },
    });
    assert.equal(await status("/readyz"), 503);
  } finally {
    await server.close();
  }
});
