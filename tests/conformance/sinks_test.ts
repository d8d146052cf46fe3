import { memoryBroker, removeMemoryBroker } from "../../src/connectors/memory/broker.ts";
import { memoryConnector } from "../../src/connectors/memory/connector.ts";
import { objectStoreLocalConnector } from "../../src/connectors/object_store_local/connector.ts";
import { quoteIdentifier, quoteLiteral } from "../../src/core/schema.ts";
import { jsonValue } from "../../src/formats/json_text.ts";
import { createEngine } from "../../src/sql/engine.ts";
import {
  duckdbFixture,
  POSTGRES_URL,
  postgresFixture,
  sqliteFixture,
} from "./database_fixtures.ts";
import { KAFKA_BROKERS, kafkaSinkFixture } from "./kafka_fixtures.ts";
import { membersOf, sinkOf, textOf } from "./made.ts";
import { type SinkFixture, sinkSuite } from "./sink_suite.ts";

let brokers = 0;

sinkSuite({
  name: "memory",
  noWidening: "a test reads the same types all the time",
  make() {
    const name = `sinks_${brokers += 1}`;
    const broker = memoryBroker(name);
    return Promise.resolve({
      sink: (ask) => sinkOf(memoryConnector, { broker: name }, ask),
      rows: () =>
        Promise.resolve(
          broker.rows("events").map((row) =>
            Object.fromEntries(Object.entries(row).map(([column, json]) => [column, textOf(json)]))
          ),
        ),
      deadLetterIds: (table) => Promise.resolve([...broker.deadLetters.get(table)?.keys() ?? []]),
      close() {
        removeMemoryBroker(name);
        return Promise.resolve();
      },
    });
  },
});

const NOT_TRANSACTIONAL = "files have no transactions";

for (const format of ["json_lines", "csv", "parquet"] as const) {
  sinkSuite({
    name: `object_store_local (${format})`,
    notTransactional: NOT_TRANSACTIONAL,
    noMerge: "files are written once",
    noSchema: "files take any columns",
    make: () => fileFixture(format),
  });
}

/** Reads the files back with an engine of its own. */
async function fileFixture(format: "json_lines" | "csv" | "parquet"): Promise<SinkFixture> {
  const base = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir: base });
  const session = await engine.connect();
  const files = `${base}/out/*.${format === "json_lines" ? "jsonl" : format}`;
  const empty = async () => {
    try {
      return (await Array.fromAsync(Deno.readDir(`${base}/out`))).length === 0;
    } catch {
      return true;
    }
  };
  return {
    sink: (ask) =>
      sinkOf(objectStoreLocalConnector, { path: base, prefix: "out", format }, ask, {}),
    async rows() {
      if (await empty()) return [];
      if (format === "json_lines") return await jsonRows(`${base}/out`);
      const relation = format === "csv"
        ? `read_csv(${quoteLiteral(files)}, all_varchar = true, header = true, quote = '"', ` +
          `escape = '"', nullstr = '', allow_quoted_nulls = false, delim = ',')`
        : `read_parquet(${quoteLiteral(files)})`;
      const columns = await session.describe(`SELECT * FROM ${relation}`);
      const list = columns.map(({ name, type }) => {
        const column = quoteIdentifier(name);
        return format === "csv" ? column : `${jsonValue(column, type)} AS ${column}`;
      });
      const rows = await session.rows<Record<string, string | null>>(
        `SELECT ${list.join(", ")} FROM ${relation}`,
      );
      if (format === "csv") return rows;
      return rows.map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, json]) => [name, textOf(json)]))
      );
    },
    async close() {
      await session.close();
      await engine.close();
      await Deno.remove(base, { recursive: true });
    },
  };
}

async function jsonRows(folder: string): Promise<Record<string, string | null>[]> {
  const rows: Record<string, string | null>[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    const text = await Deno.readTextFile(`${folder}/${name}`);
    rows.push(...text.split("\n").filter((line) => line !== "").map(membersOf));
  }
  return rows;
}

sinkSuite({
  name: "postgres",
  make: postgresFixture,
  nul: "refused",
  ...(POSTGRES_URL === undefined ? { skip: "FLOW_TEST_POSTGRES_URL is not set" } : {}),
});

sinkSuite({ name: "duckdb", make: duckdbFixture });

sinkSuite({
  name: "sqlite",
  make: sqliteFixture,
  inexact: { minus_zero: "SQLite stores -0.0 as 0" },
});

sinkSuite({
  name: "kafka",
  make: kafkaSinkFixture,
  notTransactional: "a topic and its offsets are not written together",
  noMerge: "a topic is appended to",
  noSchema: "a topic takes any columns",
  ...(KAFKA_BROKERS === undefined ? { skip: "FLOW_TEST_KAFKA_BROKERS is not set" } : {}),
});
