import type { ConnectionCheck, Connector, Options } from "../../core/connector.ts";
import { postgresAddress } from "./address.ts";
import { PostgresConnection } from "./connection.ts";
import { PostgresDatabase } from "./database.ts";
import { postgresConnectionOptions } from "./options.ts";
import { toPostgresError } from "./postgres_error.ts";
import { postgresRunLog } from "./run_log.ts";
import { PostgresSink } from "./sink.ts";

/** PostgreSQL 12 and later as a target, and as the database of declared pipelines. */
export const postgresConnector: Connector = {
  kind: "postgres",
  connectionOptions: postgresConnectionOptions,
  targetNeedsTable: true,
  urlSchemes: ["postgres", "postgresql"],
  createSink: (request) => new PostgresSink(request),
  openDatabase: (options, context) => new PostgresDatabase(options, context),
  openRunLog: postgresRunLog,
  check,
};

async function check(options: Options, signal: AbortSignal): Promise<ConnectionCheck> {
  const address = postgresAddress(options);
  const connection = await PostgresConnection.connect(address, signal);
  try {
    const { rows: [row] } = await connection.query<{ version: string; role: string }>(
      "SELECT split_part(version(), ' on ', 1) AS version, current_user AS role",
      undefined,
      signal,
    );
    return { detail: `${row?.version} at ${address.shown} as ${row?.role}` };
  } catch (error) {
    throw toPostgresError(error, "ask for the version", address);
  } finally {
    await connection.close();
  }
}
