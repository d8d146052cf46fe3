/**
 * What pipelines import as `flow`: typed connections, streaming pipelines, declared tables and pipelines, and functions that run
 * them from a script.
 *
 * Definitions are plain data; calling a builder registers it, and the engine is loaded only when something runs.
 *
 * @example
 * ```ts
 * import { kafka, postgres, streamingPipeline } from "flow";
 *
 * streamingPipeline("events-to-pg", {
 *   source: kafka({ name: "src", bootstrapServers: "localhost:9092", groupId: "flow" }),
 *   sourceQuery: "events",
 *   target: postgres({ name: "warehouse", url: "${WAREHOUSE_DSN}" }),
 *   targetTable: ["public", "events"],
 *   transformSql: "SELECT user_id, amount FROM source WHERE amount > 0",
 * });
 * ```
 *
 * @module
 */
import { type ConnectionBuilder, connectionBuilder } from "./config/builder.ts";

export {
  type DeclaredPipeline,
  pipeline,
  type PipelineOptions,
  type RetryOptions,
} from "./config/batch_builder.ts";
export {
  bigint,
  boolean,
  bytes,
  ColumnDefinition,
  date,
  decimal,
  double,
  integer,
  json,
  real,
  smallint,
  string,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
} from "./config/column_builder.ts";
export {
  type DatabaseConnectionInput,
  type LoadOptions,
  LoadTarget,
  type LoadTargetOptions,
} from "./config/load_options.ts";
export { type ParameterValue, sql, SqlQuery } from "./config/sql_template.ts";
export { table, TableDefinition, type TableOptions } from "./config/table_builder.ts";
export {
  Connection,
  type ConnectionInput,
  type NamedSourceArguments,
  type NamedTargetArguments,
  type OnErrorInput,
  registerConnection,
  source,
  type SourceArguments,
  SourceDefinition,
  type StreamingPipeline,
  streamingPipeline,
  type StreamingPipelineOptions,
  type TableInput,
  target,
  type TargetArguments,
  TargetDefinition,
  type WriteOptions,
} from "./config/builder.ts";
// deno-lint-ignore flow/layers -- a light module that loads nothing else; how tests of pipelines fill topics and look into tables
export { type MemoryBroker, memoryBroker } from "./connectors/memory/broker.ts";
// deno-lint-ignore flow/layers -- a light module that loads nothing else; one list of file names for flow and its users
export { type FileFormat, formatFromPath } from "./connectors/object_store_local/file_format.ts";
export type { ConnectionArguments, Kind } from "./config/option_types.ts";
export {
  runPipeline,
  type RunPipelineOptions,
  runStreamingPipeline,
  type RunStreamingPipelineOptions,
} from "./config/run_script.ts";
export { type ResultValue, session, type SqlResult, type SqlSession } from "./session.ts";
export type { ConsumeSummary } from "./core/request.ts";
export { type ErrorDomain, FlowError } from "./core/error.ts";

/**
 * A connection to a Kafka cluster, as a source, a target, or both.
 *
 * @example
 * ```ts
 * import { kafka } from "flow";
 *
 * const src = kafka({
 *   name: "src",
 *   bootstrapServers: "localhost:9092",
 *   groupId: "flow",
 *   saslPlainUsername: "alice",
 *   saslPlainPassword: "${KAFKA_PASSWORD}",
 * });
 * ```
 */
export const kafka: ConnectionBuilder<"kafka"> = connectionBuilder("kafka");

/**
 * A connection to a Postgres database. `${VAR}` in texts is filled in when the connection is used.
 *
 * @example
 * ```ts
 * import { postgres } from "flow";
 *
 * const warehouse = postgres({ name: "warehouse", url: "${WAREHOUSE_DSN}" });
 * ```
 */
export const postgres: ConnectionBuilder<"postgres"> = connectionBuilder("postgres");

/**
 * A connection to a MariaDB or MySQL database. `${VAR}` in texts is filled in when the connection is used.
 *
 * @example
 * ```ts
 * import { mysql } from "flow";
 *
 * const shop = mysql({ name: "shop", url: "${SHOP_DSN}" });
 * ```
 */
export const mysql: ConnectionBuilder<"mysql"> = connectionBuilder("mysql");

/**
 * A DuckDB database file.
 *
 * @example
 * ```ts
 * import { duckdb } from "flow";
 *
 * const local = duckdb({ name: "local", path: "events.duckdb" });
 * ```
 */
export const duckdb: ConnectionBuilder<"duckdb"> = connectionBuilder("duckdb");

/**
 * An SQLite database file.
 *
 * @example
 * ```ts
 * import { sqlite } from "flow";
 *
 * const local = sqlite({ name: "local", path: "events.db" });
 * ```
 */
export const sqlite: ConnectionBuilder<"sqlite"> = connectionBuilder("sqlite");

/**
 * Files below a directory: newline JSON, CSV or Parquet, as a source or a target.
 *
 * @example
 * ```ts
 * import { objectStoreLocal, target } from "flow";
 *
 * const lake = objectStoreLocal({ name: "lake", path: "/data/lake", format: "parquet" });
 * const archive = target({ connection: lake, prefix: "events/raw", parquetCompression: "zstd" });
 * ```
 */
export const objectStoreLocal: ConnectionBuilder<"object_store_local"> = connectionBuilder(
  "object_store_local",
);

/**
 * Made-up rows of declared columns, the same ones for the same seed: for demos, tests and benchmarks.
 *
 * @example
 * ```ts
 * import { datagen } from "flow";
 *
 * const orders = datagen({
 *   columns: { id: "sequence", amount: { type: "decimal", max: 100, nullRate: 0.1 } },
 *   rows: 1000,
 *   seed: 7,
 * });
 * ```
 */
export const datagen: ConnectionBuilder<"datagen"> = connectionBuilder("datagen");

/**
 * Rows in this process's memory: the reference connector, for tests of pipelines.
 *
 * @example
 * ```ts
 * import { memory } from "flow";
 *
 * const store = memory({ name: "store", broker: "test" });
 * ```
 */
export const memory: ConnectionBuilder<"memory"> = connectionBuilder("memory");
