import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { describeError, FlowError } from "../../core/error.ts";
import type { Compression } from "./file_format.ts";

const CHUNK_BYTES = 256 * 1024;

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
      ? fileChunks(file)
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

  /** The next bytes, in a piece of the stream's own choice; `undefined` at the end. Valid until the next call. */
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
      throw fileError(this.#path, error);
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

async function* fileChunks(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const length = await file.read(chunk);
    if (length === null) return;
    yield chunk.subarray(0, length);
  }
}

async function* unpacked(
  file: Deno.FsFile,
  compression: Exclude<Compression, "none">,
): AsyncGenerator<Uint8Array> {
  const packed = Readable.from(fileChunksCopied(file));
  const unpacker = compression === "gzip" ? createGunzip() : createZstdDecompress();
  packed.on("error", (error) => unpacker.destroy(error));
  try {
    for await (const chunk of packed.pipe(unpacker)) yield chunk as Uint8Array;
  } finally {
    packed.destroy();
    unpacker.destroy();
  }
}

/** The decompressor keeps chunks while it waits: they must not be overwritten. */
async function* fileChunksCopied(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  for await (const chunk of fileChunks(file)) yield chunk.slice();
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
