/**
 * The engine's isolate. Started by `sandbox/engine_host.ts` with the granted permissions, flow's native library and a
 * scratch directory.
 */
import { serveEngine } from "./sandbox/engine_isolate.ts";

serveEngine(async () => (await import("./app.ts")).runRequest);
