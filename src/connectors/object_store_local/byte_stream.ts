import { createGunzip, createZstdDecompress } from "node:zlib";
import { describeError, FlowError } from "../../core/error.ts";
import { Lz4Unpacker } from "../../formats/lz4_unpacker.ts";
import { SnappyUnpacker } from "../../formats/snappy_unpacker.ts";
import { ArchiveCutError, BrokenFileError, isArchiveFault } from "./broken_file.ts";
import type { Compression } from "./file_format.ts";
import { headSeal, SEALED_BYTES } from "./position.ts";
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
  /** The content's first bytes, as far as they were read: only of a file that is not compressed. */
  #head: Uint8Array = new Uint8Array(0);
  readonly #isPlain: boolean;
  /** Where the next chunk starts. */
  #at = 0;
  #closed = false;

  private constructor(
    path: string,
    file: Deno.FsFile,
    compression: ReadCompression,
    skip: number,
    chunkBytes: number,
  ) {
    this.#path = path;
    this.#file = file;
    this.#skip = skip;
    this.#isPlain = compression === "none";
    this.#chunks = chunksOf(file, compression, chunkBytes);
  }

  /**
   * Opens the file so that the first byte read is number `from` of its uncompressed content.
   *
   * @param size how large the file is, about: a small one is read in a small piece
   * @throws FlowError `file_unreadable`
   */
  static async open(
    path: string,
    compression: Compression,
    from: number,
    size = CHUNK_BYTES,
  ): Promise<ByteStream> {
    if (compression === "bzip2") {
      const reason = ".bz2 files are not supported (compress with gzip, zstd, lz4 or snappy)";
      throw new BrokenFileError(path, reason, { code: "file_compression_unsupported" });
    }
    try {
      const file = await Deno.open(path, { read: true });
      if (compression !== "none") return new ByteStream(path, file, compression, from, CHUNK_BYTES);
      const chunkBytes = Math.max(SEALED_BYTES, Math.min(CHUNK_BYTES, size + 1));
      const stream = new ByteStream(path, file, compression, 0, chunkBytes);
      if (from > 0) await stream.#seek(from);
      return stream;
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
        if (this.#isPlain) this.#keepHead(value);
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

  async #seek(from: number): Promise<void> {
    const head = new Uint8Array(SEALED_BYTES);
    let length = 0;
    for (let read: number | null = 0; read !== null && length < SEALED_BYTES;) {
      read = await this.#file.read(head.subarray(length));
      length += read ?? 0;
    }
    this.#head = head.subarray(0, length);
    this.#at = await this.#file.seek(from, Deno.SeekMode.Start);
  }

  /** Files grow: the head may come in several chunks. */
  #keepHead(chunk: Uint8Array): void {
    const { length } = this.#head;
    if (length < SEALED_BYTES && this.#at <= length) {
      const more = chunk.subarray(length - this.#at, SEALED_BYTES - this.#at);
      const head = new Uint8Array(length + more.length);
      head.set(this.#head);
      head.set(more, length);
      this.#head = head;
    }
    this.#at += chunk.length;
  }

  /** The seal of the content up to byte `to`; `undefined` for compressed files, whose content never changes in its place. */
  seal(to: number): string | undefined {
    return this.#isPlain ? headSeal(this.#head, to) : undefined;
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

type ReadCompression = Exclude<Compression, "bzip2">;

function chunksOf(
  file: Deno.FsFile,
  compression: ReadCompression,
  bytes: number,
): AsyncIterator<Uint8Array> {
  switch (compression) {
    case "none":
      return fileChunks(file, bytes);
    case "lz4":
      return unpackedBlocks(file, new Lz4Unpacker());
    case "snappy":
      return unpackedBlocks(file, new SnappyUnpacker());
    default:
      return unpacked(file, compression);
  }
}

/** What the file unpacks to, where flow itself unpacks it. */
async function* unpackedBlocks(
  file: Deno.FsFile,
  unpacker: Lz4Unpacker | SnappyUnpacker,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of fileChunks(file, PACKED_BYTES)) yield* unpacker.add(chunk);
  unpacker.end();
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
  compression: "gzip" | "zstd",
): AsyncGenerator<Uint8Array> {
  const unpacker = compression === "gzip" ? createGunzip() : createZstdDecompress();
  const frames = compression === "zstd" ? new ZstdFrames() : undefined;
  const ready: Uint8Array[] = [];
  let failure: unknown;
  unpacker.on("data", (chunk: Uint8Array) => ready.push(chunk));
  // One promise for each step, which whatever comes first resolves: a chunk was taken, or all is over.
  let wake = () => {};
  let isOver = false;
  const over = () => {
    isOver = true;
    wake();
  };
  unpacker.once("end", over);
  unpacker.once("error", (error: unknown) => {
    failure = error;
    over();
  });
  const step = (begin: () => void) =>
    new Promise<void>((resolve) => {
      wake = resolve;
      if (isOver) resolve();
      else begin();
    });
  try {
    for await (const chunk of fileChunksCopied(file)) {
      await step(() => unpacker.write(chunk, () => wake()));
      frames?.add(chunk);
      yield* ready.splice(0);
      if (failure !== undefined) throw failure;
    }
    await step(() => unpacker.end());
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
  // Deno's own words advise flags of `deno run` or `deno compile`, which users of flow do not type.
  const reason = flag === undefined ? describeError(error) : "flow is not permitted to";
  return new FlowError(`cannot use '${path}': ${reason}`, {
    code: flag === undefined ? "file_unreadable" : "permission_denied",
    domain: "user",
    hint: flag === undefined
      ? "check that the file exists, is complete, and may be read by this user"
      : `start flow with ${flag}=${path}`,
    details: { file: path },
    cause: error,
  });
}
