/** All connectors: the only list of them. */
import type { Connector } from "../core/connector.ts";
import { datagenConnector } from "./datagen/connector.ts";
import { duckdbConnector } from "./duckdb/connector.ts";
import { kafkaConnector } from "./kafka/connector.ts";
import { memoryConnector } from "./memory/connector.ts";
import { mysqlConnector } from "./mysql/connector.ts";
import { objectStoreLocalConnector } from "./object_store_local/connector.ts";
import { postgresConnector } from "./postgres/connector.ts";
import { sqliteConnector } from "./sqlite/connector.ts";

/** Every system that flow connects to. */
export const connectors: readonly Connector[] = [
  kafkaConnector,
  objectStoreLocalConnector,
  datagenConnector,
  memoryConnector,
  postgresConnector,
  mysqlConnector,
  duckdbConnector,
  sqliteConnector,
];
