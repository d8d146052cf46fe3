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
   * @param known a file that need not be looked at again, as it was found before
   * @throws FlowError `file_unreadable` when the base directory is missing, `permission_denied` when flow may not look.
   */
  async look(known: (path: string) => FoundFile | undefined): Promise<FoundFile[]> {
    let realBase: string;
    try {
      realBase = await Deno.realPath(this.#base);
    } catch (error) {
      throw fileError(this.#base, error);
    }
    const look: Look = { realBase, known, found: [] };
    const { folder } = this.#pattern;
    if (folder === "") await this.#walk(look, { path: "", real: realBase, above: new Set() });
    else await this.#follow(look, folder, new Set(), true);
    // By UTF-16 code units, not by locale: the same order on every machine.
    return look.found.sort((a, b) => a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  }

  async #walk(look: Look, folder: Folder): Promise<void> {
    // A link to a folder above would lead round for ever.
    if (folder.above.has(folder.real)) return;
    const above = new Set([...folder.above, folder.real]);
    const absolute = folder.path === "" ? this.#base : `${this.#base}/${folder.path}`;
    const inside = folder.real.replace(/\/$/, "");
    try {
      for await (const entry of Deno.readDir(absolute)) {
        if (NOT_DATA.test(entry.name)) continue;
        const path = folder.path === "" ? entry.name : `${folder.path}/${entry.name}`;
        // What is no link lies in the folder itself: nothing has to be resolved.
        const real = `${inside}/${entry.name}`;
        if (entry.isDirectory) await this.#walk(look, { path, real, above });
        else if (entry.isFile) await this.#visit(look, path, real);
        else await this.#follow(look, path, above);
      }
    } catch (error) {
      // Removed between two looks.
      if (!(error instanceof Deno.errors.NotFound)) throw fileError(absolute, error);
    }
  }

  /** A file that is no link. */
  async #visit(look: Look, path: string, realPath: string): Promise<void> {
    if (!this.#pattern.matches(path)) return;
    const known = look.known(path);
    if (known !== undefined) {
      look.found.push(known);
      return;
    }
    const info = await this.#stat(path, () => Deno.stat(realPath), false);
    if (info?.isFile) look.found.push(foundFile(path, realPath, info));
  }

  /** What may be a link, or a folder that was named. */
  async #follow(
    look: Look,
    path: string,
    above: ReadonlySet<string>,
    asked = false,
  ): Promise<void> {
    const place = await this.#stat(path, async () => {
      const realPath = await Deno.realPath(`${this.#base}/${path}`);
      return { realPath, info: await Deno.stat(realPath) };
    }, asked);
    if (place === undefined) return;
    const { realPath, info } = place;
    const { realBase } = look;
    const inside = realPath === realBase || realBase === "/" || realPath.startsWith(`${realBase}/`);
    if (!inside) {
      // A folder may hold files that are meant.
      if (!info.isDirectory && !this.#pattern.matches(path)) return;
      return this.#onSkipped(path, "it is a link that leads out of the connection's path");
    }
    if (info.isDirectory) return await this.#walk(look, { path, real: realPath, above });
    if (!info.isFile || !this.#pattern.matches(path)) return;
    look.found.push(foundFile(path, realPath, info));
  }

  /** What the file system says of a file, `undefined` when it is gone, or lies where flow may not look and was not asked to. */
  async #stat<Result>(
    path: string,
    ask: () => Promise<Result>,
    asked: boolean,
  ): Promise<Result | undefined> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (error instanceof Deno.errors.NotCapable && !asked) {
        this.#onSkipped(path, "it is a link to a place that flow may not read");
        return undefined;
      }
      throw fileError(`${this.#base}/${path}`, error);
    }
  }
}

/** One look at a directory. */
interface Look {
  readonly realBase: string;
  readonly known: (path: string) => FoundFile | undefined;
  readonly found: FoundFile[];
}

/** A folder that is looked through. */
interface Folder {
  /** Relative to the base. */
  readonly path: string;
  readonly real: string;
  /** Folders on the way to it. */
  readonly above: ReadonlySet<string>;
}

function foundFile(path: string, realPath: string, info: Deno.FileInfo): FoundFile {
  return { path, realPath, size: info.size, modifiedMs: info.mtime?.getTime() ?? 0 };
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
