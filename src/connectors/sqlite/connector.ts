import type { ConnectionCheck, Connector, Options, SinkRequest } from "../../core/connector.ts";
import { FlowError } from "../../core/error.ts";
import type { Sink } from "../../core/sink.ts";
import { databaseFilePath } from "../_sql/file_path.ts";
import { SqliteClient } from "./client.ts";
import { openSqliteDatabase } from "./database.ts";
import { otherSchema } from "./dead_letters.ts";
import { sqliteConnectionOptions } from "./options.ts";
import { sqliteRunLog } from "./run_log.ts";
import { requireFile, SqliteSink } from "./sink.ts";

/** Tables in an SQLite file. */
export const sqliteConnector: Connector = {
  kind: "sqlite",
  connectionOptions: sqliteConnectionOptions,
  targetNeedsTable: true,
  urlSchemes: ["sqlite"],
  createSink,
  openDatabase: openSqliteDatabase,
  openRunLog: sqliteRunLog,
  check,
};

function createSink(request: SinkRequest): Sink {
  const { table, options, mode, keys, create } = request;
  if (table === undefined) {
    throw new FlowError("a sqlite target needs [target.table] with the table's name", {
      code: "target_table_unnamed",
      domain: "user",
      hint: '[target.table] name = "events"',
    });
  }
  if (table.schema !== undefined && table.schema.toLowerCase() !== "main") {
    throw otherSchema(table.schema);
  }
  return new SqliteSink({
    path: databaseFilePath("sqlite", options),
    table: table.name,
    mode,
    keys,
    create,
  });
}

/** Opens the file to read, makes nothing. */
async function check(options: Options, signal: AbortSignal): Promise<ConnectionCheck> {
  const path = databaseFilePath("sqlite", options);
  await requireFile(path);
  signal.throwIfAborted();
  const { client, version } = await SqliteClient.open(path, { readOnly: true });
  await client.close();
  return { detail: `SQLite ${version}, ${path}` };
}
