// The same pipeline as pipeline.toml, as a module:
//   flow consume --module pipelines.ts flow-example-orders-to-postgres
import { kafka, postgres, source, streamingPipeline } from "flow";

const broker = kafka({ name: "broker", bootstrapServers: "${KAFKA_BROKERS}" });
const warehouse = postgres({ name: "warehouse", url: "${WAREHOUSE_DSN}" });

streamingPipeline("flow-example-orders-to-postgres", {
  source: source({
    connection: broker,
    query: "flow-example-orders",
    columns: { order_id: "BIGINT", amount: "DECIMAL(12,2)" },
  }),
  transformSql: `
    SELECT order_id, customer, amount, ordered_at, items, _partition, _offset
    FROM source
    WHERE amount > 0
  `,
  target: warehouse,
  targetTable: "public.flow_example_orders",
});
