import { fileError } from "./byte_stream.ts";
import { type FilePattern, parsePattern } from "./glob.ts";

/** A file that a source is to read. */
export interface FoundFile {
  /** Relative to the base, with `/`: the name of its partition. */
  readonly path: string;
  /** Where it really lies, links resolved. */
  readonly realPath: string;
  readonly size: number;
  readonly modifiedMs: number;
}

/** Files that are still being written, or are not data: hidden ones, `_SUCCESS`, `x.tmp`, `x.part`. */
const NOT_DATA = /^[._]|\.(?:tmp|part)$/i;

/** Looks for the files of a query below a base directory. */
export class FileList {
  readonly #base: string;
  readonly #pattern: FilePattern;
  readonly #onSkipped: (path: string, reason: string) => void;
  #realBase: string | undefined;

  /** @param onSkipped told about every file that matches and is not read, at every look */
  constructor(base: string, query: string, onSkipped: (path: string, reason: string) => void) {
    this.#base = base.replace(/(?<=.)\/+$/, "");
    this.#pattern = parsePattern(query);
    this.#onSkipped = onSkipped;
  }

  /** True for a path, relative to the base, of a file that would be read if it were there. */
  isMeant(path: string): boolean {
    return !path.split("/").some((name) => NOT_DATA.test(name)) && this.#pattern.matches(path);
  }

  /**
   * The files that are there now, in the order of their paths.
   *
   * @throws FlowError `file_unreadable` when the base directory is missing, `permission_denied` when flow may not look.
   */
  async look(): Promise<FoundFile[]> {
    try {
      this.#realBase = await Deno.realPath(this.#base);
    } catch (error) {
      throw fileError(this.#base, error);
    }
    const found: FoundFile[] = [];
    const { folder } = this.#pattern;
    if (folder === "") await this.#walk("", new Set(), found);
    else await this.#visit(folder, new Set(), found, true);
    // By UTF-16 code units, not by locale: the same order on every machine.
    return found.sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  }

  async #walk(folder: string, above: ReadonlySet<string>, found: FoundFile[]): Promise<void> {
    const absolute = folder === "" ? this.#base : `${this.#base}/${folder}`;
    try {
      for await (const entry of Deno.readDir(absolute)) {
        if (NOT_DATA.test(entry.name)) continue;
        await this.#visit(folder === "" ? entry.name : `${folder}/${entry.name}`, above, found);
      }
    } catch (error) {
      // Removed between two looks.
      if (!(error instanceof Deno.errors.NotFound)) throw fileError(absolute, error);
    }
  }

  async #visit(
    path: string,
    above: ReadonlySet<string>,
    found: FoundFile[],
    asked = false,
  ): Promise<void> {
    const absolute = `${this.#base}/${path}`;
    let realPath: string;
    let info: Deno.FileInfo;
    try {
      realPath = await Deno.realPath(absolute);
      info = await Deno.stat(realPath);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (error instanceof Deno.errors.NotCapable && !asked) {
        return this.#onSkipped(path, "it is a link to a place that flow may not read");
      }
      throw fileError(absolute, error);
    }
    const inside = realPath === this.#realBase || this.#realBase === "/" ||
      realPath.startsWith(`${this.#realBase}/`);
    if (!inside) {
      // A folder may hold files that are meant.
      if (!info.isDirectory && !this.#pattern.matches(path)) return;
      return this.#onSkipped(path, "it is a link that leads out of the connection's path");
    }
    if (info.isDirectory) {
      // A link to a folder above would lead round for ever.
      if (above.has(realPath)) return;
      return await this.#walk(path, new Set([...above, realPath]), found);
    }
    if (!info.isFile || !this.#pattern.matches(path)) return;
    found.push({ path, realPath, size: info.size, modifiedMs: info.mtime?.getTime() ?? 0 });
  }
}

/** True when the file is still as it was found, false also when it is gone. */
export async function isUnchanged(found: FoundFile): Promise<boolean> {
  try {
    const { size, mtime } = await Deno.stat(found.realPath);
    return size === found.size && (mtime?.getTime() ?? 0) === found.modifiedMs;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw fileError(found.realPath, error);
  }
}
