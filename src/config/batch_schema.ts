import * as v from "valibot";
import { optionalText, text } from "./text_schema.ts";

const MODES = ["append", "truncate", "merge", "scd2", "incremental"] as const;
const HANDLE_DELETES = ["none", "hard", "soft"] as const;
const ON_DRIFT = ["evolve", "warn", "error"] as const;
const NORMALIZERS = ["lower", "upper", "trim", "empty_to_null", "parse_timestamp"] as const;

const names = (description: string) =>
  v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.nonEmpty(), v.description(description));

const optionalNames = (description: string) => v.optional(names(description));

const seconds = (description: string, minimum: number) =>
  v.optional(
    v.pipe(v.number(), v.safeInteger(), v.minValue(minimum), v.description(description)),
  );

const flag = (description: string) => v.optional(v.pipe(v.boolean(), v.description(description)));

const anyTable = (description: string) =>
  v.pipe(v.record(v.string(), v.unknown()), v.description(description));

const primaryKey = flag("the column belongs to the primary key, in the order of the columns");
const naturalKey = flag("the column belongs to the natural key, by which rows are merged");

/** One column with all that can be said of it. */
const column = v.strictObject({
  type: text("BIGINT, string(256), decimal(18, 2), timestamptz …"),
  primary_key: primaryKey,
  natural_key: naturalKey,
  nullable: flag("the column takes NULL (default false)"),
  normalize: v.optional(
    v.pipe(
      v.array(v.picklist(NORMALIZERS)),
      v.description("what is done to values before they are written, in this order"),
    ),
  ),
});

/** `[tables.NAME]`, an inline table, and what `table(…)` makes. */
export const declaredTable = v.strictObject({
  schema: optionalText("schema of the table"),
  name: text("name of the table"),
  columns: v.optional(
    v.pipe(
      v.record(v.pipe(v.string(), v.nonEmpty()), v.union([text("the column's type"), column])),
      v.description("columns: a type, or a table with type, primary_key, nullable …"),
    ),
  ),
  unique: v.optional(
    v.pipe(
      v.array(v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.nonEmpty())),
      v.description("sets of columns that are unique together"),
    ),
  ),
  merge_keys: optionalNames("columns by which rows are merged, whatever other keys there are"),
});

/** A column's own keys, for the reference. */
export const COLUMN_ENTRIES = column.entries;

/** How rows are brought into one target. */
export const LOAD_ENTRIES = {
  mode: v.optional(
    v.pipe(v.picklist(MODES), v.description("how rows meet those that are there; default append")),
  ),
  keys: optionalNames("columns that tell rows apart; default: the table's own keys"),
  compare_columns: optionalNames(
    "scd2: columns whose change makes a new version; default: all that are no key",
  ),
  update_columns: optionalNames(
    "merge, incremental: columns that are updated; default: all that are no key",
  ),
  event_timestamp_column: optionalText("scd2: the source's own time of a version"),
  ttl_seconds: seconds("scd2: current versions that are older are closed (s)", 1),
  handle_deletes: v.optional(
    v.pipe(
      v.picklist(HANDLE_DELETES),
      v.description(
        "rows whose key is gone from the source: none, hard (merge deletes) or soft (scd2 closes)",
      ),
    ),
  ),
  allow_empty_source: flag("a source without rows may delete or close everything"),
  incremental_column: optionalText("the column whose highest value is kept as the watermark"),
  tie_break_column: optionalText(
    "incremental without keys: a column that rises strictly among equal watermarks",
  ),
  overlap_seconds: seconds("incremental: how far below the watermark rows are read again (s)", 0),
  on_drift: v.optional(
    v.pipe(
      v.picklist(ON_DRIFT),
      v.description("when declaration and table differ: evolve (default), warn or error"),
    ),
  ),
  create: flag("make the table when it is missing (default true)"),
} as const;

/** A name, or the thing itself in place. */
const reference = (description: string) =>
  v.pipe(
    v.union([v.pipe(v.string(), v.nonEmpty()), v.record(v.string(), v.unknown())]),
    v.description(description),
  );

const targetTable = reference("the table to write: a name of [tables], or the table itself");
const connection = (description: string) => v.optional(reference(description));

/** Keys of one of several targets. */
export const batchTarget = v.strictObject({
  table: targetTable,
  connection: connection("connection of this target; default: target_connection"),
  ...LOAD_ENTRIES,
});

/** What holds where `retry`, or a key of it, is left out. */
export const RETRY_DEFAULTS = { max_attempts: 1, backoff_seconds: 30, backoff_factor: 2 } as const;

const retry = v.strictObject({
  max_attempts: v.pipe(
    v.number(),
    v.safeInteger(),
    v.minValue(1),
    v.description("attempts within one run, the first included"),
  ),
  backoff_seconds: v.optional(
    v.pipe(
      v.number(),
      v.finite(),
      v.minValue(0),
      v.description("wait before the second attempt (s)"),
    ),
    RETRY_DEFAULTS.backoff_seconds,
  ),
  backoff_factor: v.optional(
    v.pipe(
      v.number(),
      v.finite(),
      v.minValue(1),
      v.description("how much longer each further wait is"),
    ),
    RETRY_DEFAULTS.backoff_factor,
  ),
});

const statements = (description: string) =>
  v.optional(
    v.pipe(
      v.union([v.pipe(v.string(), v.nonEmpty()), names(description)]),
      v.description(description),
    ),
  );

/** Other spellings are brought into this form by `tableForm` first. */
const sourceTable = v.optional(
  v.pipe(
    v.strictObject({
      schema: optionalText("schema of the table"),
      name: text("name of the table"),
    }),
    v.description("the table to read, instead of a query"),
  ),
);

/** Values that a database takes; TOML's and JavaScript's dates become ISO-8601 texts. */
const parameter = v.nullable(
  v.union(
    [v.string(), v.number(), v.boolean(), v.bigint(), v.date()],
    "expected a text in quotes, a number, true or false, or a date",
  ),
);

/** `[[pipeline]]`, and what `pipeline(name, {…})` takes, keys in TOML's spelling. */
export const declaredPipeline = v.strictObject({
  name: text("name of the pipeline: in commands, metrics and the history of runs"),
  target: v.optional(targetTable),
  targets: v.optional(
    v.pipe(
      v.array(anyTable("one of several targets")),
      v.nonEmpty(),
      v.description("several targets, each with table, connection and mode"),
    ),
  ),
  ...LOAD_ENTRIES,
  source: v.optional(
    v.pipe(
      v.string("expected the query as a text"),
      v.nonEmpty(),
      v.description("the query, in the SQL of the source's database"),
    ),
  ),
  source_table: sourceTable,
  column_map: v.optional(
    v.pipe(
      v.record(v.string(), v.pipe(v.string(), v.nonEmpty())),
      v.description("with source_table: column of the target = column of the source"),
    ),
  ),
  source_connection: connection(
    "where the query runs; default: the connection of the targets, where all have the same",
  ),
  target_connection: connection("where the table is; default: the connection named default"),
  parameters: v.optional(
    v.pipe(v.record(v.string(), parameter), v.description("values for $name in the query")),
  ),
  sql_before: statements("SQL on each target before its load, in the same transaction"),
  sql_after: statements("SQL on each target after its load, in the same transaction"),
  schedule: optionalText("when it is due: five fields of cron, or @hourly, @daily …"),
  timezone: optionalText("IANA name of the zone of schedule; default UTC"),
  depends_on: optionalNames("pipelines that must have succeeded before"),
  upstream_freshness_seconds: seconds(
    "how old their success may be (s); default: it must be of today",
    1,
  ),
  retry: v.optional(
    v.pipe(retry, v.description("attempts after a failure that may pass; default: one attempt")),
  ),
  continue_on_failure: flag("go on with the other targets when one failed (default false)"),
});

/** A pipeline once it is known to have only valid keys. */
export type PipelineShape = v.InferOutput<typeof declaredPipeline>;

/** What is said of one target, at the top of a pipeline with one or within `targets`. */
export type LoadShape = Partial<
  v.InferOutput<v.StrictObjectSchema<typeof LOAD_ENTRIES, undefined>>
>;

/** A table once it is known to have only valid keys. */
export type TableShape = v.InferOutput<typeof declaredTable>;
