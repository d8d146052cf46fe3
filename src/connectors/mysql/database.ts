import type { Options } from "../../core/connector.ts";
import type { Database } from "../../core/database.ts";
import { mysqlAddress } from "./address.ts";
import { MysqlConnection } from "./connection.ts";
import { mysqlDialect } from "./dialect.ts";
import { MysqlSession } from "./session.ts";

/**
 * A MariaDB or MySQL database of declared pipelines.
 *
 * @throws FlowError `mysql_options_invalid` (user)
 */
export function openMysqlDatabase(options: Options): Database {
  const address = mysqlAddress(options);
  return {
    kind: "mysql",
    // One server's databases reach each other's tables, but names without a database are the connection's own.
    identity: `mysql:${address.user}@${address.shown}`,
    shown: `mysql:${address.shown}`,
    dialect: mysqlDialect,
    connect: async (signal) =>
      new MysqlSession(await MysqlConnection.connect(address, signal), signal),
  };
}
