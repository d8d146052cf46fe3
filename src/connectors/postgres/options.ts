import * as v from "valibot";
import { secretText } from "../../core/connector.ts";

/** Where the database is: a `url` (or `dsn`), or its parts. */
export const postgresConnectionOptions = {
  url: v.optional(v.pipe(
    secretText(),
    v.description(
      "postgres://user:password@host:port/database, with libpq's parameters such as " +
        "?sslmode=require, ?sslrootcert=FILE or ?statement_timeout=60000",
    ),
  )),
  dsn: v.optional(v.pipe(secretText(), v.description("Another name of url"))),
  host: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description("Host name, address, or directory of a Unix socket; used without url"),
  )),
  port: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.maxValue(65535),
    v.description("TCP port; 5432 by default"),
  )),
  user: v.optional(v.pipe(v.string(), v.nonEmpty(), v.description("Role to connect as"))),
  password: v.optional(v.pipe(secretText(), v.description("Password of the role"))),
  database: v.optional(v.pipe(v.string(), v.nonEmpty(), v.description("Database name"))),
  connect_timeout_ms: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.description("Longest time to wait for a connection, in milliseconds; 10000 by default"),
  )),
  statement_timeout_ms: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.description(
      "Longest time for one statement (one batch), in milliseconds; the server's own by default",
    ),
  )),
};

/** What {@link postgresConnectionOptions} make of the user's keys. */
export type PostgresOptions = v.InferOutput<
  v.ObjectSchema<typeof postgresConnectionOptions, undefined>
>;
