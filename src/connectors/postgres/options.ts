import type * as v from "valibot";
import {
  connectTimeoutOption,
  dsnOption,
  millisecondsOption,
  portOption,
  secretOption,
  textOption,
} from "../_sql/server_options.ts";

/** Where the database is: a `url` (or `dsn`), or its parts. */
export const postgresConnectionOptions = {
  url: secretOption(
    "postgres://user:password@host:port/database, with libpq's parameters such as " +
      "?sslmode=require, ?sslrootcert=FILE or ?statement_timeout=60000",
  ),
  dsn: dsnOption,
  host: textOption("Host name, address, or directory of a Unix socket; used without url"),
  port: portOption(5432),
  user: textOption("Role to connect as"),
  password: secretOption("Password of the role"),
  database: textOption("Database name"),
  connect_timeout_ms: connectTimeoutOption,
  statement_timeout_ms: millisecondsOption(
    "Longest time for one statement (one batch), in milliseconds; the server's own by default",
  ),
};

/** What {@link postgresConnectionOptions} make of the user's keys. */
export type PostgresOptions = v.InferOutput<
  v.ObjectSchema<typeof postgresConnectionOptions, undefined>
>;
