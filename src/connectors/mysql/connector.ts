import type { ConnectionCheck, Connector, Options } from "../../core/connector.ts";
import { mysqlAddress } from "./address.ts";
import { MysqlConnection } from "./connection.ts";
import { openMysqlDatabase } from "./database.ts";
import { toMysqlError } from "./mysql_error.ts";
import { mysqlConnectionOptions } from "./options.ts";

/** MariaDB 10.11 and later, and MySQL 8, as databases of declared pipelines. */
export const mysqlConnector: Connector = {
  kind: "mysql",
  connectionOptions: mysqlConnectionOptions,
  urlSchemes: ["mysql", "mariadb"],
  openDatabase: openMysqlDatabase,
  check,
};

async function check(options: Options, signal: AbortSignal): Promise<ConnectionCheck> {
  const address = mysqlAddress(options);
  const connection = await MysqlConnection.connect(address, signal);
  try {
    const { rows } = await connection.query("SELECT VERSION(), CURRENT_USER()", [], signal);
    const [version, user] = rows[0] ?? [];
    const name = connection.isMariadb ? "MariaDB" : "MySQL";
    return { detail: `${name} ${version} at ${address.shown} as ${user}` };
  } catch (error) {
    throw toMysqlError(error, "ask for the version", address);
  } finally {
    await connection.close();
  }
}
