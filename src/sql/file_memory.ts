import type { DuckDBConnection } from "@duckdb/node-api";
import type { Session, SqlValue } from "../core/session.ts";

/** What loading rows needs beside the indexes: row groups that are being filled and compressed, on two threads. */
const LOADING_MIB = 128;
/** An index on a number takes a third of that, one on long texts all of it. */
const INDEX_BYTES_PER_ROW = 64;
/** Operators of a plan that hold many rows at a time. */
const GATHERS_ROWS =
  /JOIN|PRODUCT|GROUP|AGGREGATE|WINDOW|ORDER|TOP_N|DISTINCT|CTE|UNION|EXCEPT|INTERSECT/;
const MIB = 1024 * 1024;

/** What statements on a file may use unless the connection says otherwise, in MiB. */
export const DEFAULT_MAX_MEMORY_MIB = 1024;

/** The settings of an instance before anything is known of its file. */
export const FIRST_LIMIT = `${LOADING_MIB}MiB`;

/**
 * The memory of an instance that stands on a DuckDB file. DuckDB fills what it may have with blocks that it might read again, so that a
 * load of many rows would take all of it for nothing; but indexes have to lie in memory whole, and large joins and sorts get by
 * with little only up to a point. So the limit follows the work.
 */
export class FileMemory {
  readonly #maxMib: number;
  #limitMib = LOADING_MIB;

  constructor(maxMib: number = DEFAULT_MAX_MEMORY_MIB) {
    this.#maxMib = Math.max(maxMib, LOADING_MIB);
  }

  /** For loading rows and reading: little beside the indexes, those of the tables as they are and those that have grown in this transaction. */
  async forLoading(session: Session): Promise<void> {
    const [row] = await session.rows<{ rows: bigint | null; bytes: bigint | null }>(
      "SELECT (SELECT sum(index_count * estimated_size)::BIGINT FROM duckdb_tables()) AS rows, " +
        "(SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory() WHERE tag = 'ART_INDEX') AS bytes",
    );
    const bytes = Math.max(
      Number(row?.rows ?? 0n) * INDEX_BYTES_PER_ROW,
      // An index doubles some of its nodes as it grows.
      Number(row?.bytes ?? 0n) * 2,
    );
    await this.#set(session, LOADING_MIB + Math.ceil(bytes / MIB));
  }

  /** For a query: as for loading while rows only pass through, else as for statements. */
  async forQuery(session: Session, query: string, params: readonly SqlValue[]): Promise<void> {
    const plan = await session.rows<{ explain_value: string }>(`EXPLAIN ${query}`, params);
    const gathers = plan.some(({ explain_value }) => GATHERS_ROWS.test(explain_value));
    await (gathers ? this.forStatements(session) : this.forLoading(session));
  }

  /** For statements that join, sort and change: all that the file's connection may have. */
  async forStatements(session: Session): Promise<void> {
    await this.#set(session, this.#maxMib);
  }

  async #set(session: Session, wantedMib: number): Promise<void> {
    const limitMib = Math.min(wantedMib, this.#maxMib);
    if (limitMib === this.#limitMib) return;
    try {
      await session.run(`SET memory_limit = '${limitMib}MiB'`);
      this.#limitMib = limitMib;
    } catch (error) {
      // More is in use than a lower limit allows: the higher one stays.
      if (limitMib > this.#limitMib) throw error;
    }
  }
}

/** Leaves the one setting open that {@link FileMemory} changes. To be called before the instance is locked. */
export async function keepMemoryOpen(connection: DuckDBConnection): Promise<void> {
  await connection.run("SET allowed_configs = ['memory_limit']");
}
