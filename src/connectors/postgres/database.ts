import type { Options } from "../../core/connector.ts";
import type { Database, DatabaseContext, DatabaseSession } from "../../core/database.ts";
import { type PostgresAddress, postgresAddress } from "./address.ts";
import { PostgresConnection } from "./connection.ts";
import { toDatabaseError } from "./database_error.ts";
import { PostgresSession } from "./database_session.ts";
import { postgresDialect } from "./dialect.ts";

/** How texts of values look must not depend on a role's own settings. */
const SETTINGS =
  "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; " +
  "SET extra_float_digits = 1; SET bytea_output = 'hex'; SET standard_conforming_strings = on";

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
      return new PostgresSession(connection, this.#context.clock, signal);
    } catch (error) {
      connection?.drop();
      throw signal.aborted
        ? signal.reason
        : toDatabaseError(error, { doing: "connect", writes: false }, this.#address);
    }
  }
}
