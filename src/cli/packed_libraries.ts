/**
 * Native libraries that lie in the executable compressed. A running program holds all that was appended to it in memory, and the
 * engine's library alone is three quarters of that: so it is unpacked at the first start, beside the other files that the program extracts.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { basename, dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createZstdDecompress } from "node:zlib";
import { describeError, FlowError } from "../core/error.ts";

/** A library that lies compressed as `<path>.zst`. */
export interface PackedLibrary {
  /** From the root of the program's files. */
  readonly path: string;
  /** Its size when it is unpacked. */
  readonly bytes: number;
  /** Checksum of the compressed file, in hexadecimal digits. */
  readonly packedSha256: string;
}

/** Read and written at a time: a few such pieces and zstd's window are all the memory that is needed. */
const PIECE_BYTES = 64 * 1024;

/** A process that extracts the program's files writes over those that are there. */
const ATTEMPTS = 5;
const PAUSE_MS = 500;

/** Ends the name of a file that is being written. */
const PART = ".part";

/**
 * Makes sure that the libraries are there; at all starts but the first, that is a look at the size of each. Several processes may do it at
 * the same time: each writes a file of its own, which gets the library's name when it is whole.
 *
 * @param root folder of the program's own files, with a slash at its end
 * @param pause between two attempts when a compressed library is not as it should be
 * @throws {FlowError} `library_not_unpacked` when a library is not there and cannot be written
 */
export async function unpackLibraries(
  root: URL,
  libraries: readonly PackedLibrary[],
  pause: () => Promise<void> = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS)),
): Promise<void> {
  for (const library of libraries) {
    const target = fileURLToPath(root) + library.path;
    if (await isWhole(target, library.bytes)) continue;
    try {
      let left = ATTEMPTS;
      while (!await unpack(target, library)) {
        if (--left === 0) throw new Error(`${target}.zst is damaged`);
        await pause();
      }
    } catch (error) {
      // Another process may have been faster, and have removed this one's file.
      if (!await isWhole(target, library.bytes)) throw notUnpacked(root, library, error);
    }
  }
}

/** False when the compressed library is not as it should be: another process may be about to extract it once more. */
async function unpack(target: string, { bytes, packedSha256 }: PackedLibrary): Promise<boolean> {
  const packed = `${target}.zst`;
  // Deno's decompressor ends the program when it meets an error.
  if (await sha256Of(packed) !== packedSha256) return false;
  const part = `${target}.${crypto.randomUUID()}${PART}`;
  try {
    await pipeline(
      createReadStream(packed, { highWaterMark: PIECE_BYTES }),
      createZstdDecompress({ chunkSize: PIECE_BYTES }),
      createWriteStream(part, { mode: 0o755, flags: "wx" }),
    );
    // Input that ends too early is no error for it.
    if (!await isWhole(part, bytes)) {
      await Deno.remove(part);
      return false;
    }
    await saveToDisk(part);
    await Deno.rename(part, target);
    await removeParts(target);
    return true;
  } catch (error) {
    await removeIfThere(part);
    throw error;
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
    hash.update(piece);
  }
  return hash.digest("hex");
}

/** After a power cut the name must not be there without the content. */
async function saveToDisk(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true });
  await file.syncData();
}

/** Removes what killed processes left. One that is still writing loses its file, and then finds the library. */
async function removeParts(target: string): Promise<void> {
  const folder = dirname(target);
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(`${basename(target)}.`) && name.endsWith(PART)) {
      await removeIfThere(`${folder}/${name}`);
    }
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch {
    // It is in nobody's way.
  }
}

async function isWhole(path: string, bytes: number): Promise<boolean> {
  try {
    const { isFile, size } = await Deno.stat(path);
    return isFile && size === bytes;
  } catch {
    return false;
  }
}

function notUnpacked(root: URL, { path, bytes }: PackedLibrary, cause: unknown): FlowError {
  const folder = fileURLToPath(root);
  const megabytes = Math.ceil(bytes / 1e6);
  return new FlowError(
    `cannot unpack the library ${basename(path)} below ${folder}: ${describeError(cause)}`,
    {
      code: "library_not_unpacked",
      domain: "external",
      hint:
        `make room for ${megabytes} MB there, and start flow once as a user who may write there`,
      details: { file: folder + path, bytes },
      cause,
    },
  );
}
