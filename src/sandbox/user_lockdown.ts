import { Console } from "node:console";
import process from "node:process";

/**
 * What the user's isolate loses besides its permissions, before any of the user's code runs.
 *
 * Deno's permissions guard files, network, environment and processes. They leave two gaps that are closed here: a compiled program
 * does not check which local files a dynamic `import()` reads, so code that the loader has not seen (made from text, or
 * running in a further Worker) must not come to be; and standard output is flow's, for data.
 */

/** Replaces, removes and redirects. Call once, after flow's own modules are loaded. */
export function lockDown(): void {
  refuseCodeFromText();
  refuseThreads();
  removeInternals();
  refuseEnding();
  redirectOutput();
}

/** How the message of everything refused here begins. */
export const REFUSAL = "pipeline modules have no";

function refuse(what: string): never {
  throw new Deno.errors.NotCapable(`${REFUSAL} ${what}`);
}

function replace(holder: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(holder, key, {
    value,
    writable: false,
    configurable: false,
    enumerable: false,
  });
}

function refuseCodeFromText(): void {
  replace(globalThis, "eval", () => refuse("eval()"));
  const makers: readonly object[] = [
    function () {},
    async function () {},
    function* () {},
    async function* () {},
  ];
  for (const made of makers) {
    const prototype: object = Object.getPrototypeOf(made);
    const maker = function () {
      refuse("functions made from text");
    };
    // `x instanceof Function` goes on working.
    replace(maker, "prototype", prototype);
    replace(prototype, "constructor", maker);
    if (made === makers[0]) replace(globalThis, "Function", maker);
  }
  for (const name of ["setTimeout", "setInterval"] as const) {
    const original = globalThis[name] as unknown as (
      callback: unknown,
      ...rest: unknown[]
    ) => unknown;
    replace(globalThis, name, (callback: unknown, ...rest: unknown[]) => {
      if (typeof callback !== "function") refuse(`${name}() with text`);
      return original(callback, ...rest);
    });
  }
}

function refuseThreads(): void {
  replace(
    globalThis,
    "Worker",
    class Worker {
      constructor() {
        refuse("Workers");
      }
    },
  );
}

/** The runtime's own doors: they make code from text, load modules and threads, and are no API. */
function removeInternals(): void {
  const internal: unknown = Reflect.get(Deno, "internal");
  if (typeof internal === "symbol") Reflect.deleteProperty(Deno, internal);
  Reflect.deleteProperty(Deno, "internal");
  Reflect.deleteProperty(globalThis, "nodeBootstrap");
  for (const name of ["getBuiltinModule", "binding", "_linkedBinding", "dlopen", "mainModule"]) {
    replace(process, name, undefined);
  }
}

/** Ending the isolate by itself would look like a module that never finishes. */
function refuseEnding(): void {
  for (
    const [holder, name] of [[Deno, "exit"], [globalThis, "close"], [process, "exit"]] as const
  ) {
    replace(holder, name, () => refuse(`${name}(): a definition ends when all of it has run`));
  }
  for (const name of ["reallyExit", "abort", "kill"]) {
    replace(process, name, () => refuse(`process.${name}()`));
  }
}

/** What the user's modules print goes to standard error. */
function redirectOutput(): void {
  replace(globalThis, "console", new Console(process.stderr, process.stderr));
  replace(Deno, "stdout", Deno.stderr);
  Object.defineProperty(process, "stdout", { get: () => process.stderr, configurable: false });
}
