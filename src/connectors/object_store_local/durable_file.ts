import { fileError } from "./byte_stream.ts";

/**
 * A new file that becomes visible all at once: written under a hidden name (`.x.parquet.tmp`) in its own directory, made durable, then
 * renamed. A crash leaves at most a hidden file, which no source reads.
 */
export class DurableFile {
  readonly path: string;
  readonly #hidden: string;
  readonly #file: Deno.FsFile;
  #closed = false;

  private constructor(path: string, hidden: string, file: Deno.FsFile) {
    this.path = path;
    this.#hidden = hidden;
    this.#file = file;
  }

  static async create(folder: string, name: string): Promise<DurableFile> {
    const hidden = `${folder}/.${name}.tmp`;
    try {
      await Deno.mkdir(folder, { recursive: true });
      return new DurableFile(
        `${folder}/${name}`,
        hidden,
        await Deno.open(hidden, { write: true, createNew: true }),
      );
    } catch (error) {
      throw fileError(hidden, error);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
    } catch (error) {
      throw fileError(this.#hidden, error);
    }
  }

  /** Appends a whole file. */
  async writeFrom(path: string): Promise<void> {
    using source = await Deno.open(path, { read: true });
    const piece = new Uint8Array(1 << 20);
    for (;;) {
      const length = await source.read(piece);
      if (length === null) return;
      await this.write(piece.subarray(0, length));
    }
  }

  /** Makes the content durable, still under the hidden name. */
  async finish(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      throw fileError(this.#hidden, error);
    } finally {
      this.#close();
    }
  }

  /** Gives the finished file its name. */
  async publish(): Promise<void> {
    try {
      await Deno.rename(this.#hidden, this.path);
      await syncFolder(this.path.slice(0, this.path.lastIndexOf("/")));
    } catch (error) {
      throw fileError(this.path, error);
    }
  }

  /** Removes the file if it was not published. */
  async discard(): Promise<void> {
    this.#close();
    await Deno.remove(this.#hidden).catch(() => {});
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#file.close();
  }
}

/** A name is durable when its directory is. Where flow may write but not read, that is left to the file system. */
async function syncFolder(path: string): Promise<void> {
  try {
    using folder = await Deno.open(path, { read: true });
    await folder.sync();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
}

let lastMs = 0;
let sequence = 0;

/** A UUID of version 7: its texts sort by the time they were made, also within a millisecond of one process. */
export function uuidV7(nowMs: number): string {
  sequence = nowMs > lastMs ? 0 : sequence + 1;
  // A clock that goes back, and more than 4096 names in a millisecond, borrow from the future.
  lastMs = Math.max(nowMs, lastMs) + (sequence >> 12);
  sequence &= 0xfff;
  const random = crypto.getRandomValues(new Uint8Array(8));
  random[0] = ((random[0] ?? 0) & 0x3f) | 0x80;
  const hex = [
    lastMs.toString(16).padStart(12, "0"),
    (0x7000 | sequence).toString(16),
    ...Array.from(random, (byte) => byte.toString(16).padStart(2, "0")),
  ].join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
