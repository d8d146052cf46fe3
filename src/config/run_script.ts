import { FlowError } from "../core/error.ts";
import type { Observation } from "../core/observation.ts";
import type { ConsumeSummary, DefinitionInput } from "../core/request.ts";
import { pipelineValue, type StreamingPipelineOptions } from "./builder.ts";
import { callerOrigin } from "./caller_origin.ts";
import { makeScratchDir } from "./host.ts";
import { collectDefinitions } from "./registry.ts";

/** How a script runs a pipeline. */
export interface RunOptions {
  /** Serve Prometheus metrics at this port for as long as the pipeline runs; 0 takes any free one. */
  readonly metricsPort?: number;
  /** Stop at the end that the sources have now, instead of waiting for more. Default: false. */
  readonly untilEnd?: boolean;
  /** Aborting it finishes and commits the batch under way; aborting it with the reason `"now"` drops that batch. */
  readonly signal?: AbortSignal;
}

/** What {@link runPipeline} takes: a file or a text, not both. */
export type RunPipelineOptions =
  & RunOptions
  & (
    | { /** Path of a TOML file. */ readonly config: string; readonly configString?: never }
    | { /** TOML text. */ readonly configString: string; readonly config?: never }
  );

/** What {@link runStreamingPipeline} takes: what `streamingPipeline` takes, and the name. */
export type RunStreamingPipelineOptions =
  & RunOptions
  & StreamingPipelineOptions
  & { readonly name: string };

/**
 * Runs the pipeline of a TOML file (or text) in this process, until its sources end, or `signal` is aborted.
 *
 * The engine is loaded now, into the isolate of the script: it is held by the script's own permission flags, and needs `--allow-ffi`.
 *
 * @throws FlowError of code `definition_invalid` and others; `retryable` says whether starting again may help.
 *
 * @example
 * ```ts ignore
 * import { runPipeline } from "flow";
 *
 * const summary = await runPipeline({ config: "pipeline.toml", metricsPort: 9100 });
 * ```
 */
export async function runPipeline(options: RunPipelineOptions): Promise<ConsumeSummary> {
  const { config, configString } = options;
  if ((config === undefined) === (configString === undefined)) {
    throw new FlowError("runPipeline() needs either config or configString", {
      code: "definition_invalid",
      domain: "user",
      hint: 'give config: "pipeline.toml", or configString with the TOML text',
    });
  }
  const input: DefinitionInput = config === undefined
    ? { from: "toml_text", text: configString ?? "", name: "configString" }
    : { from: "toml_file", path: config };
  return await run(input, undefined, options);
}

/**
 * Runs one streaming pipeline in this process, without a file and without registering it, until its sources end, or `signal` is aborted.
 * Connections that are given by name are looked up as always; those that this script registered count.
 *
 * @throws FlowError of code `definition_invalid` and others; `retryable` says whether starting again may help.
 *
 * @example
 * ```ts ignore
 * import { kafka, postgres, runStreamingPipeline } from "flow";
 *
 * await runStreamingPipeline({
 *   name: "events-to-pg",
 *   source: kafka({ name: "src", bootstrapServers: "localhost:9092", groupId: "flow" }),
 *   sourceQuery: "events",
 *   target: postgres({ name: "warehouse", url: "postgres://localhost/mydb" }),
 *   targetTable: ["public", "events"],
 *   untilEnd: true,
 * });
 * ```
 */
export async function runStreamingPipeline(
  options: RunStreamingPipelineOptions,
): Promise<ConsumeSummary> {
  const origin = callerOrigin(runStreamingPipeline);
  const { name, metricsPort: _port, untilEnd: _end, signal: _signal, ...definition } = options;
  const connections = collectDefinitions().filter(({ kind }) => kind === "connection");
  const input: DefinitionInput = {
    from: "module",
    module: origin.file,
    definitions: [
      ...connections,
      { kind: "streaming_pipeline", name, value: pipelineValue(definition), origin },
    ],
  };
  return await run(input, name, options);
}

async function run(
  input: DefinitionInput,
  pipeline: string | undefined,
  options: RunOptions,
): Promise<ConsumeSummary> {
  const stops = new StopSignals(options.signal);
  const metrics = await startMetrics(options.metricsPort);
  try {
    const scratchDir = await makeScratchDir();
    try {
      // deno-lint-ignore flow/layers -- the one way from the public API to the engine, loaded only when something runs
      const { runRequest } = await import("../app.ts");
      const result = await runRequest({
        do: "consume",
        input,
        untilEnd: options.untilEnd ?? false,
        ...(pipeline === undefined ? {} : { pipeline }),
      }, {
        observe: (observation) => metrics?.observe(observation),
        drain: stops.drain,
        now: stops.now,
        scratchDir,
      });
      if (result.did !== "consume") throw new Error(`asked to consume, it did ${result.did}`);
      return result.summary;
    } finally {
      await Deno.remove(scratchDir, { recursive: true });
    }
  } finally {
    stops.close();
    await metrics?.close();
  }
}

interface Metrics {
  observe(observation: Observation): void;
  close(): Promise<void>;
}

async function startMetrics(port: number | undefined): Promise<Metrics | undefined> {
  if (port === undefined) return undefined;
  // deno-lint-ignore flow/layers -- loaded only when metrics are asked for, so that user modules stay light
  const { startMetricsServer } = await import("../ops/metrics_server.ts");
  return startMetricsServer({ port });
}

/** Turns a script's one signal into the engine's two. */
class StopSignals {
  readonly #drain = new AbortController();
  readonly #now = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #stop = () => {
    if (this.#signal?.reason === "now") this.#now.abort("now");
    this.#drain.abort("drain");
  };

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (signal?.aborted) this.#stop();
    signal?.addEventListener("abort", this.#stop, { once: true });
  }

  get drain(): AbortSignal {
    return this.#drain.signal;
  }

  get now(): AbortSignal {
    return this.#now.signal;
  }

  close(): void {
    this.#signal?.removeEventListener("abort", this.#stop);
  }
}
