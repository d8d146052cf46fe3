import { quoteIdentifier } from "../core/schema.ts";
import type { Session } from "../core/session.ts";

let uses = 0;

/** The tables that are made while one batch is decoded. All are dropped at the end but those that were handed out. */
export class Scratch {
  readonly session: Session;
  readonly #prefix: string;
  readonly #tables = new Set<string>();
  #count = 0;

  /** @param table the batch's table: its name is used for those beside it */
  constructor(session: Session, table: string) {
    this.session = session;
    uses += 1;
    this.#prefix = `${table}_json${uses}`;
  }

  /** A name for one more table. */
  name(): string {
    this.#count += 1;
    return `${this.#prefix}_${this.#count}`;
  }

  /** A table of the query's rows. */
  async create(query: string): Promise<string> {
    const name = this.name();
    this.#tables.add(name);
    await this.session.run(`CREATE TABLE ${quoteIdentifier(name)} AS ${query}`);
    return name;
  }

  /** The table is somebody else's from here on. */
  handOut(table: string): string {
    this.#tables.delete(table);
    return table;
  }

  async drop(table: string): Promise<void> {
    if (!this.#tables.delete(table)) return;
    await this.session.run(`DROP TABLE IF EXISTS ${quoteIdentifier(table)}`);
  }

  async dropAll(): Promise<void> {
    for (const table of [...this.#tables]) await this.drop(table);
  }

  /** The number of rows of a table, or of those that a condition picks. */
  async count(table: string, where = "true"): Promise<number> {
    const rows = await this.session.rows<{ n: bigint }>(
      `SELECT count(*) AS n FROM ${quoteIdentifier(table)} WHERE ${where}`,
    );
    return Number(rows[0]?.n ?? 0n);
  }
}
