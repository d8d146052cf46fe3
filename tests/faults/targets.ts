import { DuckDBInstance } from "@duckdb/node-api";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";

/** A row of a query's result; integers come as numbers or bigints, depending on the database. */
export type Row = Readonly<Record<string, unknown>>;

/** A database that fault tests write into, and how a test looks into it. */
export interface FaultTarget {
  readonly name: "postgres" | "duckdb" | "sqlite";
  /** The `[target]` block without mode and table. */
  readonly toml: string;
  /** Statements before the first run. */
  prepare(sql: string): Promise<void>;
  query(sql: string): Promise<Row[]>;
}

/** A Postgres target. */
export function postgresTarget(url: string): FaultTarget {
  const query = async (sql: string): Promise<Row[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  return {
    name: "postgres",
    toml: `kind = "postgres"\nurl = "${url}"`,
    prepare: async (sql) => void (await query(sql)),
    query,
  };
}

/** A DuckDB file as target. */
export function duckdbTarget(directory: string): FaultTarget {
  const path = `${directory}/target.duckdb`;
  const query = async (sql: string, mode: "READ_ONLY" | "READ_WRITE"): Promise<Row[]> => {
    const instance = await DuckDBInstance.create(path, { access_mode: mode });
    const connection = await instance.connect();
    try {
      return (await connection.runAndReadAll(sql)).getRowObjectsJS() as Row[];
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  };
  return {
    name: "duckdb",
    toml: `kind = "duckdb"\npath = "${path}"`,
    prepare: async (sql) => void (await query(sql, "READ_WRITE")),
    query: (sql) => query(sql, "READ_ONLY"),
  };
}

/** A SQLite file as target. */
export function sqliteTarget(directory: string): FaultTarget {
  const path = `${directory}/target.sqlite`;
  const withDatabase = <T>(work: (database: DatabaseSync) => T): Promise<T> => {
    const database = new DatabaseSync(path);
    try {
      return Promise.resolve(work(database));
    } finally {
      database.close();
    }
  };
  return {
    name: "sqlite",
    toml: `kind = "sqlite"\npath = "${path}"`,
    prepare: (sql) => withDatabase((database) => database.exec(sql)),
    query: (sql) => withDatabase((database) => database.prepare(sql).all() as Row[]),
  };
}
