// The same pipeline as pipeline.toml, as a module.
import { kafka, streamingPipeline, target } from "flow";

const broker = kafka({ bootstrapServers: "${KAFKA_BROKERS}" });

streamingPipeline("flow-example-slow-clicks", {
  source: broker,
  sourceQuery: "flow-example-clicks",
  transformSql: "SELECT user, page, ms / 1000.0 AS seconds FROM source WHERE ms >= 1000",
  target: target({
    connection: broker,
    topic: "flow-example-slow-clicks",
    messageKeyColumn: "user",
    compression: "zstd",
  }),
});
