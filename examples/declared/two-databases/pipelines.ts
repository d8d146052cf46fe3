// From one database into another, and into two at once. pipelines.toml defines the same.
import { bigint, duckdb, pipeline, postgres, string, table, target, text, timestamptz } from "flow";

const rawDb = postgres({ name: "raw_db", url: "${RAW_DSN}" });
const warehouse = postgres({ name: "warehouse", url: "${WAREHOUSE_DSN}" });
const archive = duckdb({ name: "archive", path: "archive.duckdb" });

const customerDim = table("flow_example_analytics.customer_dim", {
  customer_id: bigint().primaryKey(),
  email: string(256).nullable().lower().trim(),
  name: text().nullable(),
  updated_at: timestamptz().parseTimestamp(),
});

const eventColumns = {
  event_id: bigint().primaryKey(),
  name: text().nullable(),
  received_at: timestamptz(),
};
const warehouseEvents = table("flow_example_analytics.events", eventColumns);
const archiveEvents = table("events", eventColumns);

pipeline("sync_customers", {
  target: customerDim,
  mode: "merge",
  schedule: "0 * * * *",
  sourceConnection: rawDb,
  targetConnection: warehouse,
  source: "SELECT customer_id, email, name, updated_at FROM flow_example_customers",
});

pipeline("fan_out", {
  schedule: "*/5 * * * *",
  sourceConnection: rawDb,
  incrementalColumn: "received_at",
  // Each target keeps a watermark of its own.
  source: "SELECT * FROM flow_example_events WHERE received_at > $watermark",
  targets: [
    target(warehouseEvents, { mode: "append", connection: warehouse }),
    target(archiveEvents, { mode: "append", connection: archive }),
  ],
});
