import type { Position } from "../../core/offset.ts";
import { type Compression, compressionOf, type FileFormat } from "./file_format.ts";
import type { FoundFile } from "./file_list.ts";
import type { JsonLayout } from "./json_file.ts";
import { FILE_START, type FilePosition, formatPosition, parsePosition } from "./position.ts";

/** A file that the source knows, how far it has been read, and whether it is at rest. */
export class TrackedFile {
  readonly path: string;
  readonly format: FileFormat;
  readonly compression: Compression;
  found: FoundFile;
  /** Rises with every {@link moveTo}: what was read before does not count any more. */
  generation = 0;
  /** How the values of a JSON file stand, once that was looked at. */
  layout: JsonLayout | undefined;
  /** The position as it is stored; `null` as long as nothing is. */
  stored: Position | null = null;
  #position: FilePosition = FILE_START;
  #atRest = false;
  /** The size up to which nothing more is to be had, unless the file comes to rest. */
  #exhaustedAt: number | undefined;
  #exhaustedAtRest = false;

  constructor(found: FoundFile, format: FileFormat) {
    this.found = found;
    this.path = found.path;
    this.format = format;
    this.compression = compressionOf(found.path);
    if (format === "json_lines") this.layout = "lines";
  }

  get position(): FilePosition {
    return this.#position;
  }

  /** True when the file did not change between two looks, or for a while: nobody is writing it. */
  get atRest(): boolean {
    return this.#atRest;
  }

  /** True when the file may grow and goes on being read: plain newline JSON. Other files are read once, when they are at rest. */
  get grows(): boolean {
    return this.layout === "lines" && this.compression === "none";
  }

  /** A new look at the file. */
  seen(found: FoundFile, nowMs: number, restMs: number): void {
    const unchanged = found !== this.found && found.size === this.found.size &&
      found.modifiedMs === this.found.modifiedMs;
    this.#atRest = unchanged || nowMs - found.modifiedMs > restMs;
    this.found = found;
  }

  /** True when there is something to read now. */
  get hasWork(): boolean {
    if (this.#position.done) return false;
    if (this.grows ? this.found.size <= (this.#position.bytes ?? 0) : !this.#atRest) return false;
    if (this.#exhaustedAt !== this.found.size) return true;
    return this.#atRest && !this.#exhaustedAtRest;
  }

  /** True when the file is to be waited for: it is not at rest, and something of it is not read yet. */
  get isPending(): boolean {
    return !this.#position.done && !this.#atRest &&
      (!this.grows || this.found.size > (this.#position.bytes ?? 0));
  }

  /** Reading has come to a position. */
  advance(position: FilePosition, atEnd: boolean): void {
    this.#position = atEnd && !this.grows ? { rows: position.rows, done: true } : position;
    this.stored = formatPosition(this.#position);
    if (atEnd) this.exhausted();
  }

  /** The file has no more rows now. */
  exhausted(): void {
    this.#exhaustedAt = this.found.size;
    this.#exhaustedAtRest = this.#atRest;
  }

  /** What was read from `position` on is to be read again; `null` is the start. */
  rewind(position: Position | null): void {
    this.moveTo(position ?? formatPosition(FILE_START));
    this.stored = position;
  }

  /** Reading goes on at a stored position. */
  moveTo(position: Position): void {
    this.generation += 1;
    this.stored = position;
    this.#position = parsePosition(position);
    this.#exhaustedAt = undefined;
    this.#exhaustedAtRest = false;
  }
}
