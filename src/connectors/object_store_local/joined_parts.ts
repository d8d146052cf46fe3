import { ROW_COLUMN, type UnreadableRows } from "../../core/batch.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { TablePart } from "./table_file.ts";

/** Parts of files in one table: many small files make one batch. Rows are numbered anew, in the order of the parts. */
export class JoinedParts {
  readonly #session: Session;
  #first: TablePart | undefined;
  #unreadable: UnreadableRows | undefined;
  #rows = 0;
  #bytes = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Records so far, unreadable ones among them. */
  get records(): number {
    return this.#rows + (this.#unreadable?.count ?? 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True for a part that can stand in the table: it is the first one, or has the same columns. */
  fits(part: TablePart): boolean {
    return this.#first === undefined || this.#first.shape === part.shape;
  }

  /** Takes over a part that fits, with its tables. */
  async add(part: TablePart): Promise<void> {
    if (this.#first !== undefined) await this.#append(part.table, this.#first.table, this.records);
    const { unreadable } = part;
    if (unreadable !== undefined) {
      const before = this.#unreadable;
      if (before !== undefined) {
        await this.#append(unreadable.table, before.table, before.count);
      }
      const count = (before?.count ?? 0) + unreadable.count;
      this.#unreadable = { table: before?.table ?? unreadable.table, count };
    }
    this.#first ??= part;
    this.#rows += part.rows;
    this.#bytes += part.bytes;
  }

  /** The tables of all parts; `undefined` without any. Whoever takes them owns them. */
  tables():
    | Pick<TablePart, "table" | "rows" | "bytes"> & { readonly unreadable?: UnreadableRows }
    | undefined {
    if (this.#first === undefined) return undefined;
    return {
      table: this.#first.table,
      rows: this.#rows,
      bytes: this.#bytes,
      ...(this.#unreadable === undefined ? {} : { unreadable: this.#unreadable }),
    };
  }

  async #append(from: string, to: string, firstRow: number): Promise<void> {
    const row = quoteIdentifier(ROW_COLUMN);
    await this.#session.run(
      `INSERT INTO ${quoteIdentifier(to)} SELECT * REPLACE (${row} + ${firstRow} AS ${row}) ` +
        `FROM ${quoteIdentifier(from)}; DROP TABLE ${quoteIdentifier(from)}`,
    );
  }
}
