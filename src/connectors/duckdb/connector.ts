import type { ConnectionCheck, Connector, Options, SinkRequest } from "../../core/connector.ts";
import { systemClock } from "../../core/clock.ts";
import { FlowError } from "../../core/error.ts";
import type { Sink } from "../../core/sink.ts";
import { openDuckdbFile } from "../../sql/duckdb_file.ts";
import { databaseFilePath } from "../_sql/file_path.ts";
import { maxMemoryMib, openDuckdbDatabase } from "./database.ts";
import { duckdbConnectionOptions } from "./options.ts";
import { DuckdbSink } from "./sink.ts";

/** Tables in a DuckDB file. */
export const duckdbConnector: Connector = {
  kind: "duckdb",
  connectionOptions: duckdbConnectionOptions,
  targetNeedsTable: true,
  urlSchemes: ["duckdb"],
  createSink,
  openDatabase: openDuckdbDatabase,
  check,
};

function createSink(request: SinkRequest): Sink {
  if (request.table === undefined) {
    throw new FlowError("a duckdb target needs [target.table] with the table's name", {
      code: "target_table_unnamed",
      domain: "user",
      hint: '[target.table] name = "events"',
    });
  }
  return new DuckdbSink({
    path: databaseFilePath("duckdb", request.options),
    maxMemoryMib: maxMemoryMib(request.options),
    table: request.table,
    mode: request.mode,
    keys: request.keys,
    create: request.create,
  });
}

/** Opens the file to read, makes nothing. */
async function check(options: Options, signal: AbortSignal): Promise<ConnectionCheck> {
  const path = databaseFilePath("duckdb", options);
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_check_" });
  try {
    const file = await openDuckdbFile({
      path,
      access: "read",
      maxMemoryMib: maxMemoryMib(options),
      scratchDir,
      clock: systemClock,
      signal,
    });
    try {
      const session = await file.connect();
      const [found] = await session.rows<{ version: string }>("SELECT version() AS version");
      return { detail: `DuckDB ${found?.version ?? ""}, ${path}` };
    } finally {
      await file.close();
    }
  } finally {
    await Deno.remove(scratchDir, { recursive: true });
  }
}
