import assert from "node:assert/strict";
import { FlowError } from "../core/error.ts";
import type { Observation } from "../core/observation.ts";
import type { EngineRequest } from "../core/request.ts";
import { type EngineOptions, runInEngine } from "./engine_host.ts";
import { INHERITED } from "./permissions.ts";

const REQUEST: EngineRequest = { do: "connections_list" };
const RESULT = `{ type: "result", result: { did: "connections_list", connections: [] } }`;

/** Runs a request in an isolate with the given code, and tells whether its scratch directory is gone afterwards. */
async function runWorker(
  code: string,
  options: Partial<EngineOptions> = {},
): Promise<{ outcome: unknown; observations: Observation[]; scratchDir: string }> {
  const directory = await Deno.makeTempDir({ prefix: "flow-test-" });
  const observations: Observation[] = [];
  try {
    await Deno.writeTextFile(`${directory}/worker.js`, code);
    const outcome: unknown = await runInEngine(REQUEST, {
      permissions: INHERITED,
      observe: (observation) => observations.push(observation),
      workerUrl: new URL(`file://${directory}/worker.js`),
      ...options,
    }).catch((error: unknown) => error);
    const told = observations.find(({ kind }) => kind === "notice");
    const scratchDir = told?.kind === "notice" ? told.message : "";
    return { outcome, observations, scratchDir };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Tells its scratch directory, then does `then`. */
const telling = (then: string) => `
  self.onmessage = async ({ data }) => {
    if (data.type === "stop") return onStop(data.mode);
    const observation = { kind: "notice", pipeline: "", message: data.scratchDir };
    self.postMessage({ type: "observation", observation });
    ${then}
  };
  function onStop(mode) { self.postMessage(${RESULT}); }
`;

Deno.test("the engine's result and observations come back, and its scratch directory goes", async () => {
  const { outcome, scratchDir } = await runWorker(telling(`
    await Deno.writeTextFile(data.scratchDir + "/x", "x");
    self.postMessage(${RESULT});
  `));
  assert.deepEqual(outcome, { did: "connections_list", connections: [] });
  assert.match(scratchDir, /flow-run-/);
  await assert.rejects(Deno.stat(scratchDir), Deno.errors.NotFound);
});

Deno.test("the engine's error comes back as it was", async () => {
  const { outcome, scratchDir } = await runWorker(telling(`
    const error = { code: "x_failed", domain: "external", retryable: true, message: "no x", hint: "h" };
    self.postMessage({ type: "error", error });
  `));
  assert.ok(outcome instanceof FlowError);
  assert.deepEqual([outcome.code, outcome.domain, outcome.retryable, outcome.hint], [
    "x_failed",
    "external",
    true,
    "h",
  ]);
  await assert.rejects(Deno.stat(scratchDir), Deno.errors.NotFound);
});

Deno.test("an engine that ends by itself is an internal error", async () => {
  const { outcome, scratchDir } = await runWorker(telling(`throw new TypeError("boom");`));
  assert.ok(outcome instanceof FlowError);
  assert.deepEqual([outcome.code, outcome.domain], ["engine_crashed", "internal"]);
  assert.match(outcome.message, /boom/);
  await assert.rejects(Deno.stat(scratchDir), Deno.errors.NotFound);
});

Deno.test("a request to drain reaches the engine, also one made before the start", async () => {
  const early = await runWorker(telling(""), { drain: AbortSignal.abort() });
  assert.deepEqual(early.outcome, { did: "connections_list", connections: [] });
  const controller = new AbortController();
  const late = await runWorker(telling(""), {
    drain: controller.signal,
    observe: () => controller.abort(),
  });
  assert.deepEqual(late.outcome, { did: "connections_list", connections: [] });
});

Deno.test("the engine has no programs, no remote code and no libraries but its own", async () => {
  const { outcome } = await runWorker(telling(`
    const states = {};
    for (const name of ["run", "import", "ffi", "read"]) {
      states[name] = Deno.permissions.querySync({ name }).state;
    }
    self.postMessage({ type: "result", result: states });
  `));
  // "prompt" is how the runtime calls what was not granted.
  assert.deepEqual(outcome, { run: "prompt", import: "prompt", ffi: "prompt", read: "granted" });
});
