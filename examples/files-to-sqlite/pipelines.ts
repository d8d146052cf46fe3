// Both pipelines as a module; each is started by its name:
//   flow consume --module pipelines.ts events-to-sqlite --until-end
//   flow consume --module pipelines.ts products-to-sqlite --until-end
import { objectStoreLocal, source, sqlite, streamingPipeline } from "flow";

const files = objectStoreLocal({ name: "files", path: "data" });
const shop = sqlite({ name: "shop", path: "shop.db" });

streamingPipeline("events-to-sqlite", {
  source: source({
    connection: files,
    query: "events-*.jsonl",
    columns: { price: "DECIMAL(10,2)" },
  }),
  target: shop,
  targetTable: "events",
});

streamingPipeline("products-to-sqlite", {
  source: files,
  sourceQuery: "products.csv",
  target: shop,
  targetTable: "products",
});
