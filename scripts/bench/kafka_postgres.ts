/**
 * `deno task bench kafka-postgres`: JSON orders from a real Kafka topic of 4 partitions into a typed Postgres table, by the compiled
 * binary with a TOML file, as a user would run it; the reference is `psql \copy` of the same rows into a table of the same shape.
 */
import { parseArgs } from "node:util";
import pg from "pg";
import { compile } from "../compile.ts";
import { startServices } from "../services.ts";
import { measure } from "./measure.ts";
import { csvLine, order, ordersTable, produceOrders } from "./orders.ts";

interface Case {
  readonly name: string;
  readonly key: boolean;
  readonly compression: "none" | "zstd";
}

const CASES: readonly Case[] = [
  { name: "kafka-postgres no key", key: false, compression: "none" },
  { name: "kafka-postgres primary key", key: true, compression: "none" },
  { name: "kafka-postgres no key, zstd topic", key: false, compression: "zstd" },
];

const WARM_UP_ROWS = 1000;

/** Runs the benchmark and prints a JSON line per case. */
export async function kafkaPostgres(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rows: { type: "string", default: "2000000" }, only: { type: "string" } },
  });
  const rows = Number(values.rows);
  const cases = CASES.filter(({ name }) => values.only === undefined || name.includes(values.only));
  const say = (line: string) => console.error(`bench: ${line}`);
  const binary = (await compile()).path;
  const services = await startServices({ only: ["kafka", "postgres"], durable: true });
  const directory = await Deno.makeTempDir({ prefix: "flow_bench_" });
  try {
    const brokers = required(services.env, "FLOW_TEST_KAFKA_BROKERS");
    const url = required(services.env, "FLOW_TEST_POSTGRES_URL");
    const csv = `${directory}/orders.csv`;
    say(`writing ${rows} orders as CSV for the reference`);
    await writeCsv(csv, rows);
    for (const compression of new Set(cases.map((one) => one.compression))) {
      say(`producing ${rows} orders into topic orders_${compression}`);
      await produceOrders(brokers, `orders_${compression}`, rows, compression);
    }
    // A broker makes the place for its groups' offsets when the first group comes.
    await produceOrders(brokers, "orders_warm_up", WARM_UP_ROWS, "none");
    await warmUp(binary, directory, brokers);
    for (const one of cases) {
      const table = `bench_${crypto.randomUUID().slice(0, 8)}`;
      const referenceRowsPerS = await reference(url, csv, rows, one.key);
      await query(url, ordersTable(table, one.key));
      const toml = `${directory}/${table}.toml`;
      await Deno.writeTextFile(toml, definition(table, one, brokers, url));
      const run = await measure(binary, [
        "consume",
        toml,
        "--until-end",
        "--quiet",
        "--format",
        "json",
      ]);
      const summary = JSON.parse(run.stdout) as { elapsed_ms: number; rows_written: number };
      const [counted] = await query(url, `SELECT count(*)::int AS n FROM ${table}`);
      if (counted?.["n"] !== rows) {
        throw new Error(`${String(counted?.["n"])} rows of ${rows} arrived`);
      }
      await query(url, `DROP TABLE ${table}`);
      const seconds = summary.elapsed_ms / 1000;
      const middle = run.rssMb[Math.floor(run.rssMb.length / 2)] ?? 0;
      console.log(JSON.stringify({
        case: one.name,
        rows,
        seconds,
        rowsPerS: Math.round(rows / seconds),
        referenceRowsPerS,
        ratio: round(rows / seconds / referenceRowsPerS),
        peakRssMb: run.peakRssMb,
        rssMbMiddle: Math.round(middle),
        wholeProcessSeconds: round(run.seconds),
      }));
    }
  } finally {
    await services.stop();
    await Deno.remove(directory, { recursive: true });
  }
}

/** A small run into a file, before anything is measured. */
async function warmUp(binary: string, directory: string, brokers: string): Promise<void> {
  const toml = `${directory}/warm_up.toml`;
  await Deno.writeTextFile(
    toml,
    `pipeline_name = "warm_up"
source_query = "orders_warm_up"

[source]
kind = "kafka"
bootstrap_servers = "${brokers}"

[target]
kind = "duckdb"
path = "${directory}/warm_up.duckdb"

[target.table]
name = "orders"
`,
  );
  const run = await measure(binary, ["consume", toml, "--until-end", "--format", "json"]);
  const { rows_written } = JSON.parse(run.stdout) as { rows_written: number };
  if (rows_written !== WARM_UP_ROWS) throw new Error(`the warm-up wrote ${rows_written} rows`);
}

/** The best of two `psql \copy` runs, rows per second. */
async function reference(url: string, csv: string, rows: number, key: boolean): Promise<number> {
  let best = 0;
  for (let run = 0; run < 2; run += 1) {
    await query(url, "DROP TABLE IF EXISTS bench_reference");
    await query(url, ordersTable("bench_reference", key));
    const { seconds } = await measure("psql", [
      url,
      "--no-psqlrc",
      "--quiet",
      "--command",
      `\\copy bench_reference from '${csv}' with (format csv)`,
    ]);
    best = Math.max(best, rows / seconds);
  }
  await query(url, "DROP TABLE bench_reference");
  return Math.round(best);
}

async function writeCsv(path: string, rows: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const writer = file.writable.getWriter();
  const encoder = new TextEncoder();
  for (let from = 0; from < rows; from += 10_000) {
    let lines = "";
    for (let id = from; id < Math.min(rows, from + 10_000); id += 1) lines += csvLine(order(id));
    await writer.write(encoder.encode(lines));
  }
  await writer.close();
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function definition(table: string, one: Case, brokers: string, url: string): string {
  return `pipeline_name = "${table}"
source_query = "orders_${one.compression}"

[source]
kind = "kafka"
bootstrap_servers = "${brokers}"
group_id = "${table}"

[target]
kind = "postgres"
url = "${url}"

[target.table]
schema = "public"
name = "${table}"
`;
}

function required(env: Readonly<Record<string, string>>, name: string): string {
  const value = env[name];
  if (value === undefined) {
    throw new Error(`the benchmark needs ${name}: no such service could be started`);
  }
  return value;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
