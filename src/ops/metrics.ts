import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Observation } from "../core/observation.ts";

/**
 * The Prometheus metrics of streaming pipelines, filled from observations. Names are the user guide's `ematix_streaming_*`; lag, batch
 * latency, bytes, dropped rows and restarts are flow's own.
 */
export class StreamMetrics {
  readonly registry = new Registry();
  readonly #counters: Readonly<Record<CounterName, Counter<"pipeline">>>;
  readonly #globalWatermark: Gauge<"pipeline">;
  readonly #sourceWatermark: Gauge<"pipeline" | "source">;
  readonly #lag: Gauge<"pipeline" | "source">;
  readonly #latency: Histogram<"pipeline">;
  /** Newest watermark per pipeline and source, for the global minimum. */
  readonly #watermarks = new Map<string, Map<string, number>>();

  constructor() {
    const registers = [this.registry];
    this.#counters = Object.fromEntries(
      Object.entries(COUNTERS).map(([key, help]) => [
        key,
        new Counter({
          name: `ematix_streaming_${key}_total`,
          help,
          labelNames: ["pipeline"],
          registers,
        }),
      ]),
    ) as Record<CounterName, Counter<"pipeline">>;
    this.#globalWatermark = new Gauge({
      name: "ematix_streaming_global_watermark_micros",
      help: "Lowest watermark of the pipeline's sources, microseconds since the epoch",
      labelNames: ["pipeline"],
      registers,
    });
    this.#sourceWatermark = new Gauge({
      name: "ematix_streaming_per_source_watermark_micros",
      help: "Watermark of a source, microseconds since the epoch",
      labelNames: ["pipeline", "source"],
      registers,
    });
    this.#lag = new Gauge({
      name: "ematix_streaming_lag_rows",
      help: "Rows that the source still has and the pipeline has not read",
      labelNames: ["pipeline", "source"],
      registers,
    });
    this.#latency = new Histogram({
      name: "ematix_streaming_batch_latency_seconds",
      help: "From the hand-over of a batch by its source to its commit",
      labelNames: ["pipeline"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
  }

  /** Takes one observation into the figures. */
  observe(observation: Observation): void {
    const { pipeline } = observation;
    const add = (name: CounterName, by = 1) => this.#counters[name].inc({ pipeline }, by);
    switch (observation.kind) {
      case "run_started":
        // A counter that is there from the start can be watched for its first rise.
        for (const counter of Object.values(this.#counters)) counter.inc({ pipeline }, 0);
        break;
      case "batch_committed":
        add("iterations");
        add("batches");
        add("rows_consumed", observation.rowsConsumed);
        add("rows_written", observation.rowsWritten);
        add("bytes_consumed", observation.bytes);
        this.#latency.observe({ pipeline }, observation.latencyMs / 1000);
        break;
      case "idle":
        add("iterations");
        add("idle_iterations");
        break;
      case "error":
        add("errors");
        break;
      case "retrying":
        add("restarts");
        break;
      case "rows_rejected":
        add(observation.action === "dead_letter" ? "dlq_writes" : "rows_dropped", observation.rows);
        break;
      case "lag":
        this.#lag.set({ pipeline, source: observation.sourceId }, observation.rows);
        break;
      case "watermark":
        this.#watermark(pipeline, observation.sourceId, observation.micros);
        break;
    }
  }

  #watermark(pipeline: string, source: string, micros: number): void {
    let sources = this.#watermarks.get(pipeline);
    if (sources === undefined) this.#watermarks.set(pipeline, sources = new Map());
    sources.set(source, micros);
    this.#sourceWatermark.set({ pipeline, source }, micros);
    this.#globalWatermark.set({ pipeline }, Math.min(...sources.values()));
  }
}

/** The counters, `ematix_streaming_<name>_total{pipeline}`, with their help texts. */
const COUNTERS = {
  rows_consumed: "Rows read from the sources, before any transform",
  rows_written: "Rows written to the targets, after transforms",
  batches: "Batches that were not empty",
  iterations: "Turns of the run loop, idle ones included",
  idle_iterations: "Turns of the run loop that found nothing to read",
  errors: "Errors that ended a run",
  dlq_writes: "Rows sent to the dead letters",
  rows_dropped: "Rows dropped by transform_on_error = drop",
  bytes_consumed: "Payload bytes read from the sources",
  restarts: "Restarts by the supervisor",
} as const;

type CounterName = keyof typeof COUNTERS;
