import type { Position } from "../../core/offset.ts";
import { type Compression, compressionOf, type FileFormat } from "./file_format.ts";
import type { FoundFile } from "./file_list.ts";
import type { JsonLayout } from "./json_file.ts";
import { FILE_START, type FilePosition, formatPosition, parsePosition } from "./position.ts";

/**
 * How long a file that cannot be read must have been unchanged before it is taken for broken. Copying over a slow network stalls for some
 * seconds at times; a file that is refused is not looked at again, so that a wait costs less than a file that is refused too early.
 */
export const BROKEN_AFTER_REST_MS = 5000;

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
  /** Since when the file is known as it is now, monotonic. */
  #sameSinceMs: number | undefined;
  #longAtRest = false;
  /** It could not be read, which may be because somebody is still writing it. */
  #doubted = false;

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

  /** A new look at the file, at a time by the wall clock and the monotonic one. */
  seen(found: FoundFile, nowMs: number, monotonicMs: number, restMs: number): void {
    const same = found.size === this.found.size && found.modifiedMs === this.found.modifiedMs;
    const unchanged = found !== this.found && same;
    this.#atRest = unchanged || nowMs - found.modifiedMs > restMs;
    if (!same) this.#doubted = false;
    if (!same || this.#sameSinceMs === undefined) this.#sameSinceMs = monotonicMs;
    // The file's own time may come from a clock that is ahead.
    this.#longAtRest = nowMs - found.modifiedMs >= BROKEN_AFTER_REST_MS ||
      monotonicMs - this.#sameSinceMs >= BROKEN_AFTER_REST_MS;
    this.found = found;
  }

  /**
   * True when nobody will mend what is broken in the file: it has not changed for {@link BROKEN_AFTER_REST_MS}, or is only added to, where
   * what stands there stays.
   */
  get isFinal(): boolean {
    return this.#longAtRest || this.grows;
  }

  /**
   * The file cannot be read now: it is tried again when the next looks find it changed, or final.
   *
   * @returns true when that was not known of the file as it is
   */
  doubt(): boolean {
    const isNews = !this.#doubted;
    this.#doubted = true;
    this.#longAtRest = false;
    return isNews;
  }

  /** True when there is something to read now. */
  get hasWork(): boolean {
    if (this.#position.done || this.#isWaitedFor) return false;
    if (this.grows ? this.found.size <= (this.#position.bytes ?? 0) : !this.#atRest) return false;
    if (this.#exhaustedAt !== this.found.size) return true;
    return this.#atRest && !this.#exhaustedAtRest;
  }

  /** True when the file is to be waited for: it is not at rest, and something of it is not read yet. */
  get isPending(): boolean {
    if (this.#isWaitedFor) return true;
    return !this.#position.done && !this.#atRest &&
      (!this.grows || this.found.size > (this.#position.bytes ?? 0));
  }

  get #isWaitedFor(): boolean {
    return this.#doubted && !this.isFinal && !this.#position.done;
  }

  /** The next row, and all behind it, cannot be read. */
  refuse(): void {
    this.#position = { rows: this.#position.rows + 1, done: true };
    this.stored = formatPosition(this.#position);
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
