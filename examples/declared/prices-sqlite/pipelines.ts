// Prices as they are now, and all that they have been. pipelines.toml defines the same.
import { decimal, pipeline, sqlite, string, table, timestamptz } from "flow";

const shop = sqlite({ name: "shop", path: "shop.db" });

pipeline("current_prices", {
  target: table("current_prices", {
    sku: string(20).primaryKey(),
    price: decimal(10, 2),
    changed_at: timestamptz(),
  }),
  targetConnection: shop,
  mode: "merge",
  schedule: "@hourly",
  // SQLite takes price from the row that has the highest changed_at.
  source: "SELECT sku, price, max(changed_at) AS changed_at FROM raw_prices GROUP BY sku",
});

pipeline("price_history", {
  target: table("price_history", {
    sku: string(20).primaryKey(),
    price: decimal(10, 2),
    changed_at: timestamptz(),
  }),
  targetConnection: shop,
  mode: "scd2",
  schedule: "@hourly",
  compareColumns: ["price"],
  eventTimestampColumn: "changed_at",
  source: "SELECT sku, price, changed_at FROM raw_prices",
});
