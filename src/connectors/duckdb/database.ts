import type { Options } from "../../core/connector.ts";
import type { Database, DatabaseContext } from "../../core/database.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import { duckdbDialect } from "../../sql/dialect.ts";
import { FILE_DATABASE, openDuckdbFile } from "../../sql/duckdb_file.ts";
import { databaseFilePath, isYetToBeMade, realPath } from "../_sql/file_path.ts";
import { DuckdbDatabaseSession } from "./database_session.ts";

/**
 * A DuckDB file as the database of declared pipelines. While a session that may write is open, no other process can open the file; sessions
 * that only read may be several.
 */
export function openDuckdbDatabase(options: Options, context: DatabaseContext): Database {
  const path = databaseFilePath("duckdb", options);
  return {
    kind: "duckdb",
    identity: `duckdb:${realPath(path)}`,
    shown: `duckdb:${path}`,
    dialect: duckdbDialect,
    connect: async (signal, { readOnly = false, missingAsEmpty = false } = {}) => {
      const isEmpty = missingAsEmpty && await isYetToBeMade(path);
      const file = await openDuckdbFile({
        path: isEmpty ? `${context.scratchDir}/${crypto.randomUUID()}.duckdb` : path,
        access: readOnly && !isEmpty ? "read" : "create",
        maxMemoryMib: maxMemoryMib(options),
        scratchDir: context.scratchDir,
        clock: context.clock,
        signal,
      });
      try {
        const session = await file.connect();
        // Unqualified names, and `schema.table`, are those of the file.
        await session.run(`USE ${quoteIdentifier(FILE_DATABASE)}`);
        return new DuckdbDatabaseSession({ file, session, path, signal });
      } catch (error) {
        await file.close();
        throw error;
      }
    },
  };
}

/** `max_memory_mib` where it is given. The options have been validated. */
export function maxMemoryMib(options: Options): number | undefined {
  return options["max_memory_mib"] as number | undefined;
}
