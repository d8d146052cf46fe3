import type { Dialect } from "../core/database.ts";

/** Columns by their names as a database compares them: `id` finds `ID` where both name one column. */
export class ColumnNames<T extends { readonly name: string }> {
  readonly #dialect: Dialect;
  readonly #columns: ReadonlyMap<string, T>;

  constructor(dialect: Dialect, columns: Iterable<T>) {
    this.#dialect = dialect;
    this.#columns = new Map(
      Array.from(columns, (column) => [dialect.foldName(column.name), column]),
    );
  }

  get(name: string): T | undefined {
    return this.#columns.get(this.#dialect.foldName(name));
  }

  has(name: string): boolean {
    return this.#columns.has(this.#dialect.foldName(name));
  }
}
