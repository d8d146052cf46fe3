// Every version of every customer, from when to when it was valid. pipelines.toml defines the same.
import { bigint, pipeline, postgres, string, table, text, timestamptz } from "flow";

const warehouse = postgres({ name: "warehouse", url: "${WAREHOUSE_DSN}" });

const customerDim = table("flow_example_analytics.customer_dim", {
  customer_id: bigint().primaryKey(),
  email: string(256).nullable().lower().trim(),
  name: text().nullable(),
  updated_at: timestamptz().parseTimestamp(),
});

pipeline("sync_customers", {
  target: customerDim,
  targetConnection: warehouse,
  mode: "scd2",
  schedule: "0 * * * *",
  compareColumns: ["email", "name"],
  // The source's own time of a version becomes valid_from.
  eventTimestampColumn: "updated_at",
  // A version that is older than 30 days is closed.
  ttlSeconds: 86_400 * 30,
  source: "SELECT customer_id, email, name, updated_at FROM flow_example_raw.customers",
});
