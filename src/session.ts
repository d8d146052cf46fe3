import type { Table } from "apache-arrow";
import { makeScratchDir } from "./config/host.ts";
import type { Column } from "./core/schema.ts";
import type { SqlValue } from "./core/session.ts";

/** A value of a row: integers come as bigint where they are BIGINT, exact decimals, dates and times as text. */
export type ResultValue = SqlValue;

/** The result of {@link SqlSession.sql}. It was computed once, and stays as it was until it or the session is closed. */
export interface SqlResult {
  /** Names and engine types of the columns, in order. */
  readonly columns: readonly Column[];
  /** How many rows there are. */
  readonly rowCount: number;
  /** The rows as objects by column name. For results that fit into memory. */
  rows<Row = Record<string, ResultValue>>(): Promise<Row[]>;
  /** The rows as a table of the library apache-arrow. */
  toArrow(): Promise<Table>;
  /** The first rows as a table for people; `console.log` shows the same. */
  toString(): string;
  /** Frees what the engine holds for it. */
  close(): Promise<void>;
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** An engine to try SQL in: that of pipelines, with their dialect. */
export interface SqlSession {
  /**
   * Makes a Parquet file the relation `name`. The file is linked or copied into the session's own directory under the permissions of the script, because
   * SQL itself reads no files.
   */
  registerParquet(name: string, path: string): Promise<void>;
  /** The same for a CSV file with a header; types are found by looking at the rows. `.gz` and `.zst` are understood. */
  registerCsv(name: string, path: string): Promise<void>;
  /** The same for a file of JSON: an array of objects, or objects one after the other. */
  registerJson(name: string, path: string): Promise<void>;
  /** Runs a query. */
  sql(query: string): Promise<SqlResult>;
  /** Runs statements that give no rows, such as `CREATE VIEW`. */
  run(statements: string): Promise<void>;
  /** Closes the engine, and removes its directory. */
  close(): Promise<void>;
  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens an engine for work by hand: to look into files, and to try the SQL of a transform before it goes into a pipeline. It is the engine of
 * pipelines with the same locks, loaded into the isolate of the script: that needs `--allow-ffi`, and a directory for temporary files.
 *
 * @throws FlowError `permission_denied` and others.
 *
 * @example
 * ```ts ignore
 * import { session } from "flow";
 *
 * await using s = await session();
 * await s.registerParquet("orders", "orders.parquet");
 * const result = await s.sql("SELECT customer, sum(total) AS total FROM orders GROUP BY ALL");
 * console.log(String(result));
 * const table = await result.toArrow();
 * ```
 */
export async function session(): Promise<SqlSession> {
  const scratchDir = await makeScratchDir();
  try {
    // Loaded only when somebody asks: modules that only define pipelines stay light.
    const { openSession } = await import("./app_session.ts");
    return await openSession(scratchDir);
  } catch (error) {
    await Deno.remove(scratchDir, { recursive: true });
    throw error;
  }
}
