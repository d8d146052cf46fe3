// The same pipeline as pipeline.toml, as a module.
import { objectStoreLocal, source, sqlite, streamingPipeline } from "flow";

streamingPipeline("payments", {
  source: source({
    connection: objectStoreLocal({ path: "data", format: "json" }),
    query: "payments.jsonl",
    columns: { id: "BIGINT", amount: "VARCHAR", currency: "VARCHAR" },
  }),
  transformSql: "SELECT id, amount::DECIMAL(12,2) AS amount, currency FROM source",
  transformOnError: "dlq",
  deadLetterFile: "bad-payments.jsonl",
  target: sqlite({ path: "payments.db" }),
  targetTable: "payments",
});
