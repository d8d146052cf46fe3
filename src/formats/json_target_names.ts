import type { Column } from "../core/schema.ts";

/** Longer endings are more likely a name of somebody else's (`ID_2026`). */
const MAX_SUFFIX = 9;

/**
 * Which columns of the target payload keys belong to. Column names know no case, so of `id` and `ID` one has become `ID_1`; which one, an earlier
 * run has decided by the order in which they came, and the table remembers.
 */
export class TargetNames {
  readonly #names: ReadonlySet<string>;
  readonly #byLower: ReadonlyMap<string, Column>;

  constructor(columns: readonly Column[]) {
    this.#names = new Set(columns.map(({ name }) => name));
    this.#byLower = new Map(columns.map((column) => [column.name.toLowerCase(), column]));
  }

  /** The column that is the key's own: of the same name, or made for it beside one that differs in case only. */
  columnOf(key: string): string | undefined {
    if (this.#names.has(key)) return key;
    if (!this.#byLower.has(key.toLowerCase())) return undefined;
    for (let suffix = 1; suffix <= MAX_SUFFIX; suffix += 1) {
      const made = `${key}_${suffix}`;
      if (this.#names.has(made)) return made;
    }
    return undefined;
  }

  /** The type of the column that the key's values go to. */
  typeOf(key: string): string | undefined {
    return this.#byLower.get((this.columnOf(key) ?? key).toLowerCase())?.type;
  }
}
