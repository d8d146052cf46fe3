/**
 * Puts large native libraries into the executable compressed. Why, and how the program gets them back: `src/cli/packed_libraries.ts`.
 */
import { createHash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import type { PackedLibrary } from "../../src/cli/packed_libraries.ts";

/** Smaller ones are not worth a file of their own. */
const LEAST_BYTES = 8 * 1024 * 1024;

/** 70 MB become 20 MB in 1.3 s; the highest level saves 2 MB more and takes half a minute. */
const PARAMETERS = { [constants.ZSTD_c_compressionLevel]: 9 };

/**
 * Replaces the large shared libraries in the `node_modules` of a staged project by `<library>.zst`, and lists them as `packedLibraries` in
 * its `deno.json`, which the program reads.
 */
export async function packLibraries(folder: string): Promise<void> {
  const packedLibraries: PackedLibrary[] = [];
  for await (const path of sharedLibraries(folder, "node_modules")) {
    const { size } = await Deno.stat(`${folder}/${path}`);
    if (size < LEAST_BYTES) continue;
    const packed = await pack(`${folder}/${path}`, `${folder}/${path}.zst`);
    // Only this name goes: it may be a second one of the installed file.
    await Deno.remove(`${folder}/${path}`);
    packedLibraries.push({ path, ...packed });
  }
  const settings = JSON.parse(await Deno.readTextFile(`${folder}/deno.json`));
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ ...settings, packedLibraries }));
}

/** Compresses one library, and says what the program has to know to unpack it. */
export async function pack(from: string, to: string): Promise<Omit<PackedLibrary, "path">> {
  const content = await Deno.readFile(from);
  const packed = zstdCompressSync(content, { params: PARAMETERS });
  await Deno.writeFile(to, packed);
  const packedSha256 = createHash("sha256").update(packed).digest("hex");
  return { bytes: content.length, packedSha256 };
}

/** Paths from `folder`. Links are not followed: what they lead to is found in its own place. */
async function* sharedLibraries(folder: string, path: string): AsyncGenerator<string> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(`${folder}/${path}`)) {
    if (isDirectory) yield* sharedLibraries(folder, `${path}/${name}`);
    else if (isFile && /\.(so|dylib|dll)$/.test(name)) yield `${path}/${name}`;
  }
}
