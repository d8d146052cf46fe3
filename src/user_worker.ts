/**
 * The user's isolate: `flow` as pipelines import it, and the code that runs the user's module. Started by `sandbox/user_host.ts`
 * with the permissions that were granted; nothing of the engine is loaded here.
 */
import "./mod.ts";
import { collectDefinitions } from "./config/registry.ts";
import { serveUserModule } from "./sandbox/user_isolate.ts";

serveUserModule(collectDefinitions);
