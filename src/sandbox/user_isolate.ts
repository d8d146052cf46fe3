/**
 * What runs inside the user's isolate: it takes one request, shuts the isolate's doors, runs the module and reports its definitions.
 * Places in errors and in definitions are the user's own, since every stack of this isolate is written with them.
 */
import { describeError, FlowError, redactText } from "../core/error.ts";
import type { RawDefinition } from "../core/request.ts";
import { findDenial } from "./denial.ts";
import { BEGIN_HOOK } from "./module_hook.ts";
import { type Place, showPlace, SourcePositions } from "./source_positions.ts";
import { lockDown, REFUSAL } from "./user_lockdown.ts";
import type { FromUser, ModuleFailure, ToUser } from "./user_protocol.ts";

/** The part of a Worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToUser>) => void) | null;
  postMessage(message: FromUser): void;
  addEventListener(
    type: "error" | "unhandledrejection",
    listener: (event: Event & { readonly error?: unknown; readonly reason?: unknown }) => void,
  ): void;
}

/** As it is before the user's code can change it. */
const nextTurn = globalThis.setTimeout.bind(globalThis);

/** Serves the one request of the host. `collect` tells what the modules of this isolate defined. */
export function serveUserModule(collect: () => readonly RawDefinition[]): void {
  const scope = globalThis as unknown as WorkerScope;
  const post = scope.postMessage.bind(scope);
  scope.onmessage = ({ data }) => {
    scope.onmessage = null;
    void run(data, scope, post, collect);
  };
}

async function run(
  request: ToUser,
  scope: WorkerScope,
  post: (message: FromUser) => void,
  collect: () => readonly RawDefinition[],
): Promise<void> {
  const positions = new SourcePositions(request.modules);
  let failed = false;
  const fail = (thrown: unknown) => {
    failed = true;
    post({ type: "failed", failure: failureOf(thrown, positions) });
  };
  for (const type of ["error", "unhandledrejection"] as const) {
    scope.addEventListener(type, (event) => {
      event.preventDefault();
      fail(event.error ?? event.reason);
    });
  }
  writeStacksWith(positions);
  Object.defineProperty(globalThis, BEGIN_HOOK, {
    value: (number: number) => post({ type: "begins", number }),
  });
  try {
    lockDown();
    await import(request.entryUrl);
    // A rejection that nobody handles is told when this turn is over.
    await new Promise((resolve) => nextTurn(resolve, 0));
    if (!failed) post({ type: "definitions", definitions: collect() });
  } catch (error) {
    fail(error);
  }
}

/** Whoever reads `error.stack` in this isolate finds the user's files in it: the registry, the user, {@link failureOf}. */
function writeStacksWith(positions: SourcePositions): void {
  Error.prepareStackTrace = (error: Error, sites: NodeJS.CallSite[]): string => {
    const frames = sites.map((site) => `    at ${frameText(site, positions)}`);
    return [headline(error), ...frames].join("\n");
  };
}

function headline(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "Error";
  }
}

function frameText(site: NodeJS.CallSite, positions: SourcePositions): string {
  const url = urlOf(site.getFileName() ?? "");
  const [line, column] = [site.getLineNumber() ?? 0, site.getColumnNumber() ?? 0];
  const place = positions.locate(url, line, column);
  const shown = place === undefined ? `${url}:${line}:${column}` : showPlace(place);
  const name = site.getFunctionName();
  return name === null || name === "" ? shown : `${name} (${shown})`;
}

/** Call sites name files by path in some versions of the runtime, by URL in others. */
function urlOf(fileName: string): string {
  return fileName.startsWith("/") ? `file://${encodeURI(fileName)}` : fileName;
}

function failureOf(thrown: unknown, positions: SourcePositions): ModuleFailure {
  const stack = thrown instanceof Error ? positions.translate(String(thrown.stack ?? "")) : "";
  const message = positions.translate(
    thrown instanceof Error
      ? `${thrown.name}: ${describeError(thrown)}`
      : redactText(Deno.inspect(thrown)),
  );
  const files = positions.files;
  const frames = stack.split("\n")
    .filter((line) => /^\s+at /.test(line) && placeIn(line, files) !== undefined)
    .map((line) => line.trim());
  const place = frames.map((frame) => placeIn(frame, files)).find((found) => found !== undefined) ??
    placeIn(message, files);
  const denial = findDenial(thrown);
  return {
    message,
    frames,
    ...(place === undefined ? {} : { place }),
    ...(denial === undefined ? {} : { denial }),
    ...own(thrown),
  };
}

/** The code and hint of errors that are flow's: a builder's, and what the isolate has not got at all. */
function own(thrown: unknown): Pick<ModuleFailure, "flow"> {
  if (thrown instanceof FlowError) {
    const { code, message, hint } = thrown;
    return { flow: { code, message, ...(hint === undefined ? {} : { hint }) } };
  }
  if (!(thrown instanceof Deno.errors.NotCapable)) return {};
  // Some refusals of the runtime ask for more than one flag, in sentences of their own.
  const flags = new Set(thrown.message.match(/--allow-[a-z]+/g));
  const hint = thrown.message.startsWith(REFUSAL) || flags.size === 0
    ? "no flag grants this to pipeline modules"
    : `run flow with ${[...flags].join(" ")}`;
  return { flow: { code: "permission_denied", message: thrown.message, hint } };
}

/** The first place in one of the user's files that a text names. */
function placeIn(text: string, files: ReadonlySet<string>): Place | undefined {
  for (const file of files) {
    const at = text.indexOf(`${file}:`);
    const [, line, column] = at === -1
      ? []
      : /^:(\d+):(\d+)/.exec(text.slice(at + file.length)) ?? [];
    if (line !== undefined) return { file, line: Number(line), column: Number(column) };
  }
  return undefined;
}
