import * as v from "valibot";
import { type Connector, secretText } from "../core/connector.ts";

const unused = (): never => {
  throw new Error("definitions are only loaded here, never run");
};

const text = (description: string) => v.pipe(v.string(), v.description(description));

/** Connectors that have options and nothing else, for tests of definitions. */
export const fakeConnectors: readonly Connector[] = [
  {
    kind: "kafka",
    connectionOptions: {
      bootstrap_servers: text("host:port, several with commas between"),
      sasl_plain_username: v.optional(text("user")),
      sasl_plain_password: v.optional(secretText()),
      tls: v.optional(v.boolean(), false),
    },
    sourceOptions: {
      group_id: v.optional(text("consumer group"), "flow"),
      auto_offset_reset: v.optional(v.picklist(["earliest", "latest"]), "earliest"),
      payload_format: v.optional(v.picklist(["json", "raw_bytes"]), "json"),
      headers: v.optional(v.record(v.string(), v.string())),
      fetch: v.optional(v.strictObject({ max_wait_ms: v.optional(v.number(), 500) })),
    },
    targetOptions: { message_key_column: v.optional(text("column of the key")) },
    createSource: unused,
    createSink: unused,
    createDeadLetters: unused,
  },
  {
    kind: "postgres",
    connectionOptions: {
      url: v.pipe(secretText(), v.description("postgres://user@host/database")),
      pool: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 4),
    },
    targetOptions: {},
    targetNeedsTable: true,
    urlSchemes: ["postgres", "postgresql"],
    createSink: unused,
  },
  {
    kind: "object_store_local",
    connectionOptions: {
      path: text("directory"),
      format: v.optional(v.picklist(["json_lines", "csv", "parquet"])),
    },
    sourceOptions: {},
    targetOptions: {
      prefix: v.optional(text("below the directory")),
      parquet_compression: v.optional(v.picklist(["uncompressed", "snappy", "gzip", "zstd"])),
      csv_delimiter: v.optional(
        v.pipe(v.string(), v.length(1, "must be a single ASCII character")),
      ),
      read_options: v.optional(
        v.strictObject({
          csv: v.optional(
            v.strictObject({
              has_header: v.optional(v.boolean()),
              delimiter: v.optional(v.number()),
              null_regex: v.optional(v.string()),
              schema_infer_max_records: v.optional(v.number()),
            }),
          ),
        }),
      ),
      partition_by: v.optional(v.array(v.string())),
    },
    createSource: unused,
    createSink: unused,
  },
  {
    kind: "datagen",
    connectionOptions: {},
    sourceOptions: {
      columns: v.record(v.string(), v.string()),
      rows: v.optional(v.number()),
      seed: v.optional(v.number()),
    },
    createSource: unused,
  },
];
