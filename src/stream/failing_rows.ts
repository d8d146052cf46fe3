import { type RejectedRows, ROW_COLUMN } from "../core/batch.ts";
import type { FlowError } from "../core/error.ts";
import { quoteIdentifier } from "../core/schema.ts";
import type { Session, SqlValue } from "../core/session.ts";
import { withoutStatement } from "../sql/sql_error.ts";

/** Rows that are written down by one statement. */
const ROWS_PER_INSERT = 200;

/** A statement that fails on a batch, and what the search needs of it. */
export interface FailingStatement {
  newName(prefix: string): string;
  /** The batch's table, with {@link ROW_COLUMN}. */
  readonly table: string;
  /** A statement over the rows in sight that gives the numbers of rows on which it may fail; it may not bind. */
  readonly suspects: string | undefined;
  /** Lets statements see the rows for which the condition (`WHERE …`, or nothing) holds. */
  see(where: string): Promise<void>;
  /** Runs the failing statement on those rows, into a new table. */
  run(into: string, where: string): Promise<void>;
  /** True for an error that a row can be the cause of. */
  isDataError(error: unknown): error is FlowError;
}

/**
 * Finds the rows that make a statement fail. Most are found in one pass over the batch, where the engine can try expressions row by row; what
 * such a pass does not see is found by halving, about 2 log₂(rows) runs for each row.
 */
export class FailingRows {
  readonly #session: Session;
  readonly #statement: FailingStatement;
  /** The rows found: their numbers and errors. */
  readonly #found: string;
  #count = 0;
  /** Found, but not in the table yet. */
  #pending: SqlValue[] = [];

  constructor(session: Session, statement: FailingStatement) {
    this.#session = session;
    this.#statement = statement;
    this.#found = statement.newName("rejected");
  }

  /** All of them. The caller drops the table. */
  all(): Promise<RejectedRows> {
    return this.#search(Infinity);
  }

  /** Just one, for a run that ends with it: the first, where no suspect was found before it. */
  first(): Promise<RejectedRows> {
    return this.#search(1);
  }

  async #search(limit: number): Promise<RejectedRows> {
    await this.#session.run(
      `CREATE TABLE ${quoteIdentifier(this.#found)} (${ROW_COLUMN} BIGINT, _error VARCHAR)`,
    );
    await this.#checkSuspects(limit);
    await this.#store();
    if (this.#count < limit) await this.#halve(limit);
    await this.#store();
    return { table: this.#found, count: this.#count, by: "row_number" };
  }

  async #checkSuspects(limit: number): Promise<void> {
    for (const row of await this.#suspects()) {
      const error = await this.#failureIn(`WHERE ${ROW_COLUMN} = ${row}`);
      if (error === undefined) continue;
      await this.#add(row, error);
      if (this.#count >= limit) return;
    }
  }

  async #suspects(): Promise<bigint[]> {
    const { suspects } = this.#statement;
    if (suspects === undefined) return [];
    await this.#statement.see("");
    try {
      const rows = await this.#session.rows<{ row: bigint }>(
        `SELECT DISTINCT ${ROW_COLUMN} AS row FROM (${suspects}) ORDER BY 1`,
      );
      return rows.map(({ row }) => row);
    } catch (error) {
      // It does not bind, or fails in what it does not try: halving finds the rows.
      if (this.#statement.isDataError(error)) return [];
      throw error;
    }
  }

  /** Halves the rows that are left until each range that still fails is one row. */
  async #halve(limit: number): Promise<void> {
    const [bounds] = await this.#session.rows<{ low: bigint | null; high: bigint | null }>(
      `SELECT min(${ROW_COLUMN}) AS low, max(${ROW_COLUMN}) + 1 AS high FROM ${
        quoteIdentifier(this.#statement.table)
      }`,
    );
    const others = this.#count === 0 ? "" : `AND ${withoutRowsOf(this.#found)}`;
    const ranges: [bigint, bigint][] = [[bounds?.low ?? 0n, bounds?.high ?? 0n]];
    for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
      const [low, high] = range;
      const error = await this.#failureIn(
        `WHERE ${ROW_COLUMN} >= ${low} AND ${ROW_COLUMN} < ${high} ${others}`,
      );
      if (error === undefined) continue;
      if (high - low > 1n) {
        const middle = low + (high - low) / 2n;
        ranges.push([middle, high], [low, middle]);
        continue;
      }
      await this.#add(low, error);
      if (this.#count >= limit) return;
    }
  }

  async #add(row: bigint, error: FlowError): Promise<void> {
    this.#count += 1;
    this.#pending.push(row, withoutStatement(error.message));
    if (this.#pending.length >= 2 * ROWS_PER_INSERT) await this.#store();
  }

  async #store(): Promise<void> {
    const values = this.#pending.splice(0);
    if (values.length === 0) return;
    const places = Array.from(
      { length: values.length / 2 },
      (_, at) => `($${2 * at + 1}, $${2 * at + 2})`,
    );
    await this.#session.run(
      `INSERT INTO ${quoteIdentifier(this.#found)} VALUES ${places.join(", ")}`,
      values,
    );
  }

  async #failureIn(where: string): Promise<FlowError | undefined> {
    const { newName, run, isDataError } = this.#statement;
    const probe = newName("probe");
    try {
      await run(probe, where);
    } catch (error) {
      if (isDataError(error)) return error;
      throw error;
    }
    await this.#session.run(`DROP TABLE ${quoteIdentifier(probe)}`);
    return undefined;
  }
}

/** The condition of a row that is not among those found. */
export function withoutRowsOf(found: string): string {
  return `${ROW_COLUMN} NOT IN (SELECT ${ROW_COLUMN} FROM ${quoteIdentifier(found)})`;
}
