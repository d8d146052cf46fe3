/**
 * `deno task bench batch`: declared pipelines from Postgres to Postgres, by the compiled binary with a TOML file, as a user would run
 * them. The references do the same by hand in the same run on the same rows: `psql` COPY out piped to COPY in for append, and SQL in the
 * database for merge and scd2. Rates are rows of the source per second.
 */
import { parseArgs } from "node:util";
import pg from "pg";
import { compile } from "../compile.ts";
import { startServices } from "../services.ts";
import { measure } from "./measure.ts";

type Mode = "append" | "merge" | "scd2";

interface Case {
  readonly name: string;
  readonly mode: Mode;
  readonly across: boolean;
  /** Times the number of rows that was asked for. */
  readonly times: number;
}

const CASES: readonly Case[] = [
  { name: "append, one database", mode: "append", across: false, times: 1 },
  { name: "append, two databases", mode: "append", across: true, times: 1 },
  { name: "merge, one database", mode: "merge", across: false, times: 1 },
  { name: "merge, two databases", mode: "merge", across: true, times: 1 },
  { name: "scd2, one database", mode: "scd2", across: false, times: 1 },
  { name: "scd2, two databases", mode: "scd2", across: true, times: 1 },
  { name: "append tenfold, two databases", mode: "append", across: true, times: 10 },
];

/** The goal: the share of the reference's rate. */
const GOALS = { one: 0.8, two: 0.6 };
const REPETITIONS = 2;
const COLUMNS = [
  "order_id bigint NOT NULL",
  "customer_id bigint",
  "sku text",
  "quantity bigint",
  "price double precision",
  "status text",
  "created_at timestamptz",
  "note text",
];
const NAMES = COLUMNS.map((column) => column.split(" ")[0] ?? "");
const VALUES = NAMES.filter((name) => name !== "order_id");

/** Runs the benchmark and prints a JSON line per case. */
export async function batch(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rows: { type: "string", default: "1000000" }, only: { type: "string" } },
  });
  const rows = Number(values.rows);
  const say = (line: string) => console.error(`bench: ${line}`);
  const binary = (await compile()).path;
  const services = await startServices({ only: ["postgres"], durable: true });
  const directory = await Deno.makeTempDir({ prefix: "flow_bench_" });
  try {
    const url = services.env["FLOW_TEST_POSTGRES_URL"];
    if (url === undefined) throw new Error("the benchmark needs Postgres");
    const other = new URL(url);
    other.pathname = "/bench_other";
    await query(url, "CREATE DATABASE bench_other");
    for (const one of CASES.filter(({ name }) => name.includes(values.only ?? ""))) {
      say(one.name);
      const to = one.across ? other.href : url;
      const bench = new BatchCase(one, rows * one.times, { url, to, binary, directory });
      console.log(JSON.stringify(await bench.run()));
    }
  } finally {
    await services.stop();
    await Deno.remove(directory, { recursive: true });
  }
}

interface Place {
  readonly url: string;
  readonly to: string;
  readonly binary: string;
  readonly directory: string;
}

class BatchCase {
  readonly #case: Case;
  readonly #rows: number;
  readonly #place: Place;

  constructor(one: Case, rows: number, place: Place) {
    this.#case = one;
    this.#rows = rows;
    this.#place = place;
  }

  async run(): Promise<Readonly<Record<string, unknown>>> {
    const { url, to } = this.#place;
    await query(
      url,
      `DROP TABLE IF EXISTS bench_source; CREATE TABLE bench_source (${COLUMNS.join(", ")})`,
    );
    await query(url, `INSERT INTO bench_source ${madeRows(this.#rows, "")}`);
    await query(url, "ANALYZE bench_source");
    const references: number[] = [];
    const ours: Measurement[] = [];
    // Taken in turns, so that a disturbance of the machine meets both.
    for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
      references.push(await this.#reference());
      ours.push(await this.#ours());
    }
    await query(to, "DROP TABLE IF EXISTS bench_target; DROP TABLE IF EXISTS bench_reference");
    const reference = this.#rows / Math.min(...references);
    const best = ours.toSorted((a, b) => a.seconds - b.seconds)[0];
    if (best === undefined) throw new Error("nothing was measured");
    const rate = this.#rows / best.seconds;
    return {
      case: this.#case.name,
      rows: this.#rows,
      seconds: round(best.seconds),
      rowsPerS: Math.round(rate),
      referenceRowsPerS: Math.round(reference),
      ratio: round(rate / reference),
      goal: this.#case.across ? GOALS.two : GOALS.one,
      peakRssMb: Math.max(...ours.map(({ peakRssMb }) => peakRssMb)),
      wholeProcessSeconds: round(best.wholeProcessSeconds),
    };
  }

  async #ours(): Promise<Measurement> {
    const { binary, directory, to } = this.#place;
    await query(to, "DROP TABLE IF EXISTS bench_target");
    const toml = `${directory}/bench.toml`;
    await Deno.writeTextFile(toml, this.#definition());
    const flow = ["run", toml, "bench", "--format", "json", "--no-run-log"];
    if (this.#case.mode !== "append") {
      await this.#source("before");
      await measure(binary, flow);
      await this.#source("after");
    }
    await query(to, "CHECKPOINT");
    const run = await measure(binary, flow);
    const [history] = await query(
      to,
      "SELECT extract(epoch FROM finished_at - started_at)::float8 AS seconds FROM ematix_flow.run_history WHERE status = 'success' ORDER BY started_at DESC LIMIT 1",
    );
    await this.#check("bench_target");
    return {
      seconds: Number(history?.["seconds"]),
      wholeProcessSeconds: run.seconds,
      peakRssMb: run.peakRssMb,
    };
  }

  /** Seconds of the hand-written way. */
  async #reference(): Promise<number> {
    const { url, to } = this.#place;
    const versions = this.#case.mode === "scd2"
      ? ", valid_from timestamptz NOT NULL, valid_to timestamptz, is_current boolean NOT NULL, row_hash bytea NOT NULL, PRIMARY KEY (order_id, valid_from)"
      : this.#case.mode === "merge"
      ? ", PRIMARY KEY (order_id)"
      : "";
    await query(
      to,
      `DROP TABLE IF EXISTS bench_reference; CREATE TABLE bench_reference (${
        COLUMNS.join(", ")
      }${versions})`,
    );
    if (this.#case.mode === "append") {
      await query(to, "CHECKPOINT");
      return await pipe(url, "bench_source", to, "bench_reference");
    }
    await this.#source("before");
    await this.#byHand();
    await this.#source("after");
    await query(to, "CHECKPOINT");
    const seconds = await this.#byHand();
    await this.#check("bench_reference");
    return seconds;
  }

  /** The best SQL that we know for it; across databases the rows are copied into a temporary table first. */
  async #byHand(): Promise<number> {
    const { url, to } = this.#place;
    const sql = this.#case.mode === "merge" ? UPSERT : VERSIONS;
    if (!this.#case.across) {
      const { seconds } = await measure("psql", [
        ...[url, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--single-transaction"],
        ...sql("bench_source").flatMap((statement) => ["--command", statement]),
      ]);
      return seconds;
    }
    const script =
      `psql "$1" --no-psqlrc -q -c "COPY bench_source TO STDOUT" | psql "$2" --no-psqlrc -q -1 -v ON_ERROR_STOP=1 ` +
      `-c "CREATE TEMP TABLE bench_stage (${
        COLUMNS.join(", ")
      })" -c "COPY bench_stage FROM STDIN" -c "ANALYZE bench_stage" ` +
      sql("bench_stage").map((statement) => `-c "${statement}"`).join(" ");
    const { seconds } = await measure("bash", ["-o", "pipefail", "-c", script, "bench", url, to]);
    return seconds;
  }

  /** merge: before, the first half of the rows with other values; scd2: before, all rows, and after, a tenth of them changed. */
  async #source(state: "before" | "after"): Promise<void> {
    const { url } = this.#place;
    await query(url, "TRUNCATE bench_source");
    const { mode } = this.#case;
    if (state === "before") {
      const rows = mode === "merge" ? this.#rows / 2 : this.#rows;
      await query(
        url,
        `INSERT INTO bench_source ${madeRows(rows, mode === "merge" ? " (old)" : "")}`,
      );
    } else {
      const changed = mode === "scd2"
        ? madeRows(this.#rows, "", "CASE WHEN id % 10 = 0 THEN ' (new)' ELSE '' END")
        : madeRows(this.#rows, "");
      await query(url, `INSERT INTO bench_source ${changed}`);
    }
    await query(url, "ANALYZE bench_source");
  }

  async #check(table: string): Promise<void> {
    const { to } = this.#place;
    const [counted] = await query(to, `SELECT count(*)::int AS n FROM ${table}`);
    const expected = this.#case.mode === "scd2" ? this.#rows * 1.1 : this.#rows;
    if (counted?.["n"] !== Math.round(expected)) {
      throw new Error(`${table} has ${String(counted?.["n"])} rows instead of ${expected}`);
    }
  }

  #definition(): string {
    const { url, to } = this.#place;
    const { mode } = this.#case;
    const columns = COLUMNS.map((column) => {
      const [name = "", ...words] = column.replace(" NOT NULL", "").split(" ");
      const type = words.join(" ").replace("double precision", "double");
      const key = name === "order_id" && mode !== "append" ? ", primary_key = true" : "";
      const nullable = name === "order_id" ? "" : ", nullable = true";
      return `${name} = { type = "${type}"${key}${nullable} }`;
    });
    return `[connections.from_db]
url = "${url}"

[connections.to_db]
url = "${to}"

[tables.bench_target]
schema = "public"

[tables.bench_target.columns]
${columns.join("\n")}

[[pipeline]]
name = "bench"
target = "bench_target"
mode = "${mode}"
source = "SELECT ${NAMES.join(", ")} FROM bench_source"
source_connection = "from_db"
target_connection = "to_db"
`;
  }
}

interface Measurement {
  /** From the start of the run to its commit, as `run_history` has it. */
  readonly seconds: number;
  readonly wholeProcessSeconds: number;
  readonly peakRssMb: number;
}

/** Orders of 8 columns, about 100 bytes, the same for every run. */
function madeRows(rows: number, suffix: string, suffixSql = `'${suffix}'`): string {
  return `SELECT 1000000 + id, mixed % 250000, 'SKU-' || lpad((mixed % 9973)::text, 5, '0'), 1 + mixed % 9,
    (mixed % 100000) / 100.0, (ARRAY['new', 'paid', 'packed', 'shipped', 'returned'])[1 + mixed % 5],
    to_timestamp(1767225600 + id * 0.25), 'order ' || id || ' of run' || ${suffixSql}
    FROM (SELECT id, (id + 1) * 2654435761 % 4294967296 AS mixed FROM generate_series(0::bigint, ${
    rows - 1
  }) AS id) AS made`;
}

const UPSERT = (source: string): readonly string[] => [
  `INSERT INTO bench_reference SELECT ${
    NAMES.join(", ")
  } FROM ${source} ON CONFLICT (order_id) DO UPDATE SET ${
    VALUES.map((name) => `${name} = EXCLUDED.${name}`).join(", ")
  } WHERE (${VALUES.map((name) => `bench_reference.${name}`).join(", ")}) IS DISTINCT FROM (${
    VALUES.map((name) => `EXCLUDED.${name}`).join(", ")
  })`,
];

const VERSIONS = (source: string): readonly string[] => {
  const hash = `sha256(convert_to(concat_ws('|', ${
    VALUES.map((name) => `coalesce(${name}::text, 'N')`).join(", ")
  }), 'UTF8'))`;
  return [
    `CREATE TEMP TABLE bench_changed ON COMMIT DROP AS SELECT s.*, ${hash} AS row_hash FROM ${source} s`,
    `DELETE FROM bench_changed c USING bench_reference t WHERE t.order_id = c.order_id AND t.is_current AND t.row_hash = c.row_hash`,
    `UPDATE bench_reference t SET valid_to = now(), is_current = false FROM bench_changed c WHERE t.order_id = c.order_id AND t.is_current`,
    `INSERT INTO bench_reference SELECT ${
      NAMES.join(", ")
    }, now(), NULL, true, row_hash FROM bench_changed`,
  ];
};

/** `psql` COPY out piped to `psql` COPY in; seconds. */
async function pipe(from: string, source: string, to: string, target: string): Promise<number> {
  const script =
    `psql "$1" --no-psqlrc -q -c "COPY ${source} TO STDOUT" | psql "$2" --no-psqlrc -q -c "COPY ${target} FROM STDIN"`;
  const { seconds } = await measure("bash", ["-o", "pipefail", "-c", script, "bench", from, to]);
  return seconds;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(sql);
    return Array.isArray(result) ? [] : result.rows;
  } finally {
    await client.end();
  }
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
