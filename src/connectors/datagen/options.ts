import * as v from "valibot";
import type { OptionEntries } from "../../core/connector.ts";

const nullRate = v.optional(v.pipe(
  v.number(),
  v.minValue(0),
  v.maxValue(1),
  v.description("Share of rows that have NULL here (default 0)."),
));
const integer = v.pipe(v.number(), v.integer());

/** Types that need nothing but their name. */
export const SIMPLE_TYPES = [
  "sequence",
  "integer",
  "bigint",
  "double",
  "decimal",
  "boolean",
  "text",
  "uuid",
  "timestamp",
  "date",
] as const;

const columnSchema = v.pipe(
  v.union([
    v.pipe(v.picklist(SIMPLE_TYPES), v.transform((type) => ({ type }))),
    v.strictObject({
      type: v.literal("sequence"),
      start: v.optional(integer),
      step: v.optional(integer),
      null_rate: nullRate,
    }),
    v.strictObject({
      type: v.picklist(["integer", "bigint"]),
      min: v.optional(integer),
      max: v.optional(integer),
      null_rate: nullRate,
    }),
    v.strictObject({
      type: v.literal("double"),
      min: v.optional(v.number()),
      max: v.optional(v.number()),
      null_rate: nullRate,
    }),
    v.strictObject({
      type: v.literal("decimal"),
      min: v.optional(v.number()),
      max: v.optional(v.number()),
      scale: v.optional(v.pipe(integer, v.minValue(0), v.maxValue(9))),
      null_rate: nullRate,
    }),
    v.strictObject({
      type: v.literal("boolean"),
      probability: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
      null_rate: nullRate,
    }),
    v.strictObject({
      type: v.literal("text"),
      length: v.optional(v.pipe(integer, v.minValue(1), v.maxValue(10_000))),
      prefix: v.optional(v.string()),
      null_rate: nullRate,
    }),
    v.strictObject({ type: v.literal("uuid"), null_rate: nullRate }),
    v.strictObject({
      type: v.literal("timestamp"),
      start: v.optional(v.union([v.string(), v.date()])),
      step_ms: v.optional(v.pipe(v.number(), v.minValue(0))),
      jitter_ms: v.optional(v.pipe(v.number(), v.minValue(0))),
      null_rate: nullRate,
    }),
    v.strictObject({
      type: v.literal("date"),
      start: v.optional(v.union([v.string(), v.date()])),
      days: v.optional(v.pipe(integer, v.minValue(1))),
      null_rate: nullRate,
    }),
    v.strictObject({
      values: v.pipe(
        v.array(v.union([v.string(), v.number(), v.boolean()])),
        v.minLength(1, "values must not be empty"),
      ),
      null_rate: nullRate,
    }),
  ]),
  v.description(
    "What the column holds: a type's name, or a table with the type and its particulars.",
  ),
);

/** How one column is made. */
export type ColumnOptions = v.InferOutput<typeof columnSchema>;

/** Keys of a source. Column names are the user's own. */
export const sourceOptions = {
  columns: v.pipe(
    v.record(v.string(), columnSchema),
    v.check((columns) => Object.keys(columns).length > 0, "columns must name at least one column"),
    v.description(
      'Columns to make, in order: { id = "sequence", amount = { type = "double", min = 0, max = 100 }, ' +
        'status = { values = ["new", "done"] } }. Types: sequence (start, step), integer and bigint (min, max), ' +
        "double (min, max), decimal (min, max, scale), boolean (probability), text (length, prefix), uuid, " +
        "timestamp (start, step_ms, jitter_ms), date (start, days); each takes null_rate.",
    ),
  ),
  rate: v.optional(
    v.pipe(
      v.number(),
      v.minValue(0),
      v.description("Rows per second; 0 (the default) is as fast as they are taken."),
    ),
    0,
  ),
  seed: v.optional(
    v.pipe(integer, v.description("The same seed makes the same rows (default 0).")),
    0,
  ),
  rows: v.optional(v.pipe(
    integer,
    v.minValue(0),
    v.description("How many rows to make; endless when it is left out."),
  )),
} satisfies OptionEntries;

const schema = v.object(sourceOptions);

/** Validated options of a source. */
export type DatagenOptions = v.InferOutput<typeof schema>;
