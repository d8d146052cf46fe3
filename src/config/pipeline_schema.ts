import * as v from "valibot";
import { optionalText, text } from "./text_schema.ts";

/** How rows meet the rows of the target that are there. */
const MODES = ["append", "merge"] as const;
const ON_ERROR = ["fail", "drop", "dlq"] as const;

const count = (description: string, minimum = 1) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(minimum), v.description(description));

/** A block whose keys depend on its kind; `resolveSource` and `resolveTarget` (endpoint.ts) look into it. */
const block = (description: string) =>
  v.pipe(v.record(v.string(), v.unknown()), v.description(description));

const onError = v.optional(
  v.pipe(
    v.picklist(ON_ERROR),
    v.description("what happens to rows that the SQL cannot process: fail (default), drop or dlq"),
  ),
);

/** Any text is taken here; the pipeline's cross checks say which are valid, in the words that users know. */
const delivery = v.optional(
  v.pipe(
    v.string(),
    v.description("auto (default), at_least_once or exactly_once"),
    v.metadata({ values: ["auto", "at_least_once", "exactly_once"] }),
  ),
);

const mode = v.optional(
  v.pipe(
    v.picklist(MODES),
    v.description("append adds rows; merge inserts or updates them by keys"),
  ),
);

const keys = v.optional(
  v.pipe(
    v.array(v.pipe(v.string(), v.nonEmpty())),
    v.nonEmpty(),
    v.description("columns that tell rows apart under merge; default: the table's primary key"),
  ),
);

const create = v.optional(
  v.pipe(v.boolean(), v.description("create the table when it is missing (default true)")),
);

/** `[target.table]`; other spellings are brought into this form by {@link tableForm} first. */
const table = v.optional(
  v.pipe(
    v.strictObject({
      schema: optionalText("schema of the table"),
      name: text("name of the table"),
    }),
    v.description("the table to write"),
  ),
);

/**
 * Brings the ways to write a table into one: `{ schema, name }`, `[[targets.table]]` (a list of one), `"public.events"`, and
 * `["public", "events"]`. Anything else stays as it is, for the schema to complain about.
 */
export function tableForm(value: unknown): unknown {
  if (typeof value === "string") {
    const parts = [...value.matchAll(/"((?:[^"]|"")+)"|([^."]+)/g)].map((part) =>
      part[1]?.replaceAll('""', '"') ?? part[2] ?? ""
    );
    const [first, second] = parts;
    if (parts.length === 1 && first !== undefined) return { name: first };
    return parts.length === 2 ? { schema: first, name: second } : value;
  }
  if (!Array.isArray(value)) return value;
  const [first, second]: unknown[] = value;
  if (value.length === 1 && typeof first === "object") return first;
  const isPair = value.length === 2 && typeof first === "string" && typeof second === "string";
  return isPair ? { schema: first, name: second } : value;
}

/** Keys that every pipeline has, in TOML and in TypeScript. */
const PIPELINE_ENTRIES = {
  pipeline_name: text("name of the pipeline: in metrics, stored offsets and messages"),
  source: v.optional(block("where rows come from")),
  source_query: optionalText("what to read from the source: a topic, a glob, a table"),
  sources: v.optional(
    v.pipe(
      v.array(block("one of several sources")),
      v.nonEmpty(),
      v.description("several sources"),
    ),
  ),
  target: v.optional(block("where rows go")),
  targets: v.optional(
    v.pipe(
      v.array(block("one of several targets")),
      v.nonEmpty(),
      v.description("several targets"),
    ),
  ),
  transform_on_error: onError,
  dead_letter_topic: optionalText("Kafka topic for rows that cannot be processed"),
  dead_letter_table: optionalText("table of the first target for rows that cannot be processed"),
  dead_letter_file: optionalText("file for rows that cannot be processed"),
  delivery,
  idle_pause_ms: v.optional(
    count("pause between two looks at a source that had nothing (ms)"),
    500,
  ),
  max_batch_rows: v.optional(count("most rows in one batch"), 100_000),
  max_batch_bytes: v.optional(count("most payload bytes in one batch"), 6 * 1024 * 1024),
  max_batch_wait_ms: v.optional(
    count("a batch that is not full is handed on after this time (ms)"),
    1000,
  ),
} as const;

/** A pipeline file. */
export const tomlPipeline = v.strictObject({
  ...PIPELINE_ENTRIES,
  transform: v.optional(
    v.pipe(
      v.strictObject({
        sql: optionalText("SQL over the relation `source`"),
        on_error: onError,
      }),
      v.description("what happens to rows between source and target"),
    ),
  ),
});

/** What `streamingPipeline(name, {…})` takes, keys in TOML's spelling: the blocks with one key each are flat here. */
export const modulePipeline = v.strictObject({
  ...PIPELINE_ENTRIES,
  transform_sql: optionalText("SQL over the relation `source`"),
  target_table: v.optional(v.unknown()),
  mode,
  keys,
  create,
});

/** A pipeline in either syntax, once it is known to have only valid keys. */
export type PipelineShape =
  & Omit<v.InferOutput<typeof tomlPipeline>, "transform">
  & Partial<Pick<v.InferOutput<typeof tomlPipeline>, "transform">>
  & Partial<
    Pick<
      v.InferOutput<typeof modulePipeline>,
      "transform_sql" | "target_table" | "mode" | "keys" | "create"
    >
  >;

/** Keys that `[source]` and `[[sources]]` have besides the connector's own. */
export const SOURCE_ENTRIES = {
  query: optionalText("what to read: a topic, a glob, a table"),
  columns: v.optional(
    v.pipe(
      v.record(v.string(), v.pipe(v.string(), v.nonEmpty())),
      v.description('declared columns of JSON payloads: name = "TYPE"'),
    ),
  ),
  dead_letter_topic: optionalText("Kafka topic for rows that cannot be processed"),
} as const;

/** Keys that `[target]` and `[[targets]]` have besides the connector's own. */
export const TARGET_ENTRIES = { table, mode, keys, create, delivery } as const;

/** Keys that name the connection of a source or target. */
export const CONNECTION_ENTRIES = {
  kind: optionalText("the kind of system"),
  connection: optionalText("name of a connection that is configured elsewhere"),
} as const;
