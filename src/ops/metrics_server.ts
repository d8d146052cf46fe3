import { describeError, FlowError } from "../core/error.ts";
import type { Observation } from "../core/observation.ts";
import { StreamMetrics } from "./metrics.ts";

/** A running `/metrics`, `/healthz`, `/readyz` server. */
export interface MetricsServer {
  readonly port: number;
  observe(observation: Observation): void;
  close(): Promise<void>;
}

/**
 * Serves Prometheus metrics on `port` (0: any free one). `/healthz` is 200 while the process works; `/readyz` is 200 once the
 * pipeline has opened its sources and targets, and 503 before, and between an error and the next start.
 *
 * @throws FlowError `metrics_port_unavailable` when the port cannot be listened on.
 */
export function startMetricsServer(
  options: { readonly port: number; readonly hostname?: string },
): MetricsServer {
  const metrics = new StreamMetrics();
  let state: "starting" | "ready" | "failed" = "starting";
  const text = (body: string, status = 200) => new Response(`${body}\n`, { status });
  const handle = async (request: Request): Promise<Response> => {
    switch (new URL(request.url).pathname) {
      case "/metrics":
        return new Response(await metrics.registry.metrics(), {
          headers: { "content-type": metrics.registry.contentType },
        });
      case "/healthz":
        return text("ok");
      case "/readyz":
        return state === "ready" ? text("ready") : text(state, 503);
      default:
        return text("see /metrics, /healthz, /readyz", 404);
    }
  };
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      port: options.port,
      hostname: options.hostname ?? "0.0.0.0",
      onListen: () => {},
    }, handle);
  } catch (cause) {
    throw new FlowError(
      `cannot listen on metrics port ${options.port}: ${describeError(cause)}`,
      {
        code: "metrics_port_unavailable",
        domain: "external",
        hint: "choose another --metrics-port; 0 takes any free one",
        cause,
      },
    );
  }
  return {
    port: server.addr.port,
    observe(observation) {
      metrics.observe(observation);
      if (observation.kind === "ready") state = "ready";
      else if (observation.kind === "run_started") state = "starting";
      else if (observation.kind === "error") state = "failed";
    },
    close: () => server.shutdown(),
  };
}
