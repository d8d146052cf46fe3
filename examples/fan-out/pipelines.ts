// The same pipeline as pipeline.toml, as a module.
import { duckdb, objectStoreLocal, sqlite, streamingPipeline, target } from "flow";

streamingPipeline("measurements", {
  source: objectStoreLocal({ path: "data" }),
  sourceQuery: "measurements.jsonl",
  targets: [
    target({ connection: duckdb({ path: "measurements.duckdb" }), table: "measurements" }),
    target({
      connection: sqlite({ path: "latest.db" }),
      table: "latest",
      mode: "merge",
      keys: ["sensor"],
    }),
    target({
      connection: objectStoreLocal({ path: "archive", format: "json" }),
      partitionBy: ["day"],
    }),
  ],
});
