import pg from "pg";
import { duckdbConnector } from "../../src/connectors/duckdb/connector.ts";
import { mysqlConnector } from "../../src/connectors/mysql/connector.ts";
import { postgresConnector } from "../../src/connectors/postgres/connector.ts";
import { sqliteConnector } from "../../src/connectors/sqlite/connector.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Connector, Options } from "../../src/core/connector.ts";
import type { Database } from "../../src/core/database.ts";
import { Secret } from "../../src/core/secret.ts";
import { POSTGRES_URL } from "./database_fixtures.ts";
import type { DatabaseFixture } from "./database_rig.ts";
import { databaseSuite } from "./database_suite.ts";

const MYSQL_URL = Deno.env.get("FLOW_TEST_MYSQL_URL");

function open(connector: Connector, options: Options, scratchDir: string): Database {
  const database = connector.openDatabase?.(options, { scratchDir, clock: systemClock });
  if (database === undefined) throw new Error(`${connector.kind} has no database`);
  return database;
}

async function file(connector: Connector): Promise<DatabaseFixture> {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  return {
    database: (scratchDir) => open(connector, { path: `${folder}/a.db` }, scratchDir),
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

/** A name that nobody else uses. */
function randomName(): string {
  return `t_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
}

async function postgresSchema(): Promise<DatabaseFixture> {
  const name = randomName();
  const admin = async (sql: string) => {
    const client = new pg.Client({ connectionString: POSTGRES_URL });
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await admin(`CREATE SCHEMA ${name}`);
  const url = new Secret(`${POSTGRES_URL}?options=-csearch_path%3D${name}`);
  return {
    database: (scratchDir) => open(postgresConnector, { url }, scratchDir),
    close: () =>
      admin(`DROP SCHEMA ${name} CASCADE; DROP SCHEMA IF EXISTS analytics_${name} CASCADE`),
  };
}

async function mysqlDatabase(): Promise<DatabaseFixture> {
  const name = randomName();
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const admin = async (sql: string) => {
    const session = await open(mysqlConnector, { url: new Secret(MYSQL_URL ?? "") }, scratchDir)
      .connect(new AbortController().signal);
    await session.run(sql);
    await session.close();
  };
  await admin(`CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`);
  const url = new URL(MYSQL_URL ?? "");
  url.pathname = `/${name}`;
  return {
    database: (scratch) => open(mysqlConnector, { url: new Secret(url.href) }, scratch),
    async close() {
      await admin(`DROP DATABASE ${name}`);
      await Deno.remove(scratchDir, { recursive: true });
    },
  };
}

databaseSuite({
  name: "postgres",
  ...(POSTGRES_URL === undefined ? { skip: "FLOW_TEST_POSTGRES_URL is not set" } : {}),
  make: postgresSchema,
  exceptions: {
    "text with NUL comes back": "Postgres has no NUL in text",
    "the hash of BLOB is that of the engine's text": "bytes are hashed by Postgres' text of them",
  },
});

databaseSuite({
  name: "mysql",
  ...(MYSQL_URL === undefined ? { skip: "FLOW_TEST_MYSQL_URL is not set" } : {}),
  make: mysqlDatabase,
  exceptions: {
    "NaN comes back": "MySQL's DOUBLE has none",
    "infinite numbers come back": "MySQL's DOUBLE has none",
    "infinite times come back": "MySQL's DATETIME has none",
    "the hash of BLOB is that of the engine's text": "bytes are hashed by MySQL's own text of them",
    "DDL takes part in a transaction": "MySQL commits before DDL",
  },
});

databaseSuite({
  name: "sqlite",
  make: () => file(sqliteConnector),
  otherTypes: {
    INTEGER: "BIGINT",
    SMALLINT: "BIGINT",
    FLOAT: "DOUBLE",
    UUID: "VARCHAR",
  },
  exceptions: { "NaN comes back": "SQLite takes it for NULL" },
});

databaseSuite({ name: "duckdb", make: () => file(duckdbConnector) });
