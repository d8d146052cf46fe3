import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { duckdbConnector } from "../../src/connectors/duckdb/connector.ts";
import { postgresConnector } from "../../src/connectors/postgres/connector.ts";
import { sqliteConnector } from "../../src/connectors/sqlite/connector.ts";
import { systemClock } from "../../src/core/clock.ts";
import { quoteIdentifier } from "../../src/core/schema.ts";
import type { Session } from "../../src/core/session.ts";
import { jsonValue } from "../../src/formats/json_text.ts";
import { FILE_DATABASE, openDuckdbFile } from "../../src/sql/duckdb_file.ts";
import { sinkOf, textOf } from "./made.ts";
import type { SinkFixture } from "./sink_suite.ts";

/** The database that tests may use; its tests are skipped without it. */
export const POSTGRES_URL: string | undefined = Deno.env.get("FLOW_TEST_POSTGRES_URL");

/** A schema of its own in the tests' database. */
export async function postgresFixture(): Promise<SinkFixture> {
  const schema = `t_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
  const client = new pg.Client({
    connectionString: POSTGRES_URL,
    types: { getTypeParser: () => (text: unknown) => text },
  });
  await client.connect();
  await client.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}; SET TimeZone = 'UTC'`);
  const exists = async (table: string) => {
    const { rows } = await client.query(
      `SELECT 1 FROM pg_tables WHERE schemaname = '${schema}' AND tablename = '${table}'`,
    );
    return rows.length > 0;
  };
  const select = async (sql: string) => {
    const { rows } = await client.query(sql);
    return rows as Record<string, string | null>[];
  };
  return {
    sink: (ask) =>
      sinkOf(
        postgresConnector,
        { url: `${POSTGRES_URL}?options=-csearch_path%3D${schema}` },
        ask,
        { table: { schema, name: "events" } },
      ),
    rows: async () => await exists("events") ? await select("SELECT * FROM events") : [],
    makeTable: async (columns) => void await client.query(`CREATE TABLE events (${columns})`),
    deadLetterIds: async (table) =>
      (await select(`SELECT id FROM ${quoteIdentifier(table)}`)).map((row) => row["id"] ?? ""),
    async close() {
      await client.query(`DROP SCHEMA ${schema} CASCADE`);
      await client.end();
    },
  };
}

/** A file of its own. */
export async function duckdbFixture(): Promise<SinkFixture> {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const path = `${folder}/out.duckdb`;
  const openFile = (access: "read" | "create") =>
    openDuckdbFile({
      path,
      access,
      scratchDir: folder,
      clock: systemClock,
      signal: new AbortController().signal,
    });
  const reading = async <T>(read: (session: Session) => Promise<T>): Promise<T> => {
    const file = await openFile("read");
    try {
      return await read(await file.connect());
    } finally {
      await file.close();
    }
  };
  const table = (name: string) => `${FILE_DATABASE}.main.${quoteIdentifier(name)}`;
  return {
    sink: (ask) => sinkOf(duckdbConnector, { path }, ask),
    rows: () =>
      reading(async (session) => {
        const columns = await session.rows<{ name: string; type: string }>(
          "SELECT column_name AS name, data_type AS type FROM duckdb_columns() " +
            `WHERE database_name = '${FILE_DATABASE}' AND table_name = 'events'`,
        );
        if (columns.length === 0) return [];
        const list = columns.map(({ name, type }) =>
          `${jsonValue(quoteIdentifier(name), type)} AS ${quoteIdentifier(name)}`
        );
        const rows = await session.rows<Record<string, string | null>>(
          `SELECT ${list.join(", ")} FROM ${table("events")}`,
        );
        return rows.map((row) =>
          Object.fromEntries(Object.entries(row).map(([name, json]) => [name, textOf(json)]))
        );
      }),
    async makeTable(columns) {
      const file = await openFile("create");
      await (await file.connect()).run(`CREATE TABLE ${table("events")} (${columns})`);
      await file.close();
    },
    deadLetterIds: (name) =>
      reading(async (session) =>
        (await session.rows<{ id: string }>(`SELECT id FROM ${table(name)}`)).map(({ id }) => id)
      ),
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

/** A file of its own. */
export async function sqliteFixture(): Promise<SinkFixture> {
  const folder = await Deno.makeTempDir({ prefix: "flow_test_" });
  const path = `${folder}/out.db`;
  const select = (sql: string): Record<string, unknown>[] => {
    const database = new DatabaseSync(path);
    try {
      const statement = database.prepare(sql);
      statement.setReadBigInts(true);
      return statement.all();
    } finally {
      database.close();
    }
  };
  return {
    sink: (ask) => sinkOf(sqliteConnector, { path }, ask),
    rows() {
      const names = select("SELECT name FROM pragma_table_info('events')").map(({ name }) =>
        String(name)
      );
      if (names.length === 0) return Promise.resolve([]);
      // Texts by way of their bytes: node:sqlite ends them at a NUL.
      const list = names.flatMap((name, at) => {
        const column = quoteIdentifier(name);
        return [
          `CASE typeof(${column}) WHEN 'text' THEN CAST(${column} AS BLOB) ELSE ${column} END AS c${at}`,
          `typeof(${column}) AS t${at}`,
        ];
      });
      const rows = select(`SELECT ${list.join(", ")} FROM events`);
      return Promise.resolve(rows.map((row) =>
        Object.fromEntries(
          names.map((name, at) => [name, sqliteText(row[`c${at}`], String(row[`t${at}`]))]),
        )
      ));
    },
    makeTable(columns) {
      select(`CREATE TABLE events (${columns})`);
      return Promise.resolve();
    },
    deadLetterIds: (table) =>
      Promise.resolve(
        select(`SELECT id FROM ${quoteIdentifier(table)}`).map(({ id }) => String(id)),
      ),
    close: () => Deno.remove(folder, { recursive: true }),
  };
}

function sqliteText(value: unknown, type: string): string | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) {
    return type === "text" ? new TextDecoder().decode(value) : value.toHex();
  }
  return Object.is(value, -0) ? "-0" : String(value);
}
