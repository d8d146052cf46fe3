import type { Options } from "../../core/connector.ts";
import type { Database, DatabaseContext, DatabaseSession } from "../../core/database.ts";
import { type PostgresAddress, postgresAddress } from "./address.ts";
import { PostgresConnection } from "./connection.ts";
import { toDatabaseError } from "./database_error.ts";
import { CONNECT, isServerError } from "./postgres_error.ts";
import { PostgresSession } from "./database_session.ts";
import { postgresDialect } from "./dialect.ts";

/** How texts of values look must not depend on a role's own settings. */
const SETTINGS =
  "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; " +
  "SET extra_float_digits = 1; SET bytea_output = 'hex'; SET standard_conforming_strings = on";

/**
 * A server looks for its client only between statements: without this, the statement of a process that was killed goes on to its end, and holds the
 * pipeline's lock until then. Servers before version 14, and those on systems that cannot tell, do without.
 */
const NOTICE_LOST_CLIENTS = "SELECT set_config(name, '2s', false) FROM pg_settings " +
  "WHERE name = 'client_connection_check_interval' AND setting = '0'";

/** A Postgres database for declared pipelines. */
export class PostgresDatabase implements Database {
  readonly kind = "postgres";
  readonly dialect = postgresDialect;
  readonly identity: string;
  readonly shown: string;
  readonly #address: PostgresAddress;
  readonly #context: DatabaseContext;

  /** @throws FlowError `postgres_options_invalid` (user) */
  constructor(options: Options, context: DatabaseContext) {
    this.#address = postgresAddress(options);
    this.#context = context;
    this.shown = this.#address.shown;
    const { shown, user, serverOptions } = this.#address;
    // Settings such as search_path decide which table a name means.
    const settings = serverOptions === "" ? "" : ` with ${serverOptions}`;
    this.identity = `postgres:${shown} as ${user}${settings}`;
  }

  async connect(signal: AbortSignal): Promise<DatabaseSession> {
    let connection: PostgresConnection | undefined;
    try {
      connection = await PostgresConnection.connect(this.#address, signal);
      await connection.query(SETTINGS, undefined, signal);
      await connection.query(NOTICE_LOST_CLIENTS, undefined, signal).catch((error: unknown) => {
        if (!isServerError(error)) throw error;
      });
      return new PostgresSession(connection, this.#context.clock, signal);
    } catch (error) {
      connection?.drop();
      throw signal.aborted
        ? signal.reason
        : toDatabaseError(error, { doing: CONNECT, writes: false }, this.#address);
    }
  }
}
