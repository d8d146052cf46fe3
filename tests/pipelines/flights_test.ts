/**
 * The main job on real input: 20,000 flight records, once and fifty times over with shifted dates, from a real Kafka topic into a real
 * Postgres table by the compiled binary, from a TOML file and from a TypeScript module. What arrives has to be equal to what
 * hand-written SQL makes of the file.
 */
import { DuckDBInstance } from "@duckdb/node-api";
import assert from "node:assert/strict";
import pg from "pg";
import { createTopic, produce } from "../faults/feed.ts";
import { BINARY, BROKERS, POSTGRES_URL, required } from "../faults/flow_process.ts";

const FILE =
  new URL("../../node_modules/vega-datasets/data/flights-20k.json", import.meta.url).pathname;
const COPIES = 50;

interface Flight {
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

interface OriginFacts {
  readonly origin: string;
  readonly flights: number;
  readonly delay: number;
  readonly distance: number;
  readonly first: string;
  readonly last: string;
}

const TRANSFORM = `SELECT strptime(date, '%Y/%m/%d %H:%M') AS departed_at, delay, distance,
  upper(origin) AS origin, destination, _partition, _offset
FROM source WHERE distance > 0`;

Deno.test({
  name:
    "20,000 flights, once and 50 times, from Kafka into Postgres by TOML and by a TypeScript module",
  ignore: BINARY === undefined || BROKERS === undefined || POSTGRES_URL === undefined,
  fn: async (t) => {
    const brokers = required(BROKERS, "FLOW_TEST_KAFKA_BROKERS");
    const url = required(POSTGRES_URL, "FLOW_TEST_POSTGRES_URL");
    const directory = await Deno.makeTempDir({ prefix: "flow_flights_" });
    const run = crypto.randomUUID().slice(0, 8);
    try {
      for (const copies of [1, COPIES]) {
        const topic = `flights_${run}_${copies}`;
        await createTopic(brokers, topic, 4);
        await produceFlights(brokers, topic, copies);
        const expected = await expectedFacts(copies);
        for (const syntax of ["toml", "module"] as const) {
          await t.step(`${copies} times, by ${syntax}`, async () => {
            const table = `${topic}_${syntax}`;
            const args = syntax === "toml"
              ? [await writeToml(directory, topic, table, brokers, url)]
              : ["--module", await writeModule(directory, topic, table, brokers, url), table];
            const { code, stderr, stdout } = await consume(args);
            assert.equal(code, 0, stderr);
            const summary = JSON.parse(stdout) as { rows_written: number };
            assert.equal(
              summary.rows_written,
              expected.reduce((sum, fact) => sum + fact.flights, 0),
            );
            assert.deepEqual(await factsInPostgres(url, table), expected);
          });
        }
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

async function consume(args: readonly string[]) {
  const output = await new Deno.Command(required(BINARY, "FLOW_TEST_BINARY"), {
    args: ["consume", ...args, "--until-end", "--format", "json", "--quiet"],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
}

async function produceFlights(brokers: string, topic: string, copies: number): Promise<void> {
  const flights = JSON.parse(await Deno.readTextFile(FILE)) as Flight[];
  for (let copy = 0; copy < copies; copy += 1) {
    await produce(
      brokers,
      topic,
      flights.map((flight, at) => ({
        value: JSON.stringify({ ...flight, date: shifted(flight.date, copy) }),
        partition: at % 4,
      })),
    );
  }
}

/** The date moved on by `years` of 365 days, in the file's own notation. */
function shifted(date: string, years: number): string {
  const at = new Date(`${date.replaceAll("/", "-").replace(" ", "T")}:00Z`);
  at.setUTCDate(at.getUTCDate() + 365 * years);
  const [day, time] = at.toISOString().split("T");
  return `${day?.replaceAll("-", "/")} ${time?.slice(0, 5)}`;
}

async function expectedFacts(copies: number): Promise<OriginFacts[]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(
      `SELECT upper(origin) AS origin, (count(*) * ${copies})::INTEGER AS flights,
        (sum(delay) * ${copies})::INTEGER AS delay, (sum(distance) * ${copies})::INTEGER AS distance,
        strftime(min(strptime(date, '%Y/%m/%d %H:%M')), '%Y-%m-%d %H:%M') AS first,
        strftime(max(strptime(date, '%Y/%m/%d %H:%M')) + INTERVAL (365 * ${
        copies - 1
      }) DAY, '%Y-%m-%d %H:%M') AS last
      FROM read_json('${FILE}', columns = {date: 'VARCHAR', delay: 'BIGINT', distance: 'BIGINT', origin: 'VARCHAR'})
      WHERE distance > 0 GROUP BY 1 ORDER BY 1`,
    );
    return reader.getRowObjectsJS() as unknown as OriginFacts[];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

async function factsInPostgres(url: string, table: string): Promise<OriginFacts[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<OriginFacts>(
      `SELECT origin, count(*)::int AS flights, sum(delay)::int AS delay, sum(distance)::int AS distance,
        to_char(min(departed_at), 'YYYY-MM-DD HH24:MI') AS first,
        to_char(max(departed_at), 'YYYY-MM-DD HH24:MI') AS last
      FROM ${table} GROUP BY 1 ORDER BY origin COLLATE "C"`,
    );
    return rows;
  } finally {
    await client.end();
  }
}

async function writeToml(
  directory: string,
  topic: string,
  table: string,
  brokers: string,
  url: string,
): Promise<string> {
  const path = `${directory}/${table}.toml`;
  await Deno.writeTextFile(
    path,
    `pipeline_name = "${table}"
source_query = "${topic}"

[source]
kind = "kafka"
bootstrap_servers = "${brokers}"
group_id = "${table}"

[transform]
sql = """
${TRANSFORM}
"""

[target]
kind = "postgres"
url = "${url}"

[target.table]
schema = "public"
name = "${table}"
`,
  );
  return path;
}

async function writeModule(
  directory: string,
  topic: string,
  table: string,
  brokers: string,
  url: string,
): Promise<string> {
  const path = `${directory}/${table}.ts`;
  await Deno.writeTextFile(
    path,
    `import { kafka, postgres, streamingPipeline } from "flow";

enum Topic { Flights = "${topic}" }

const source = kafka({ name: "src", bootstrapServers: "${brokers}", groupId: "${table}" });
const warehouse = postgres({ name: "warehouse", url: "${url}" });

streamingPipeline("${table}", {
  source,
  sourceQuery: Topic.Flights,
  target: warehouse,
  targetTable: ["public", "${table}"],
  transformSql: \`${TRANSFORM}\`,
});
`,
  );
  return path;
}
