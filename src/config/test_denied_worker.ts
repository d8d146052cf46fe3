/** Runs without permissions and tells what the host says about it, for host_test.ts. */
import { FlowError } from "../core/error.ts";
import { denoHost, makeScratchDir, missingFlag } from "./host.ts";

async function told(action: () => unknown): Promise<readonly [string, string | undefined]> {
  try {
    await action();
    return ["allowed", undefined];
  } catch (error) {
    return [error instanceof FlowError ? error.message : String(error), missingFlag(error)];
  }
}

const host = globalThis as unknown as { postMessage(message: unknown): void };
host.postMessage([
  await told(() => denoHost.env("OTHER")),
  await told(() => denoHost.envNames()),
  await told(() => denoHost.readFile("p.toml")),
  await told(() => makeScratchDir()),
  [denoHost.home() ?? "no home", undefined],
]);
