import { createGunzip, createZstdDecompress } from "node:zlib";
import { describeError, FlowError } from "../../core/error.ts";
import { ArchiveCutError, BrokenFileError, isArchiveFault } from "./broken_file.ts";
import type { Compression } from "./file_format.ts";
import { ZstdFrames } from "./zstd_frames.ts";

const CHUNK_BYTES = 256 * 1024;
/** Packed bytes that are unpacked at a time; they may become a thousand times as many. */
const PACKED_BYTES = 64 * 1024;

/** The uncompressed bytes of a file from a place on. Closed by {@link close}, also in the middle. */
export class ByteStream {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #skip: number;
  #closed = false;

  private constructor(path: string, file: Deno.FsFile, compression: Compression, skip: number) {
    this.#path = path;
    this.#file = file;
    this.#skip = skip;
    this.#chunks = compression === "none"
      ? fileChunks(file, CHUNK_BYTES)
      : unpacked(file, compression)[Symbol.asyncIterator]();
  }

  /**
   * Opens the file so that the first byte read is number `from` of its uncompressed content.
   *
   * @throws FlowError `file_unreadable`
   */
  static async open(path: string, compression: Compression, from: number): Promise<ByteStream> {
    try {
      const file = await Deno.open(path, { read: true });
      if (compression === "none") await file.seek(from, Deno.SeekMode.Start);
      return new ByteStream(path, file, compression, compression === "none" ? 0 : from);
    } catch (error) {
      throw fileError(path, error);
    }
  }

  /**
   * The next bytes, in a piece of the stream's own choice; `undefined` at the end. Valid until the next call.
   *
   * @throws BrokenFileError when the archive is broken or cut, after all that it unpacks to before that place
   * @throws FlowError `file_unreadable`
   */
  async next(): Promise<Uint8Array | undefined> {
    try {
      for (;;) {
        const { value, done } = await this.#chunks.next();
        if (done) return undefined;
        if (this.#skip >= value.length) {
          this.#skip -= value.length;
          continue;
        }
        const rest = value.subarray(this.#skip);
        this.#skip = 0;
        return rest;
      }
    } catch (error) {
      throw isArchiveFault(error)
        ? new BrokenFileError(this.#path, error.message, { cause: error })
        : fileError(this.#path, error);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#chunks.return?.(undefined);
    try {
      this.#file.close();
    } catch {
      // The decompressor's stream closes the file itself when it has read it to the end.
    }
  }
}

async function* fileChunks(file: Deno.FsFile, bytes: number): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(bytes);
  for (;;) {
    const length = await file.read(chunk);
    if (length === null) return;
    yield chunk.subarray(0, length);
  }
}

/**
 * What the file unpacks to. Packed bytes are given to the decompressor piece by piece, each once all of the one before has been fetched: read as
 * a stream, it throws away what it has ready when it comes to a broken place, and how much that is changes from time to time.
 */
async function* unpacked(
  file: Deno.FsFile,
  compression: Exclude<Compression, "none">,
): AsyncGenerator<Uint8Array> {
  const unpacker = compression === "gzip" ? createGunzip() : createZstdDecompress();
  const frames = compression === "zstd" ? new ZstdFrames() : undefined;
  const ready: Uint8Array[] = [];
  let failure: unknown;
  unpacker.on("data", (chunk: Uint8Array) => ready.push(chunk));
  const over = new Promise<void>((resolve) => {
    unpacker.once("end", resolve);
    unpacker.once("error", (error: unknown) => {
      failure = error;
      resolve();
    });
  });
  try {
    for await (const chunk of fileChunksCopied(file)) {
      const taken = new Promise<void>((resolve) => unpacker.write(chunk, () => resolve()));
      await Promise.race([taken, over]);
      frames?.add(chunk);
      yield* ready.splice(0);
      if (failure !== undefined) throw failure;
    }
    unpacker.end();
    await over;
    yield* ready.splice(0);
    if (failure !== undefined) throw failure;
    if (frames?.isWhole === false) throw new ArchiveCutError();
  } finally {
    unpacker.destroy();
  }
}

/** The decompressor keeps chunks while it waits: they must not be overwritten. */
async function* fileChunksCopied(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  for await (const chunk of fileChunks(file, PACKED_BYTES)) yield chunk.slice();
}

/** An error of the file system or of a file's content as a {@link FlowError} that names the file and, where it is one, the missing flag. */
export function fileError(path: string, error: unknown): FlowError {
  if (error instanceof FlowError) return error;
  const flag = error instanceof Deno.errors.NotCapable
    ? /--allow-\w+/.exec(error.message)?.[0]
    : undefined;
  return new FlowError(`cannot use '${path}': ${describeError(error)}`, {
    code: flag === undefined ? "file_unreadable" : "permission_denied",
    domain: "user",
    hint: flag === undefined
      ? "check that the file exists, is complete, and may be read by this user"
      : `start flow with ${flag}=${path}`,
    details: { file: path },
    cause: error,
  });
}
