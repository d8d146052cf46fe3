/**
 * The demo: `deno task demo`. Runs a real pipeline over real flight records, without any service, then asks the DuckDB file that it
 * wrote. Starts afresh every time.
 */
import project from "../deno.json" with { type: "json" };
import { runProgram } from "../src/cli/program.ts";
import { runInEngine } from "../src/sandbox/engine_host.ts";
import { INHERITED } from "../src/sandbox/permissions.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const PIPELINE = "examples/demo/flights.toml";
const INPUT = "node_modules/vega-datasets/data/flights-20k.json";
const OUTPUT_FOLDER = ".flow/demo";
const OUTPUT = `${OUTPUT_FOLDER}/flights.duckdb`;

const QUESTION = `SELECT origin,
       count(*) AS flights,
       round(100 * avg((delay_minutes > 15)::INTEGER))::INTEGER AS late_percent,
       round(avg(delay_minutes), 1) AS mean_delay_minutes
FROM flow_file.main.flights
GROUP BY origin
HAVING count(*) >= 200
ORDER BY avg(delay_minutes) DESC, origin
LIMIT 10`;

const BAR_WIDTH = 40;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

const NEXT = `Try next:
  edit the SQL in ${PIPELINE}, run this again
  deno task flow consume ${PIPELINE}     waits for new files, until Ctrl+C
  deno task flow help consume                          metrics, restarts, permissions
  README.md                                            from Kafka into Postgres, exactly once
`;
/** A table of texts for the terminal; columns of numbers stand to the right. */
export function tableText(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = (column: number) => rows.map((row) => row[column] ?? "");
  const widths = columns.map((name, i) => Math.max(name.length, ...cells(i).map((c) => c.length)));
  const right = columns.map((_, i) =>
    rows.length > 0 && cells(i).every((c) => /^-?[\d.]+$/.test(c))
  );
  const line = (row: readonly string[]) =>
    widths.map((width, i) => right[i] ? row[i]?.padStart(width) : row[i]?.padEnd(width))
      .join("  ").trimEnd();
  return `${[columns, widths.map((width) => "─".repeat(width)), ...rows].map(line).join("\n")}\n`;
}

/** A bar for each label, the longest `BAR_WIDTH` characters wide; what is not above zero has none. */
export function chartText(bars: readonly (readonly [label: string, value: number])[]): string {
  const labelWidth = Math.max(0, ...bars.map(([label]) => label.length));
  const largest = Math.max(0, ...bars.map(([, value]) => value));
  return bars.map(([label, value]) => {
    const eighths = largest > 0 ? Math.round(Math.max(0, value) / largest * BAR_WIDTH * 8) : 0;
    const bar = "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "");
    return `${label.padEnd(labelWidth)}  ${bar} ${value.toFixed(1)}\n`;
  }).join("");
}

async function main(): Promise<number> {
  Deno.chdir(ROOT);
  if (!await exists(INPUT)) {
    console.error(`the flight records are not there (${INPUT}): run deno install first`);
    return 1;
  }
  if (await exists(OUTPUT_FOLDER)) await Deno.remove(OUTPUT_FOLDER, { recursive: true });
  await Deno.mkdir(OUTPUT_FOLDER, { recursive: true });

  console.log(
    "Real flights of the year 2001: from a JSON file, through SQL, into a DuckDB file.\n",
  );
  console.log(`$ flow consume ${PIPELINE} --until-end -v`);
  const code = await runProgram(["consume", PIPELINE, "--until-end", "-v"], project.version);
  if (code !== 0) return code;

  console.log(`\nWhere do flights leave late? Asking ${OUTPUT}:\n`);
  console.log(`${QUESTION.replace(/^/gm, "  ")}\n`);
  const { columns, rows } = await ask(QUESTION);
  console.log(tableText(columns, rows));
  console.log("Mean delay in minutes:\n");
  console.log(chartText(rows.map((row) => [row[0] ?? "", Number(row.at(-1))])));
  console.log(NEXT);
  return 0;
}

async function ask(sql: string) {
  const never = new AbortController().signal;
  const result = await runInEngine({ do: "query_file", path: OUTPUT, sql }, {
    permissions: INHERITED,
    observe: () => {},
    drain: never,
    now: never,
  });
  if (result.did !== "query_file") throw new Error(`asked for a query, the engine ${result.did}`);
  return result;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

if (import.meta.main) Deno.exit(await main());
