import { FlowError } from "../../core/error.ts";
import { CorruptData } from "../../formats/lz4_frame.ts";
import { withoutStatement } from "../../sql/sql_error.ts";

/**
 * A file whose content cannot be read as its format, however often it is tried: a cut archive, a Parquet file without its end, a header in
 * another encoding. Faults that may pass, or that are not the file's (a missing right, a failing disk, memory), are plain errors.
 *
 * The source turns it into one refused row. Readers that throw it throw it again at every further call.
 */
export class BrokenFileError extends FlowError {
  /** What is wrong, without the file's name. */
  readonly reason: string;

  /** @param path the file as messages name it */
  constructor(
    path: string,
    reason: string,
    more: { readonly code?: string; readonly hint?: string; readonly cause?: unknown } = {},
  ) {
    super(`cannot use '${path}': ${reason}`, {
      code: more.code ?? "file_unreadable",
      domain: "user",
      hint: more.hint ?? "check that the file is complete",
      details: { file: path },
      ...(more.cause === undefined ? {} : { cause: more.cause }),
    });
    this.reason = reason;
  }
}

/** An archive ends before its time, where the decompressor itself does not notice. */
export class ArchiveCutError extends Error {
  override readonly name: string = "ArchiveCutError";

  constructor() {
    super("unexpected end of file");
  }
}

/** Codes of zlib for content that is no archive, or ends too soon. Its others (memory, a stream that is used wrongly) are not the file's fault. */
const ZLIB_CONTENT = new Set(["Z_DATA_ERROR", "Z_BUF_ERROR", "Z_NEED_DICT"]);

/** True for the error of a decompressor that found its input broken, not for one that could not read it. */
export function isArchiveFault(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if (error instanceof ArchiveCutError || error instanceof CorruptData) return true;
  const code = "code" in error ? String(error.code) : "";
  // The decompressor of zstd gives its errors no code.
  return ZLIB_CONTENT.has(code) || /^Zstd decompress error/.test(error.message);
}

/**
 * The engine's error about a file that it was given, as the file's own fault; `undefined` where the fault is the machine's: memory, a full
 * disk, an interrupted statement.
 *
 * @param copy the path under which the engine knows the file; messages name `path` instead
 */
export function engineFault(
  error: unknown,
  { copy, path, realPath }: {
    readonly copy: string;
    readonly path: string;
    readonly realPath: string;
  },
): BrokenFileError | undefined {
  if (!(error instanceof FlowError)) return undefined;
  if (error.code !== "sql_invalid" && error.code !== "sql_failed") return undefined;
  // Reading behind the end is the file's fault, failing to open or write one is not.
  if (/^IO Error/.test(error.message) && !/\bread\b/i.test(error.message)) return undefined;
  return new BrokenFileError(realPath, withoutStatement(error.message).replaceAll(copy, path), {
    cause: error,
  });
}

/** Reads of one file: once one of them has found the file broken, all further ones say so again. */
export class FileReads {
  #fault: BrokenFileError | undefined;

  /** What is wrong with the file, once that was found. */
  get fault(): BrokenFileError | undefined {
    return this.#fault;
  }

  /** @throws BrokenFileError this read's, or that of an earlier one */
  async read(work: () => Promise<void>): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    try {
      await work();
    } catch (error) {
      if (error instanceof BrokenFileError) this.#fault = error;
      throw error;
    }
  }
}
