/** What runs inside the engine's isolate: takes the request, runs it, reports; and tells what was denied in flow's own words. */
import process from "node:process";
import { FlowError, toFlowError } from "../core/error.ts";
import type {
  EngineRequest,
  EngineResult,
  FromEngine,
  RunHooks,
  ToEngine,
} from "../core/request.ts";
import { permissionDenied, withoutAdvice } from "./denial.ts";

/** The part of a Worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToEngine>) => void) | null;
  postMessage(message: FromEngine, transfer?: Transferable[]): void;
  addEventListener(
    type: "error" | "unhandledrejection",
    listener: (event: Event & { readonly error?: unknown; readonly reason?: unknown }) => void,
  ): void;
}

/** Pieces of output that may be on their way to the host. */
const MAX_OUTPUT_PIECES = 4;

/** What does a request: `runRequest` of `src/app.ts`. */
export type RunRequest = (request: EngineRequest, hooks: RunHooks) => Promise<EngineResult>;

/**
 * Serves the one request of the host. `loadRunner` imports the engine; it is called only when the environment is ready for it, and what
 * fails in it is reported like any other error.
 */
export function serveEngine(loadRunner: () => Promise<RunRequest>): void {
  const scope = globalThis as unknown as WorkerScope;
  const drain = new AbortController();
  const now = new AbortController();
  const fail = (thrown: unknown) =>
    scope.postMessage({ type: "error", error: engineError(thrown).toData() });
  for (const type of ["error", "unhandledrejection"] as const) {
    scope.addEventListener(type, (event) => {
      event.preventDefault();
      fail(event.error ?? event.reason);
    });
  }
  tolerateUnknownEnvironment();
  const output = new OutputQueue((bytes) => {
    scope.postMessage({ type: "output", bytes }, [bytes.buffer]);
  });
  scope.onmessage = ({ data }) => {
    if (data.type === "output_taken") {
      output.taken();
      return;
    }
    if (data.type === "stop") {
      const controller = data.mode === "drain" ? drain : now;
      controller.abort(data.mode);
      return;
    }
    run(data.request, {
      scratchDir: data.scratchDir,
      drain: drain.signal,
      now: now.signal,
      observe: (observation) => scope.postMessage({ type: "observation", observation }),
      output: (bytes) => output.send(bytes, now.signal),
      stopDead() {
        scope.postMessage({ type: "failpoint" });
        // Not a step further, whatever is under way here.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      },
    }).catch(fail);
  };
  async function run(request: EngineRequest, hooks: RunHooks): Promise<void> {
    const runRequest = await loadRunner();
    const result = await runRequest(request, hooks);
    scope.postMessage({ type: "result", result });
  }
}

/** Sends output as fast as the host takes it, with a few pieces on their way. */
class OutputQueue {
  readonly #post: (bytes: Uint8Array<ArrayBuffer>) => void;
  #underWay = 0;
  #wake: () => void = () => {};

  constructor(post: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#post = post;
  }

  /** Sends one piece and waits until there is room for another; rejects with the signal's reason. */
  async send(bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#post(bytes);
    this.#underWay += 1;
    while (this.#underWay >= MAX_OUTPUT_PIECES) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#wake = wake;
        signal.addEventListener("abort", wake);
      });
      signal.throwIfAborted();
    }
  }

  /** The host has written one piece. */
  taken(): void {
    this.#underWay -= 1;
    this.#wake();
  }
}

/** The error as flow reports it: a refusal of Deno, wherever a library wrapped it, names the missing flag. */
export function engineError(thrown: unknown): FlowError {
  const denied = permissionDenied(thrown, "engine");
  if (denied === undefined) return toFlowError(thrown);
  if (denied === thrown || !(thrown instanceof FlowError)) return denied;
  // What flow was doing is worth telling too: `cannot connect to …: permission denied …`.
  return new FlowError(withoutAdvice(thrown.message, denied.message), {
    code: denied.code,
    domain: denied.domain,
    ...(denied.hint === undefined ? {} : { hint: denied.hint }),
    details: { ...thrown.details, ...denied.details },
  });
}

/**
 * Client libraries look at variables of the environment that nobody needs to set (`PGHOST`, `NODE_ENV`, `KAFKAJS_…`). Through
 * `process.env`, a variable that may not be read counts as unset for them. `Deno.env`, with which flow itself reads what a definition asks
 * for, goes on refusing.
 */
function tolerateUnknownEnvironment(): void {
  const real = process.env;
  const tolerant = <T>(read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) return otherwise;
      throw error;
    }
  };
  // An empty target: with the real one the engine of JavaScript itself would look at the real properties.
  process.env = new Proxy<Record<string, string>>({}, {
    get: (_, key) => tolerant(() => Reflect.get(real, key), undefined),
    set: (_, key, value) => Reflect.set(real, key, value),
    has: (_, key) => tolerant(() => Reflect.has(real, key), false),
    deleteProperty: (_, key) => Reflect.deleteProperty(real, key),
    ownKeys: () => tolerant(() => Reflect.ownKeys(real), []),
    getOwnPropertyDescriptor: (_, key) => {
      const value: unknown = tolerant(() => Reflect.get(real, key), undefined);
      return value === undefined
        ? undefined
        : { value, writable: true, enumerable: true, configurable: true };
    },
  });
}
