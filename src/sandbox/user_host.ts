import { describeError, FlowError } from "../core/error.ts";
import type { RawDefinition } from "../core/request.ts";
import { denialError } from "./denial.ts";
import { startIsolate, userPermissions } from "./isolate_permissions.ts";
import type { ModuleGraph } from "./module_graph.ts";
import type { GrantedPermissions } from "./permissions.ts";
import { makeScratch, removeScratch } from "./scratch.ts";
import { showPlace } from "./source_positions.ts";
import { type CheckedFromUser, checkFromUser, type ToUser } from "./user_protocol.ts";

/** The Worker that runs the user's modules, and the module that they import as `flow`: both are flow's own, embedded files. */
const WORKER_URL = new URL("../user_worker.ts", import.meta.url);
const FLOW_URL = new URL("../mod.ts", import.meta.url).href;

/** Limits of loading. */
export interface LoadOptions {
  /** A module that has not finished by then is stopped. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs a user's module in an isolate of its own and returns what it defined. The isolate is gone when this returns: an endless loop is
 * stopped (where the runtime cannot stop the thread itself, it ends with the process, so a command ends with `Deno.exit`).
 *
 * @param path The module as the user named it. It and the files below its directory may be loaded; see `module_graph.ts`.
 * @throws FlowError `module_timeout`, `module_failed` (the module's own throw, with its file, line and column),
 * `permission_denied` (naming the missing flag), `permission_unavailable`, and those of reading the module: `module_not_found`,
 * `module_invalid_syntax`, `module_import_refused`. An error of a flow builder keeps its own code.
 *
 * @example
 * ```ts
 * const { granted } = takePermissionFlags(["--allow-net=localhost:9092"]);
 * const definitions = await loadUserModule("pipelines.ts", granted);
 * ```
 */
export async function loadUserModule(
  path: string,
  permissions: GrantedPermissions,
  options: LoadOptions = {},
): Promise<RawDefinition[]> {
  const { timeoutMs = 10_000, signal } = options;
  signal?.throwIfAborted();
  const directory = await makeScratch();
  try {
    // With the parser of modules, which nobody else needs.
    const { writeModuleGraph } = await import("./module_graph.ts");
    const graph = await writeModuleGraph(path, {
      read: permissions.read,
      flowUrl: FLOW_URL,
      directory,
    });
    const worker = startIsolate(WORKER_URL, "flow-user", userPermissions(permissions, directory));
    try {
      return await converse(worker, graph, path, timeoutMs, signal);
    } finally {
      worker.terminate();
    }
  } finally {
    await removeScratch(directory);
  }
}

function converse(
  worker: Worker,
  graph: ModuleGraph,
  path: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<RawDefinition[]> {
  return new Promise((resolve, reject) => {
    let running: string | undefined;
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = () => end(() => reject(signal?.reason));
    const timer = setTimeout(
      () => end(() => reject(timedOut(path, running, timeoutMs))),
      timeoutMs,
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    worker.onmessage = ({ data }) => {
      const message = checkFromUser(data);
      if (message === undefined) return;
      switch (message.type) {
        case "begins":
          running = graph.modules[message.number]?.file;
          return;
        case "definitions":
          return end(() => resolve(message.definitions.map(asDefinition)));
        case "failed":
          return end(() => reject(failureError(path, message.failure)));
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      end(() =>
        reject(
          new FlowError(`the isolate of module ${path} ended: ${event.message}`, {
            code: "module_isolate_failed",
            domain: "internal",
          }),
        )
      );
    };
    const request: ToUser = { entryUrl: graph.entryUrl, modules: graph.modules };
    worker.postMessage(request);
  });
}

function asDefinition(
  checked: Extract<CheckedFromUser, { type: "definitions" }>["definitions"][number],
): RawDefinition {
  const { file, line, column } = checked.origin;
  return {
    kind: checked.kind,
    name: checked.name,
    value: checked.value,
    origin: {
      file,
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
    },
  };
}

function timedOut(path: string, running: string | undefined, timeoutMs: number): FlowError {
  const seconds = timeoutMs / 1000;
  const place = running === undefined ? "" : `, in the code of ${running}`;
  return new FlowError(
    `module ${path} had not finished after ${seconds} s and was stopped${place}`,
    {
      code: "module_timeout",
      domain: "user",
      hint: "look there for an endless loop, or an await at top level that never settles",
      details: { module: path, timeoutMs, ...(running === undefined ? {} : { file: running }) },
    },
  );
}

type Failure = Extract<CheckedFromUser, { type: "failed" }>["failure"];

function failureError(path: string, failure: Failure): FlowError {
  const { place, denial, flow } = failure;
  const where = place === undefined ? path : showPlace(place);
  const cause = new Error(failure.message);
  cause.stack = [failure.message, ...failure.frames.map((frame) => `    ${frame}`)].join("\n");
  if (denial !== undefined) {
    const { kind, target } = denial;
    return denialError(target === undefined ? { kind } : { kind, target }, "module", where);
  }
  const details = { module: path, ...(place ?? {}) };
  if (flow !== undefined) {
    return new FlowError(`${where}: ${flow.message}`, {
      code: flow.code,
      domain: "user",
      ...(flow.hint === undefined ? {} : { hint: flow.hint }),
      details,
      cause,
    });
  }
  return new FlowError(`${where}: ${describeError(cause)}`, {
    code: "module_failed",
    domain: "user",
    details,
    cause,
  });
}
