import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { ROW_COLUMN } from "../core/batch.ts";
import { FlowError } from "../core/error.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { Engine, PayloadRows, Session } from "../core/session.ts";
import { ingest } from "./ingest.ts";
import { DuckdbSession } from "./session.ts";

/** How {@link createEngine} sets the database up. */
export interface EngineOptions {
  /** An existing directory of this run alone: spill files, exports, and nothing else is reachable from SQL. */
  readonly scratchDir: string;
  /** Engine threads; all cores by default. */
  readonly threads?: number;
  /** Upper bound of the engine's buffers, in MiB; beyond it operators spill into the scratch directory. */
  readonly memoryLimitMiB?: number;
}

const DEFAULT_MEMORY_LIMIT_MIB = 512;

/**
 * A new in-memory engine, locked: SQL reaches no file outside the scratch directory, no network, no extension and no setting.
 *
 * @example
 * ```ts
 * const engine = await createEngine({ scratchDir: await Deno.makeTempDir() });
 * const session = await engine.connect();
 * await session.rows("SELECT 42 AS answer"); // [{ answer: 42 }]
 * await engine.close();
 * ```
 */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(options.threads ?? navigator.hardwareConcurrency),
    memory_limit: `${options.memoryLimitMiB ?? DEFAULT_MEMORY_LIMIT_MIB}MiB`,
    temp_directory: `${options.scratchDir}/spill`,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const connection = await instance.connect();
  try {
    await lockInstance(connection, [options.scratchDir]);
  } finally {
    connection.closeSync();
  }
  return new DuckdbEngine(instance, options.scratchDir);
}

/**
 * Locks an instance as every one in flow is: files only below `directories`, nothing remote, UTC, no further settings.
 * What must be opened from elsewhere (a database file) is opened before.
 */
export async function lockInstance(
  connection: DuckDBConnection,
  directories: readonly string[],
): Promise<void> {
  await connection.run("SET GLOBAL TimeZone = 'UTC'");
  await connection.run(`SET allowed_directories = [${directories.map(quoteLiteral).join(", ")}]`);
  await connection.run("SET enable_external_access = false");
  await connection.run("SET lock_configuration = true");
}

class DuckdbEngine implements Engine {
  readonly scratchDir: string;
  readonly #instance: DuckDBInstance;
  readonly #sessions = new Set<DuckdbSession>();
  #names = 0;
  #closed = false;

  constructor(instance: DuckDBInstance, scratchDir: string) {
    this.#instance = instance;
    this.scratchDir = scratchDir;
  }

  async connect(): Promise<Session> {
    if (this.#closed) {
      throw new FlowError("cannot open a session: the engine is closed", {
        code: "engine_closed",
        domain: "internal",
      });
    }
    const session = new DuckdbSession(await this.#instance.connect(), this.scratchDir, () => {
      this.#sessions.delete(session);
    });
    this.#sessions.add(session);
    return session;
  }

  newName(prefix: string): string {
    this.#names += 1;
    return `${prefix}_${this.#names}`;
  }

  async ingestPayloads(
    session: Session,
    name: string,
    rows: PayloadRows,
    as: "text" | "bytes",
  ): Promise<void> {
    if (!(session instanceof DuckdbSession)) {
      throw new FlowError("cannot ingest payloads: the session belongs to another engine", {
        code: "engine_session_foreign",
        domain: "internal",
      });
    }
    await ingest(session.connection, name, rows, as, this.newName("meta"));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const session of [...this.#sessions]) await session.close();
    this.#instance.closeSync();
  }
}

/** The columns of a raw table in their order, quoted, for statements that copy them. */
export const RAW_COLUMNS: readonly string[] = [
  "_payload",
  "_undecodable",
  "_partition",
  "_offset",
  "_event_ts",
  "_key",
  "_headers",
  ROW_COLUMN,
].map(quoteIdentifier);
