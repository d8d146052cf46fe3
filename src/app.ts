import { runBatchRequest } from "./app_batch.ts";
import { type Definitions, loadDefinitions } from "./config/definitions.ts";
import { readVariable } from "./config/host.ts";
import { connectors } from "./connectors/mod.ts";
import type { SourceBatch } from "./core/batch.ts";
import { systemClock } from "./core/clock.ts";
import type { Decoder } from "./core/decoder.ts";
import { FlowError } from "./core/error.ts";
import { armFailpoint } from "./core/failpoint.ts";
import type { EngineRequest, EngineResult, RunHooks } from "./core/request.ts";
import type { Column } from "./core/schema.ts";
import { createJsonDecoder } from "./formats/json_decoder.ts";
import { withinMemory } from "./formats/memory_bound_decoder.ts";
import { createRawBytesDecoder } from "./formats/raw_bytes_decoder.ts";
import { planStream, type StreamPlan } from "./plan/plan.ts";
import { createEngine } from "./sql/engine.ts";
import { queryFile } from "./sql/query_file.ts";
import { FileOffsetStore } from "./stream/offset_store.ts";
import { StreamRun } from "./stream/stream_run.ts";

/** Positions of sources that nobody else keeps, below the working directory. */
const OFFSET_DIRECTORY = ".flow/offsets";

/**
 * The composition root: puts configuration, connectors, engine and stream together and does what one request asks for. The same for
 * the engine Worker of the command line, for a script that imports flow, and for tests.
 *
 * @throws FlowError for everything that can be foreseen.
 */
export async function runRequest(request: EngineRequest, hooks: RunHooks): Promise<EngineResult> {
  armFailpoint(readVariable("FLOW_FAILPOINT"), hooks.stopDead);
  switch (request.do) {
    case "consume": {
      const definitions = await loadDefinitions(request.input, { connectors });
      return { did: "consume", summary: await consume(definitions, request, hooks) };
    }
    case "consume_list": {
      const definitions = await loadDefinitions(request.input, { connectors });
      return { did: "consume_list", pipelines: definitions.list() };
    }
    case "connections_list": {
      const definitions = await loadDefinitions(request.input, { connectors });
      return { did: "connections_list", connections: await definitions.connections() };
    }
    case "connections_check": {
      const definitions = await loadDefinitions(request.input, { connectors });
      const connection = await definitions.connection(request.name);
      const connector = connectors.find(({ kind }) => kind === connection.kind);
      if (connector?.check === undefined) {
        throw new FlowError(
          `connection '${request.name}' (kind='${connection.kind}') cannot be checked`,
          {
            code: "check_unsupported",
            domain: "user",
          },
        );
      }
      const { detail } = await connector.check(connection.options, hooks.now);
      return { did: "connections_check", name: request.name, shown: connection.shown, detail };
    }
    case "query_file": {
      const { path, sql } = request;
      const { scratchDir, now: signal } = hooks;
      const result = await queryFile({ path, sql, scratchDir, clock: systemClock, signal });
      return { did: "query_file", ...result };
    }
    default:
      return await runBatchRequest(request, hooks);
  }
}

/**
 * Engine threads of a stream, whose three stages keep a core each busy already. A thread that waits for another one's share of a statement
 * does so by asking again and again: with two threads on two cores a quarter of all CPU time went into that.
 */
function streamThreads(): number {
  return Math.max(1, navigator.hardwareConcurrency - 2);
}

async function consume(
  definitions: Definitions,
  request: EngineRequest & { readonly do: "consume" },
  hooks: RunHooks,
) {
  const spec = await definitions.streaming(request.pipeline);
  for (const message of definitions.notices) {
    hooks.observe({ kind: "notice", pipeline: spec.name, message });
  }
  const plan = planStream(spec, connectors);
  const engine = await createEngine({ scratchDir: hooks.scratchDir, threads: streamThreads() });
  try {
    return await StreamRun.run(plan, {
      engine,
      clock: systemClock,
      observe: hooks.observe,
      untilEnd: request.untilEnd,
      attempt: request.attempt ?? 1,
      drain: hooks.drain,
      now: hooks.now,
      offsetStore: new FileOffsetStore(OFFSET_DIRECTORY, spec.name),
      createDecoder: (batch, source, preferred) => decoderFor(plan, batch, source, preferred),
    });
  } finally {
    await engine.close();
  }
}

function decoderFor(
  plan: StreamPlan,
  batch: SourceBatch,
  source: number,
  preferred: readonly Column[] | undefined,
): Decoder {
  if (batch.encoding === "raw_bytes") return createRawBytesDecoder();
  const declared = plan.sources[source]?.spec.columns;
  // Text formats keep the text that came, unless SQL wants to work with it.
  const keepsText = plan.spec.transformSql === undefined &&
    plan.targets.every(({ sink }) => sink.traits.keepsText);
  return withinMemory(createJsonDecoder({
    inferTimes: !keepsText,
    ...(declared === undefined ? {} : { declared }),
    ...(preferred === undefined ? {} : { preferred }),
  }));
}
