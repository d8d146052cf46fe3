import { DatabaseSync } from "node:sqlite";

/**
 * Locks between processes: an empty file each, which SQLite locks as it locks a database. The operating system lets a lock go when its
 * process ends, however it ends.
 */
export class LockFiles {
  readonly #held = new Map<string, DatabaseSync>();

  /** False when somebody else has it. Where the file cannot be made, there is nothing to lock and the answer is true. */
  take(path: string): boolean {
    while (!this.#held.has(path)) {
      const lock = open(path);
      if (lock === undefined) return true;
      const before = inodeOf(path);
      try {
        lock.exec("BEGIN EXCLUSIVE");
      } catch (error) {
        lock.close();
        if (/database is locked|busy/.test(String(error))) return false;
        throw error;
      }
      // Whoever had it before may have removed the file after it was opened here: then this lock is on a file that nobody else sees.
      if (before !== undefined && before === inodeOf(path)) this.#held.set(path, lock);
      else lock.close();
    }
    return true;
  }

  /** Lets all of them go. */
  release(): void {
    for (const [path, lock] of this.#held) {
      Deno.removeSync(path);
      lock.close();
    }
    this.#held.clear();
  }
}

function open(path: string): DatabaseSync | undefined {
  try {
    return new DatabaseSync(path, { timeout: 0 });
  } catch {
    // Without the right to write beside the database, transactions are all that keeps two runs apart.
    return undefined;
  }
}

function inodeOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
