/** Where fetched software is kept, and Debian packages where they can be installed. */
import { findProgram, run } from "./process.ts";

/** The per-user cache folder of everything that the services fetch. */
export function cacheDirectory(): string {
  const base = Deno.env.get("XDG_CACHE_HOME");
  const home = Deno.env.get("HOME") ?? "";
  return `${base !== undefined && base !== "" ? base : `${home}/.cache`}/flow-services`;
}

/** apt takes one installation at a time, services start side by side: this is their queue. */
let queue: Promise<unknown> = Promise.resolve();

/** Installs Debian packages. Returns nothing when they are there, else the reason why not. */
export function aptInstall(
  packages: readonly string[],
  say: (line: string) => void,
): Promise<string | undefined> {
  const mine = queue.then(() => install(packages, say));
  queue = mine.catch(() => {});
  return mine;
}

async function install(
  packages: readonly string[],
  say: (line: string) => void,
): Promise<string | undefined> {
  const wanted = packages.join(" ");
  if (await findProgram("apt-get") === undefined) return `no apt-get to install ${wanted}`;
  if (Deno.uid() !== 0) return `not root, so apt-get cannot install ${wanted}`;
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  say(`apt-get install ${wanted}`);
  const update = await run(["apt-get", "update", "-q"], { env, timeoutMs: 300_000 });
  const done = await run(
    ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...packages],
    { env, timeoutMs: 900_000 },
  );
  if (done.ok) return undefined;
  return `${done.complaint}${update.ok ? "" : `; before it, ${update.complaint}`}`;
}

/** A `java` to run services with, installed when it is not there; else the reason why there is none. */
export async function findJava(
  say: (line: string) => void,
): Promise<{ readonly java: string } | { readonly reason: string }> {
  const home = Deno.env.get("JAVA_HOME");
  const found = await findProgram("java");
  if (found !== undefined) return { java: found };
  if (home !== undefined && home !== "") return { java: `${home}/bin/java` };
  const refusal = await aptInstall(["default-jre-headless"], say);
  return refusal === undefined ? { java: "java" } : { reason: `no Java: ${refusal}` };
}
