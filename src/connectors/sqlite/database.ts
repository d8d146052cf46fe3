import type { Options } from "../../core/connector.ts";
import type { Database, DatabaseContext } from "../../core/database.ts";
import { databaseFilePath, isYetToBeMade, realPath } from "../_sql/file_path.ts";
import { SqliteClient } from "./client.ts";
import { SqliteDatabaseSession } from "./database_session.ts";
import { sqliteDialect } from "./dialect.ts";
import { requireFile } from "./sink.ts";

/** An SQLite file as the database of declared pipelines. */
export function openSqliteDatabase(options: Options, context: DatabaseContext): Database {
  const path = databaseFilePath("sqlite", options);
  return {
    kind: "sqlite",
    identity: `sqlite:${realPath(path)}`,
    shown: `sqlite:${path}`,
    dialect: sqliteDialect,
    connect: async (signal, { readOnly = false, missingAsEmpty = false } = {}) => {
      signal.throwIfAborted();
      const isEmpty = missingAsEmpty && await isYetToBeMade(path);
      if (readOnly && !isEmpty) await requireFile(path);
      const { client } = await SqliteClient.open(path, isEmpty ? { empty: true } : { readOnly });
      return new SqliteDatabaseSession({
        client,
        path: realPath(path),
        readOnly,
        scratchDir: context.scratchDir,
        signal,
      });
    },
  };
}
