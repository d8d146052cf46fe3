import { fileURLToPath } from "node:url";
import { describeError, FlowError } from "../core/error.ts";
import type { Observe } from "../core/observation.ts";
import type {
  EngineRequest,
  EngineResult,
  FromEngine,
  StopMode,
  ToEngine,
} from "../core/request.ts";
import { enginePermissions, startIsolate } from "./isolate_permissions.ts";
import type { Grant, GrantedPermissions } from "./permissions.ts";
import { makeScratch, removeScratch } from "./scratch.ts";

/** How a request is run. */
export interface EngineOptions {
  /** What the flags on `flow` granted; they hold the engine as they hold the user's modules. */
  readonly permissions: GrantedPermissions;
  readonly observe: Observe;
  /** Writes a piece of output (`flow sql`); the next ones come when it returned. */
  readonly output?: (bytes: Uint8Array) => void;
  /** Aborted to finish and commit what is under way, then stop. */
  readonly drain?: AbortSignal;
  /** Aborted to drop what is under way. An engine that does not answer within {@link STOP_GRACE_MS} is ended. */
  readonly now?: AbortSignal;
  /** The module that runs in the isolate; only tests name another one than `src/app_worker.ts`. */
  readonly workerUrl?: URL;
}

/** Time for an engine to end by itself after `now`. */
export const STOP_GRACE_MS = 5000;

const OWN_MODULES = fileURLToPath(new URL("..", import.meta.url));
const WORKER_URL = new URL("../app_worker.ts", import.meta.url);

/**
 * Does one request in an isolate of its own, with the granted permissions, its scratch directory and flow's native library. The directory
 * is gone afterwards, whatever happened.
 *
 * @throws FlowError what the engine raised, `permission_denied` with the missing flag, `permission_unavailable`, `engine_crashed`
 * when the isolate ended by itself, `engine_not_stopping` when it had to be ended.
 */
export async function runInEngine(
  request: EngineRequest,
  options: EngineOptions,
): Promise<EngineResult> {
  const scratchDir = await makeScratch();
  try {
    const permissions = enginePermissions(options.permissions, {
      scratchDir,
      ownModules: await realPathOr(OWN_MODULES),
      namedFiles: await namedFiles(request),
      nativeLibraries: await nativeLibraries(),
    });
    const worker = startIsolate(options.workerUrl ?? WORKER_URL, "flow-engine", permissions);
    try {
      return await converse(worker, { type: "start", request, scratchDir }, options);
    } finally {
      worker.terminate();
    }
  } finally {
    await removeScratch(scratchDir);
  }
}

function converse(
  worker: Worker,
  start: ToEngine,
  { observe, output, drain, now }: EngineOptions,
): Promise<EngineResult> {
  return new Promise((resolve, reject) => {
    let grace: ReturnType<typeof setTimeout> | undefined;
    const ended = new AbortController();
    const end = (settle: () => void) => {
      clearTimeout(grace);
      ended.abort();
      settle();
    };
    const post = (message: ToEngine) => worker.postMessage(message);
    const stopOn = (signal: AbortSignal | undefined, mode: StopMode, then?: () => void) => {
      const stop = () => {
        post({ type: "stop", mode });
        then?.();
      };
      if (signal?.aborted) stop();
      else signal?.addEventListener("abort", stop, { once: true, signal: ended.signal });
    };
    // The isolate of this program's own code: its messages are as the contract says.
    worker.onmessage = ({ data }: MessageEvent<FromEngine>) => {
      switch (data.type) {
        case "observation":
          return observe(data.observation);
        case "output":
          output?.(data.bytes);
          return post({ type: "output_taken" });
        case "result":
          return end(() => resolve(data.result));
        case "failpoint":
          return Deno.kill(Deno.pid, "SIGKILL");
        case "error":
          return end(() => reject(FlowError.fromData(data.error)));
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      end(() => reject(crashed(event.message)));
    };
    worker.onmessageerror = () => end(() => reject(crashed("an unreadable message")));
    post(start);
    stopOn(drain, "drain");
    stopOn(now, "now", () => {
      grace = setTimeout(() => end(() => reject(notStopping())), STOP_GRACE_MS);
    });
  });
}

function crashed(reason: string): FlowError {
  return new FlowError(`the engine ended unexpectedly: ${describeError(reason)}`, {
    code: "engine_crashed",
    domain: "internal",
  });
}

function notStopping(): FlowError {
  return new FlowError(`the engine did not stop within ${STOP_GRACE_MS / 1000} s and was ended`, {
    code: "engine_not_stopping",
    domain: "internal",
    retryable: true,
    hint: "nothing that was not committed is lost: the next run reads it again",
  });
}

/** Naming a file on the command line is leave for flow to read just that file. */
async function namedFiles(request: EngineRequest): Promise<string[]> {
  const paths = "input" in request && request.input?.from === "toml_file"
    ? [request.input.path]
    : request.do === "query_file"
    ? [request.path]
    : [];
  if (request.do === "sql") paths.push(...request.register.map(({ path }) => path));
  const found: string[] = [];
  for (const path of paths) found.push(path, await realPathOr(path));
  return [...new Set(found)];
}

/** The directory with the engine's native library: beside this program's own modules, embedded or installed. */
async function nativeLibraries(): Promise<Grant> {
  const packages = fileURLToPath(new URL("../../node_modules", import.meta.url));
  const real = await realPathOr(packages, "");
  // Where packages lie elsewhere (a global cache), there is no directory to name.
  return real === "" ? true : [real];
}

async function realPathOr(path: string, otherwise = path): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch {
    return otherwise;
  }
}
