import type { RunRow } from "./run_log_rows.ts";

/** The tables of a run log. `run_log` and `attempt_state` are those of older systems. */
export type RunLogTable = "run_log" | "attempt_state" | "run_records" | "run_log_lines";

/** What a parameter is: `time` is ISO-8601 text, `flag` 0 or 1. */
export type RunLogParameterKind = "text" | "integer" | "time" | "flag";

/** A value of a parameter. */
export type RunLogParameter = string | number | null;

/** What a database spells its own way in the statements of a run log. */
export interface RunLogDialect {
  /** The table's name in a statement. */
  table(name: RunLogTable): string;
  /** The n-th parameter of a statement, from 1, as a value of that kind. Each stands in a statement once, in its order. */
  parameter(index: number, kind: RunLogParameterKind): string;
  /** The time in the column of the relation `r`, in a form that `timeOf` reads, under the column's name. */
  time(column: string): string;
  /** The column of `run_records` that grows with every record. */
  readonly sequence: string;
  /** A FROM item `list` with the column `value`: the texts in a JSON array. */
  texts(array: string): string;
  /** A query that gives `n`, `at`, `level` and `text` of the objects in a JSON array, `n` growing with their order. */
  lines(array: string): string;
  /** An INSERT that passes over rows whose key is there; `rows` begins with INTO. */
  insertNew(rows: string): string;
  /** An INSERT that sets these columns where the key is there; `rows` begins with INTO. */
  insertOrUpdate(rows: string, key: string, columns: readonly string[]): string;
}

/** How databases with ON CONFLICT insert. */
export const ON_CONFLICT: Pick<RunLogDialect, "insertNew" | "insertOrUpdate"> = {
  insertNew: (rows) => `INSERT ${rows} ON CONFLICT DO NOTHING`,
  insertOrUpdate: (rows, key, columns) =>
    `INSERT ${rows} ON CONFLICT (${key}) DO UPDATE SET ${
      columns.map((column) => `${column} = excluded.${column}`).join(", ")
    }`,
};

/** A database that holds a run log, and the session with it. Statements may be asked for while others are under way. */
export interface RunLogStore {
  readonly dialect: RunLogDialect;
  /** Redacted, for messages. */
  readonly shown: string;
  /** Connects; makes or takes over the tables. */
  open(signal: AbortSignal): Promise<void>;
  rows(sql: string, params: readonly RunLogParameter[]): Promise<readonly RunRow[]>;
  /** Runs a statement that commits by itself; returns how many rows it inserted, updated or deleted. */
  change(sql: string, params: readonly RunLogParameter[]): Promise<number>;
  close(): Promise<void>;
}

/** The parameters of one statement, gathered while its text is put together. */
export class RunLogParameters {
  readonly values: RunLogParameter[] = [];
  readonly #dialect: RunLogDialect;

  constructor(dialect: RunLogDialect) {
    this.#dialect = dialect;
  }

  /** Adds a value; returns what stands for it in the statement. */
  add(kind: RunLogParameterKind, value: RunLogParameter): string {
    return this.#dialect.parameter(this.values.push(value), kind);
  }
}
