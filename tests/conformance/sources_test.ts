import { datagenConnector } from "../../src/connectors/datagen/connector.ts";
import { memoryConnector } from "../../src/connectors/memory/connector.ts";
import { memoryBroker, removeMemoryBroker } from "../../src/connectors/memory/broker.ts";
import { objectStoreLocalConnector } from "../../src/connectors/object_store_local/connector.ts";
import { createEngine } from "../../src/sql/engine.ts";
import { KAFKA_BROKERS, kafkaSourceFixture } from "./kafka_fixtures.ts";
import { sourceOf } from "./made.ts";
import { type SourceFixture, sourceSuite } from "./source_suite.ts";

const ROWS = 100;
const NDJSON: FileKind = { extension: "ndjson", text: lines };

function ids(from: number, count: number): number[] {
  return Array.from({ length: count }, (_id, at) => from + at);
}

function objects(from: number, count: number): string[] {
  return ids(from, count).map((id) => JSON.stringify({ id, name: `näme, "${id}"`, n: id / 8 }));
}

function lines(from: number, count: number): string {
  return objects(from, count).map((line) => `${line}\n`).join("");
}

interface FileKind {
  readonly extension: string;
  text(from: number, count: number): string | Promise<Uint8Array>;
}

function csv(from: number, count: number): string {
  const rows = ids(from, count).map((id) => `${id},"näme, ""${id}""\nof ${id}",${id / 8}\r\n`);
  return `id,name,n\r\n${rows.join("")}`;
}

function gzipped(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).bytes();
}

async function parquet(from: number, count: number): Promise<Uint8Array> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  try {
    const session = await engine.connect();
    const query = `SELECT i AS id, 'n' || i AS name FROM range(${from}, ${from + count}) r(i)`;
    return await Deno.readFile(await session.exportParquet(query, "zstd"));
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

/** Three files of rows, in folders; rows are added as another file and, for newline JSON, at the end of the last one. */
async function fileFixture(kind: FileKind): Promise<SourceFixture> {
  const base = await Deno.makeTempDir({ prefix: "flow_test_" });
  let next = 0;
  const write = async (path: string, count: number, append = false) => {
    const text = await kind.text(next, count);
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    await Deno.mkdir(`${base}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeFile(`${base}/${path}.${kind.extension}`, bytes, { append });
    next += count;
  };
  await write("in/a/1", 30);
  await write("in/a/2", 50);
  await write("in/b", 20);
  return {
    rows: ROWS,
    source: () => sourceOf(objectStoreLocalConnector, "in/", { path: base, poll_interval_ms: 10 }),
    async add(rows) {
      if (kind !== NDJSON) return await write("in/a/3", rows);
      await write("in/b", 10, true);
      await write("in/a/0", rows - 10);
    },
    close: () => Deno.remove(base, { recursive: true }),
  };
}

let brokers = 0;

sourceSuite({
  name: "memory",
  make() {
    const name = `sources_${brokers += 1}`;
    const broker = memoryBroker(name);
    broker.produce("orders", objects(0, 60), "0");
    broker.produce("orders", objects(60, 40), "1");
    return Promise.resolve({
      rows: ROWS,
      source: () => sourceOf(memoryConnector, "orders", { broker: name }),
      add(rows) {
        broker.produce("orders", objects(ROWS, rows), "2");
        return Promise.resolve();
      },
      close() {
        removeMemoryBroker(name);
        return Promise.resolve();
      },
    });
  },
});

sourceSuite({
  name: "datagen",
  cannotGrow: "rows = 100 is the end",
  endsByItself: "rows = 100 is the end",
  make: () =>
    Promise.resolve({
      rows: ROWS,
      source: () =>
        sourceOf(datagenConnector, "orders", {
          rows: ROWS,
          columns: {
            id: "sequence",
            name: { type: "text", length: 40 },
            amount: { type: "decimal", min: 1, max: 9 },
            ts: "timestamp",
          },
        }),
      close: () => Promise.resolve(),
    }),
});

const FILE_KINDS: Readonly<Record<string, FileKind>> = {
  "newline JSON": NDJSON,
  "JSON array": {
    extension: "json",
    text: (from, count) => `[\n  ${objects(from, count).join(",\n  ")}\n]\n`,
  },
  "gzipped newline JSON": {
    extension: "jsonl.gz",
    text: (from, count) => gzipped(lines(from, count)),
  },
  csv: { extension: "csv", text: csv },
  "gzipped csv": { extension: "csv.gz", text: (from, count) => gzipped(csv(from, count)) },
  parquet: { extension: "parquet", text: parquet },
};

for (const [name, kind] of Object.entries(FILE_KINDS)) {
  sourceSuite({ name: `object_store_local (${name})`, make: () => fileFixture(kind) });
}

sourceSuite({
  name: "kafka",
  make: () => kafkaSourceFixture(objects(0, ROWS), (rows) => objects(ROWS, rows)),
  ...(KAFKA_BROKERS === undefined ? { skip: "FLOW_TEST_KAFKA_BROKERS is not set" } : {}),
});
