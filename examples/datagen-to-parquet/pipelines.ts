// The same pipeline as pipeline.toml, as a module.
import { datagen, objectStoreLocal, streamingPipeline, target } from "flow";

streamingPipeline("made-up-orders", {
  source: datagen({
    rows: 1000,
    seed: 7,
    columns: {
      order_id: { type: "sequence", start: 1 },
      amount: { type: "decimal", min: 1, max: 500, scale: 2 },
      status: { values: ["new", "paid", "sent"] },
      ordered_at: { type: "timestamp", start: "2026-01-01T00:00:00Z", stepMs: 60_000 },
    },
  }),
  sourceQuery: "orders",
  target: target({
    connection: objectStoreLocal({ path: "lake" }),
    prefix: "orders",
    format: "parquet",
    parquetCompression: "zstd",
    partitionBy: ["status"],
  }),
});
