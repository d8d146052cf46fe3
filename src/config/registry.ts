import type { RawDefinition } from "../core/request.ts";

const REGISTRY = Symbol.for("flow.definitions");

/**
 * Everything that modules of this isolate defined so far, in the order of the calls. The list hangs on a global symbol, so that the
 * host of the user's isolate finds it whichever copy of `flow` the modules imported.
 */
export function collectDefinitions(): readonly RawDefinition[] {
  return [...registered()];
}

/** Adds a definition to the isolate's list. */
export function addDefinition(definition: RawDefinition): void {
  registered().push(definition);
}

function registered(): RawDefinition[] {
  const scope = globalThis as { [REGISTRY]?: RawDefinition[] };
  scope[REGISTRY] ??= [];
  return scope[REGISTRY];
}
