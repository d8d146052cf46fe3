import type { Clock } from "../core/clock.ts";
import type { SqlValue } from "../core/session.ts";
import { openDuckdbFile } from "./duckdb_file.ts";

/** What {@link queryFile} needs to know. */
export interface FileQuery {
  /** Path of a DuckDB file. */
  readonly path: string;
  /** One SELECT. The file's tables are named with `FILE_DATABASE`: `FROM flow_file.main.events`. */
  readonly sql: string;
  /** Spill files go there; SQL reaches nothing else. */
  readonly scratchDir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** A small table of texts; NULL is an empty text. */
export interface FileQueryResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/**
 * Runs a query over a DuckDB file, which is opened read-only, and closes it again. For small results.
 *
 * @throws FlowError `sql_invalid`, and those of opening: `duckdb_file_missing`, `duckdb_file_locked` …
 * @example
 * ```ts
 * const { rows } = await queryFile({
 *   path: "out.duckdb", sql: "SELECT count(*) FROM flow_file.main.events", scratchDir, clock, signal,
 * }); // [["20000"]]
 * ```
 */
export async function queryFile(query: FileQuery): Promise<FileQueryResult> {
  const { path, sql, scratchDir, clock, signal } = query;
  const file = await openDuckdbFile({ path, access: "read", scratchDir, clock, signal });
  try {
    const session = await file.connect();
    const interrupt = () => session.interrupt();
    signal.addEventListener("abort", interrupt, { once: true });
    try {
      const columns = (await session.describe(sql)).map(({ name }) => name);
      // Numbered names: the query's own may repeat, and rows are objects.
      const names = columns.map((_, i) => `c${i}`);
      const rows = await session.rows(
        `SELECT COLUMNS(*)::VARCHAR FROM (\n${sql}\n) AS query(${names.join(", ")})`,
      );
      return { columns, rows: rows.map((row) => names.map((name) => cellText(row[name]))) };
    } finally {
      signal.removeEventListener("abort", interrupt);
    }
  } finally {
    await file.close();
  }
}

function cellText(value: SqlValue | undefined): string {
  return value === null || value === undefined ? "" : String(value);
}
