/** Examples are tried in copies of their folders; what the tests of examples share. */
import { DuckDBInstance } from "@duckdb/node-api";
import { DatabaseSync } from "node:sqlite";

/** A row of a query's result. */
export type Row = Readonly<Record<string, unknown>>;

/** Copies the definitions and data of an example, but not what it has written; `change` gets the text of every file. */
export async function copyFolder(
  from: string,
  to: string,
  change: (text: string) => string = (text) => text,
): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (name === ".flow") continue;
    if (isDirectory) {
      await Deno.mkdir(`${to}/${name}`);
      await copyFolder(`${from}/${name}`, `${to}/${name}`, change);
    } else if (/\.(toml|ts|jsonl|csv|sql)$/.test(name)) {
      await Deno.writeTextFile(`${to}/${name}`, change(await Deno.readTextFile(`${from}/${name}`)));
    }
  }
}

/** Rows of a DuckDB file, or of a query that needs none (`:memory:`); numbers and times as texts. */
export async function duckdbRows(path: string, sql: string): Promise<Row[]> {
  const options: Record<string, string> = path === ":memory:" ? {} : { access_mode: "READ_ONLY" };
  const instance = await DuckDBInstance.create(path, options);
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    return (await connection.runAndReadAll(sql)).getRowObjectsJson() as Row[];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Rows of an SQLite file. */
export function sqliteRows(path: string, sql: string): Row[] {
  const database = new DatabaseSync(path);
  try {
    return database.prepare(sql).all().map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}
