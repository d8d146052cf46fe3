/**
 * Directories that only one run uses, below the system's directory for temporary files. Their names hold the process that made them
 * (and its process namespace, since containers share directories but not process numbers), so that a later run removes
 * what a killed one left behind.
 */
import { FlowError } from "../core/error.ts";
import { findDenial, flagFor } from "./denial.ts";

const PREFIX = "flow-run-";

/** Makes a scratch directory; remove it with {@link removeScratch}. @throws FlowError `scratch_unavailable` */
export async function makeScratch(): Promise<string> {
  const namespace = await processNamespace();
  try {
    // The real path, because permissions are compared with it.
    const made = await Deno.makeTempDir({ prefix: `${PREFIX}${namespace}-${Deno.pid}-` });
    const directory = await Deno.realPath(made);
    if (namespace !== UNKNOWN) await removeStale(directory, namespace);
    return directory;
  } catch (error) {
    const denial = findDenial(error);
    throw new FlowError("cannot make a directory for temporary files", {
      code: "scratch_unavailable",
      domain: denial === undefined ? "external" : "user",
      // A full disk may have room again.
      retryable: denial === undefined,
      hint: denial === undefined
        ? "set TMPDIR to a directory that can be written"
        : `flow needs a directory of its own: add ${
          flagFor(denial)
        } to the deno command that runs flow`,
      cause: error,
    });
  }
}

/** Removes a scratch directory and all in it; it may be gone already. */
export async function removeScratch(directory: string): Promise<void> {
  try {
    await Deno.remove(directory, { recursive: true });
  } catch (error) {
    // What cannot be removed now is removed by a later run, once this process is gone.
    if (!(error instanceof Deno.errors.NotFound)) return;
  }
}

const UNKNOWN = "0";

/** A number that tells this machine's process namespaces apart, `0` where that is not known. */
async function processNamespace(): Promise<string> {
  try {
    return /\d+/.exec(await Deno.readLink("/proc/self/ns/pid"))?.[0] ?? UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}

async function removeStale(own: string, namespace: string): Promise<void> {
  const parent = own.slice(0, own.lastIndexOf("/"));
  const left = new RegExp(`^${PREFIX}${namespace}-(\\d+)-`);
  try {
    for await (const { name, isDirectory } of Deno.readDir(parent)) {
      const [, pid] = left.exec(name) ?? [];
      if (pid === undefined || !isDirectory || await isAlive(pid)) continue;
      await removeScratch(`${parent}/${name}`);
    }
  } catch {
    // Other people's directories may not be readable; leftovers are no reason to fail.
  }
}

async function isAlive(pid: string): Promise<boolean> {
  try {
    await Deno.stat(`/proc/${pid}`);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
