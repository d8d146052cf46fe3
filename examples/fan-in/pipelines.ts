// The same pipeline as pipeline.toml, as a module.
import { duckdb, objectStoreLocal, source, streamingPipeline } from "flow";

const files = objectStoreLocal({ path: "data" });

streamingPipeline("visits-and-sales", {
  sources: [
    source({ connection: files, query: "web/*.jsonl" }),
    source({ connection: files, query: "shop/*.csv" }),
  ],
  transformSql: `
    SELECT customer, page, source.amount::DECIMAL(10,2) AS amount, source.seen_at::TIMESTAMPTZ AS seen_at
    FROM source
  `,
  target: duckdb({ path: "customers.duckdb" }),
  targetTable: "activity",
});
