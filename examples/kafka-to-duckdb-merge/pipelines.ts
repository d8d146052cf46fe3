// The same pipeline as pipeline.toml, as a module.
import { duckdb, kafka, streamingPipeline } from "flow";

streamingPipeline("flow-example-customers-to-duckdb", {
  source: kafka({ bootstrapServers: "${KAFKA_BROKERS}" }),
  sourceQuery: "flow-example-customers",
  target: duckdb({ path: "customers.duckdb" }),
  targetTable: "customers",
  mode: "merge",
  keys: ["id"],
});
