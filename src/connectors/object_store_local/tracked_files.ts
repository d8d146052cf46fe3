import type { StoredOffset } from "../../core/offset.ts";
import type { FoundFile } from "./file_list.ts";
import type { TrackedFile } from "./tracked_file.ts";

/** Up to that many files, each is looked at every time. */
const FEW = 1000;
/** With more, a settled one is looked at every tenth time. */
const TURNS = 10;

/** The files that a source knows, and a queue of those that have something to read, in the order of their paths. */
export class TrackedFiles {
  readonly #files = new Map<string, TrackedFile>();
  /** By what a file's turn to be looked at is told. */
  readonly #turns = new Map<TrackedFile, number>();
  #turn = 0;
  #queue: TrackedFile[] = [];
  #next = 0;
  #isStale = false;

  get size(): number {
    return this.#files.size;
  }

  get(path: string): TrackedFile | undefined {
    return this.#files.get(path);
  }

  add(file: TrackedFile): void {
    this.#files.set(file.path, file);
    this.#turns.set(file, this.#turns.size % TURNS);
    this.#isStale = true;
  }

  /** True when a file has something to read, or is waited for. */
  get isBusy(): boolean {
    return this.#has((file) => file.isPending || file.hasWork);
  }

  /** True when a file has something to read. */
  get haveWork(): boolean {
    return this.#has((file) => file.hasWork);
  }

  /** The first file that has something to read. */
  first(): TrackedFile | undefined {
    if (this.#isStale) {
      this.#queue = [...this.#files.values()].filter((file) => file.hasWork)
        .sort((a, b) => (a.path < b.path ? -1 : 1));
      this.#next = 0;
      this.#isStale = false;
    }
    // A file that has nothing more to read gets something by a look or a seek only, after which the queue is made anew.
    while (this.#next < this.#queue.length) {
      const file = this.#queue[this.#next];
      if (file?.hasWork) return file;
      this.#next += 1;
    }
    return undefined;
  }

  /** Files may have got something to read: they were looked at, or are read again. */
  changed(): void {
    this.#isStale = true;
  }

  /** Reading goes on at these positions; those of unknown files do not matter. */
  moveTo(offsets: readonly StoredOffset[]): void {
    for (const { partition, position } of offsets) this.#files.get(partition)?.moveTo(position);
    this.#isStale = true;
  }

  /** The files that were found to be replaced since the last call; each is told once. */
  takeReplaced(): TrackedFile[] {
    const replaced: TrackedFile[] = [];
    for (const file of this.#files.values()) {
      if (file.takeReplaced()) replaced.push(file);
    }
    return replaced;
  }

  /** Begins a look at the files; tells those that need no look this time. */
  beginLook(): (path: string) => FoundFile | undefined {
    this.#turn = (this.#turn + 1) % TURNS;
    const many = this.#files.size > FEW;
    return (path) => {
      const file = this.#files.get(path);
      if (!many || file === undefined || this.#turns.get(file) === this.#turn) return undefined;
      return file.isSettled ? file.found : undefined;
    };
  }

  /** Forgets files that are gone, unless it is this one. */
  keep(found: readonly FoundFile[], open: TrackedFile | undefined): void {
    const present = new Set(found.map(({ path }) => path));
    for (const [path, file] of this.#files) {
      if (present.has(path) || file === open) continue;
      this.#files.delete(path);
      this.#turns.delete(file);
    }
    this.#isStale = true;
  }

  #has(condition: (file: TrackedFile) => boolean): boolean {
    for (const file of this.#files.values()) {
      if (condition(file)) return true;
    }
    return false;
  }
}
