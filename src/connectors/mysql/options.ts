import * as v from "valibot";
import { secretText } from "../../core/connector.ts";

/** Where the database is: a `url` (or `dsn`), or its parts. */
export const mysqlConnectionOptions = {
  url: v.optional(v.pipe(
    secretText(),
    v.description(
      "mysql://user:password@host:port/database (or mariadb://…), with parameters ssl-mode=REQUIRED and ssl-ca=FILE",
    ),
  )),
  dsn: v.optional(v.pipe(secretText(), v.description("Another name of url"))),
  host: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description("Host name or address; used without url"),
  )),
  port: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.maxValue(65535),
    v.description("TCP port; 3306 by default"),
  )),
  user: v.optional(v.pipe(v.string(), v.nonEmpty(), v.description("User to connect as"))),
  password: v.optional(v.pipe(secretText(), v.description("Password of the user"))),
  database: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description("Database of tables without a schema, and of flow's temporary tables"),
  )),
  ssl_mode: v.optional(v.pipe(
    v.picklist(["disabled", "required", "verify_ca", "verify_identity"]),
    v.description(
      "TLS: disabled (default), required (encrypted), verify_ca (trusted certificate), verify_identity (also the host's name)",
    ),
  )),
  ssl_ca: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.description("File with the certificate (PEM) of the authority to trust"),
  )),
  connect_timeout_ms: v.optional(v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.description("Longest time to wait for a connection, in milliseconds; 10000 by default"),
  )),
};

/** What {@link mysqlConnectionOptions} make of the user's keys. */
export type MysqlOptions = v.InferOutput<
  v.ObjectSchema<typeof mysqlConnectionOptions, undefined>
>;
