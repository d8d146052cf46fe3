import { systemClock } from "../../src/core/clock.ts";
import { queryFile } from "../../src/sql/query_file.ts";

/** The TOML of made-up orders into the DuckDB file `out.duckdb`. `source` are further keys of `[source]`. */
export function ordersToDuckdb(source: string, top = ""): string {
  return `pipeline_name = "orders"
source_query = "orders"
${top}
[source]
kind = "datagen"
${source}
[source.columns]
id = "sequence"
amount = { type = "double", min = 0, max = 100 }

[target]
kind = "duckdb"
path = "out.duckdb"

[target.table]
name = "orders"
`;
}

/** The TOML of made-up orders into a Postgres database at the URL. */
export function ordersToPostgres(url: string): string {
  return `pipeline_name = "orders"
source_query = "orders"

[source]
kind = "datagen"
rows = 10
[source.columns]
id = "sequence"

[target]
kind = "postgres"
url = "${url}"

[target.table]
name = "orders"
`;
}

/** A module with two pipelines. */
export const TWO_PIPELINES = `import { datagen, duckdb, streamingPipeline } from "flow";

const orders = datagen({ columns: { id: "sequence" }, rows: 100 });
const out = duckdb({ name: "out", path: "out.duckdb" });

streamingPipeline("first", { source: orders, sourceQuery: "a", target: out, targetTable: "first" });
streamingPipeline("second", { source: orders, sourceQuery: "b", target: out, targetTable: "second" });
`;

/** The single value that a query over a DuckDB file gives, as text. */
export async function valueIn(path: string, sql: string): Promise<string | undefined> {
  const scratchDir = await Deno.makeTempDir();
  try {
    const signal = new AbortController().signal;
    const { rows } = await queryFile({ path, sql, scratchDir, clock: systemClock, signal });
    return rows[0]?.[0];
  } finally {
    await Deno.remove(scratchDir, { recursive: true });
  }
}
