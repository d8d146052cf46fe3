import type { StatementSync } from "node:sqlite";
import type { Lines, SqliteValue } from "./protocol.ts";

const FIRST_BYTES = 1 << 16;

/** A query whose rows are bytes, taken in pieces of whole rows. */
export class LineCursor {
  readonly #rows: IterableIterator<unknown>;
  #done = false;

  constructor(statement: StatementSync, params: readonly SqliteValue[]) {
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
      if (step.done === true) {
        this.#done = true;
        break;
      }
      const { line } = step.value as { readonly line: Uint8Array };
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

  /** Ends the query before its end. */
  close(): void {
    if (!this.#done) this.#rows.return?.();
    this.#done = true;
  }
}
