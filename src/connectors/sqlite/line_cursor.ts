import type { StatementSync } from "node:sqlite";
import type { Lines, SqliteValue } from "./protocol.ts";

const FIRST_BYTES = 1 << 16;

/**
 * A query whose rows are bytes, taken in pieces of whole rows. The last row must be an empty one: the driver takes an error for the end of a
 * query, so that only that row tells that all have come.
 */
export class LineCursor {
  readonly #statement: StatementSync;
  readonly #params: readonly SqliteValue[];
  readonly #rows: IterableIterator<unknown>;
  #done = false;

  constructor(statement: StatementSync, params: readonly SqliteValue[]) {
    this.#statement = statement;
    this.#params = params;
    this.#rows = statement.iterate(...params) as IterableIterator<unknown>;
  }

  /** The next rows, about `maxBytes` of them, at least one. */
  next(maxBytes: number): Lines {
    let bytes = new Uint8Array(FIRST_BYTES);
    let length = 0;
    let rows = 0;
    let longest = 0;
    while (length < maxBytes && !this.#done) {
      const step = this.#rows.next();
      if (step.done === true) this.#fail();
      const { line } = step.value as { readonly line: Uint8Array };
      if (line.length === 0) {
        this.close();
        break;
      }
      if (length + line.length > bytes.length) {
        const longer = new Uint8Array(Math.max(bytes.length * 2, length + line.length));
        longer.set(bytes.subarray(0, length));
        bytes = longer;
      }
      bytes.set(line, length);
      length += line.length;
      rows += 1;
      longest = Math.max(longest, line.length);
    }
    return { bytes: bytes.slice(0, length), rows, longest, done: this.#done };
  }

  /** Ends the query, also before its end. */
  close(): void {
    if (!this.#done) this.#rows.return?.();
    this.#done = true;
  }

  /** Runs it again, with a method of the driver that does tell what went wrong. */
  #fail(): never {
    this.#done = true;
    this.#statement.all(...this.#params);
    throw new Error("SQLite ended a query before its last row");
  }
}
