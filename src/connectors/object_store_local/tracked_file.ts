import type { Position } from "../../core/offset.ts";
import { type Compression, compressionOf, type FileFormat } from "./file_format.ts";
import type { FoundFile } from "./file_list.ts";
import type { JsonLayout } from "./json_file.ts";
import {
  FILE_START,
  type FilePosition,
  formatPosition,
  parsePosition,
  statSeal,
} from "./position.ts";

/**
 * How long a file that cannot be read must have been unchanged before it is taken for broken. Copying over a slow network stalls for some
 * seconds at times; a wait costs less than a file that is refused too early.
 */
export const BROKEN_AFTER_REST_MS = 5000;

/** A file of which nothing is left to read, and that was not changed for this long, is looked at less often. */
const SETTLED_AFTER_MS = 60_000;

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
  #settled = false;
  /** It could not be read, which may be because somebody is still writing it. */
  #doubted = false;
  /** What the file was when it was opened. */
  #openedAs: FoundFile;
  /** It was changed without becoming longer: its head tells whether it is another one. */
  #suspect = false;
  /** Another file stands under its name. */
  #replaced = false;
  #replacedTold = false;

  constructor(found: FoundFile, format: FileFormat) {
    this.found = found;
    this.#openedAs = found;
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

  /** True, once, when another file stands under the name of one that was read: it is left alone, since its rows cannot be told from those. */
  takeReplaced(): boolean {
    const isNews = this.#replaced && !this.#replacedTold;
    this.#replacedTold ||= isNews;
    return isNews;
  }

  /** True when there is nothing to read, and was no change for a while: a look now and then is enough. */
  get isSettled(): boolean {
    return this.#settled && !this.hasWork && !this.isPending;
  }

  /** A new look at the file, at a time by the wall clock and the monotonic one. */
  seen(found: FoundFile, nowMs: number, monotonicMs: number, restMs: number): void {
    const same = found.size === this.found.size && found.modifiedMs === this.found.modifiedMs;
    const unchanged = found !== this.found && same;
    this.#atRest = unchanged || nowMs - found.modifiedMs > restMs;
    if (!same) {
      this.#doubted = false;
      this.#suspect = found.size === this.#position.bytes;
    }
    if (!same || this.#sameSinceMs === undefined) this.#sameSinceMs = monotonicMs;
    const sameForMs = monotonicMs - this.#sameSinceMs;
    // The file's own time may come from a clock that is ahead.
    this.#longAtRest = nowMs - found.modifiedMs >= BROKEN_AFTER_REST_MS ||
      sameForMs >= BROKEN_AFTER_REST_MS;
    this.#settled = nowMs - found.modifiedMs >= SETTLED_AFTER_MS || sameForMs >= SETTLED_AFTER_MS;
    this.found = found;
    this.#compare();
  }

  /** Whether the file is still the one that its position is in. */
  #compare(): void {
    const { done, rows, bytes, seal } = this.#position;
    if (!done) {
      if (this.compression === "none" && this.found.size < (bytes ?? 0)) this.#replaced = true;
      return;
    }
    // A position that does not say what was read: from now on it is this.
    if (seal === undefined) this.#position = { ...this.#position, seal: statSeal(this.found) };
    else if (seal !== statSeal(this.found)) {
      const wasGrown = this.grows && this.found.size >= Number(seal.split("-")[0]);
      if (rows > 0 || wasGrown) this.#replaced = true;
      // Nothing of it was handed over, and somebody may have mended it.
      else this.#position = FILE_START;
    }
  }

  /** The file is open at its position: what is read is the file as it was found last. */
  opened(): void {
    this.#openedAs = this.found;
    this.#suspect = false;
  }

  /** The file turned out to be another one than that which was read. */
  replaced(): void {
    this.#replaced = true;
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
    if (this.#position.done || this.#replaced || this.#isWaitedFor) return false;
    if (this.grows ? !this.#mayHaveMore : !this.#atRest) return false;
    if (this.#exhaustedAt !== this.found.size || this.#suspect) return true;
    return this.#atRest && !this.#exhaustedAtRest;
  }

  /** True when the file is to be waited for: it is not at rest, and something of it is not read yet. */
  get isPending(): boolean {
    if (this.#replaced) return false;
    if (this.#isWaitedFor) return true;
    return !this.#position.done && !this.#atRest && (!this.grows || this.#mayHaveMore);
  }

  get #mayHaveMore(): boolean {
    return this.found.size > (this.#position.bytes ?? 0) || this.#suspect;
  }

  get #isWaitedFor(): boolean {
    return this.#doubted && !this.isFinal && !this.#position.done;
  }

  /** The next row, and all behind it, cannot be read. Where that is the first row, the file is read when it was changed. */
  refuse(): void {
    const { rows } = this.#position;
    this.#position = { rows: rows === 0 ? 0 : rows + 1, done: true, seal: statSeal(this.found) };
    this.stored = formatPosition(this.#position);
  }

  /** Reading has come to a position. */
  advance(position: FilePosition, atEnd: boolean): void {
    this.#position = atEnd && !this.grows
      ? { rows: position.rows, done: true, seal: statSeal(this.#openedAs) }
      : position;
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
    this.#replaced = false;
    this.#compare();
  }
}
