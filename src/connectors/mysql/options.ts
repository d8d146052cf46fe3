import * as v from "valibot";
import {
  connectTimeoutOption,
  dsnOption,
  portOption,
  secretOption,
  textOption,
} from "../_sql/server_options.ts";

/** Where the database is: a `url` (or `dsn`), or its parts. */
export const mysqlConnectionOptions = {
  url: secretOption(
    "mysql://user:password@host:port/database (or mariadb://…), with parameters ssl-mode=REQUIRED and ssl-ca=FILE",
  ),
  dsn: dsnOption,
  host: textOption("Host name or address; used without url"),
  port: portOption(3306),
  user: textOption("User to connect as"),
  password: secretOption("Password of the user"),
  database: textOption("Database of tables without a schema, and of flow's temporary tables"),
  ssl_mode: v.optional(v.pipe(
    v.picklist(["disabled", "required", "verify_ca", "verify_identity"]),
    v.description(
      "TLS: disabled (default), required (encrypted), verify_ca (trusted certificate), verify_identity (also the host's name)",
    ),
  )),
  ssl_ca: textOption("File with the certificate (PEM) of the authority to trust"),
  connect_timeout_ms: connectTimeoutOption,
};

/** What {@link mysqlConnectionOptions} make of the user's keys. */
export type MysqlOptions = v.InferOutput<
  v.ObjectSchema<typeof mysqlConnectionOptions, undefined>
>;
