import * as v from "valibot";
import type { OptionEntries } from "../../core/connector.ts";
import { FlowError } from "../../core/error.ts";
import { FILE_FORMATS, type FileFormat } from "./file_format.ts";

/** Parquet's compressions, as the guide names them. */
export const PARQUET_COMPRESSIONS = ["uncompressed", "snappy", "gzip", "zstd"] as const;

/** One ASCII character, given as a text of one or as its number (`ord(',')`, 44). */
function asciiCharacter(name: string, description: string) {
  return v.optional(v.pipe(
    v.union([v.string(), v.pipe(v.number(), v.integer())]),
    v.transform((given) => typeof given === "number" ? String.fromCharCode(given) : given),
    // deno-lint-ignore no-control-regex -- all of ASCII is meant, tab included.
    v.check((text) => /^[\x00-\x7f]$/.test(text), (issue) => {
      return `${name} must be a single ASCII character, got '${issue.input}'`;
    }),
    v.description(description),
  ));
}

const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

const csvReadEntries = {
  has_header: v.optional(v.pipe(
    v.boolean(),
    v.description("Whether the first record holds the column names (default true)."),
  )),
  delimiter: asciiCharacter("delimiter", "Stands between fields (default ',', for .tsv a tab)."),
  quote: asciiCharacter("quote", "Stands around fields (default '\"')."),
  escape: asciiCharacter("escape", "Stands before a quote within a field (default: the quote)."),
  comment: asciiCharacter("comment", "Lines that start with it are left out."),
  null_regex: v.optional(v.pipe(
    v.string(),
    v.description("Fields that match are NULL; without it, empty fields without quotes are."),
  )),
  truncated_rows_ok: v.optional(v.pipe(
    v.boolean(),
    v.description("Fill rows that have too few fields with NULL instead of refusing them."),
  )),
  schema_infer_max_records: v.optional(v.pipe(
    positive,
    v.description(
      "Find the column types in that many records of a file and refuse later rows that do not fit. " +
        "Without it a type widens when later rows need it.",
    ),
  )),
};

const jsonReadEntries = {
  schema_infer_max_records: v.optional(v.pipe(
    positive,
    v.description("Taken for compatibility: flow looks at every record."),
  )),
  batch_size: v.optional(v.pipe(positive, v.description("Most rows of a batch."))),
};

/** How CSV is read, all keys optional. */
export type CsvReadOptions = v.InferOutput<typeof csvReadSchema>;
const csvReadSchema = v.strictObject(csvReadEntries);
const jsonReadSchema = v.strictObject(jsonReadEntries);

const readEntries = {
  csv_read_options: v.optional(v.pipe(csvReadSchema, v.description("How CSV files are read."))),
  json_read_options: v.optional(v.pipe(jsonReadSchema, v.description("How JSON files are read."))),
  read_options: v.optional(v.pipe(
    v.strictObject({ csv: v.optional(csvReadSchema), json: v.optional(jsonReadSchema) }),
    v.description("The same in blocks: [source.read_options.csv], [source.read_options.json]."),
  )),
};

/** Keys of a connection. */
export const connectionOptions = {
  path: v.pipe(
    v.string(),
    v.minLength(1, "path must not be empty"),
    v.description("The base directory. Everything is read and written below it."),
  ),
  format: v.optional(v.pipe(
    v.picklist(FILE_FORMATS),
    v.description(
      "parquet, csv, json or json_lines. Sources tell it from each file's name when it is left out; targets then write parquet.",
    ),
  )),
} satisfies OptionEntries;

/** Keys of a source. */
export const sourceOptions = {
  ...readEntries,
  poll_interval_ms: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.description("Pause between two looks for new files, and how long a file must be at rest."),
    ),
    1000,
  ),
} satisfies OptionEntries;

/** Keys of a target. */
export const targetOptions = {
  ...readEntries,
  prefix: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (prefix) => !prefix.startsWith("/") && !prefix.split("/").includes(".."),
        "prefix must be a folder below path",
      ),
      v.description("Folder below path that files are written into."),
    ),
    "",
  ),
  parquet_compression: v.optional(v.pipe(
    v.picklist(PARQUET_COMPRESSIONS, (issue) => {
      const valid = PARQUET_COMPRESSIONS.map((name) => `'${name}'`).join(", ");
      return `parquet_compression must be one of (${valid}), got '${String(issue.input)}'`;
    }),
    v.description("Compression of Parquet files (default snappy)."),
  )),
  csv_delimiter: asciiCharacter("csv_delimiter", "Stands between fields (default ',')."),
  csv_header: v.optional(v.pipe(
    v.boolean(),
    v.description("Whether files start with the column names (default true)."),
  )),
  csv_quote: asciiCharacter("csv_quote", "Stands around fields that need it (default '\"')."),
  csv_escape: asciiCharacter(
    "csv_escape",
    "Stands before a quote in a field (default: the quote).",
  ),
  csv_null_value: v.optional(v.pipe(
    v.string(),
    v.description("How NULL is written (default: an empty field without quotes)."),
  )),
  partition_by: v.optional(
    v.pipe(
      v.array(v.string()),
      v.description(
        "Columns that become folders (`day=2026-01-31/`) and are left out of the files.",
      ),
    ),
    [],
  ),
} satisfies OptionEntries;

const sourceSchema = v.object({ ...connectionOptions, ...sourceOptions });
const targetSchema = v.object({ ...connectionOptions, ...targetOptions });

/** Validated options of a source. */
export type SourceOptions = v.InferOutput<typeof sourceSchema>;
/** Validated options of a target. */
export type TargetOptions = v.InferOutput<typeof targetSchema>;

const ONLY_FOR: Readonly<Record<string, readonly FileFormat[]>> = {
  parquet_compression: ["parquet"],
  csv_delimiter: ["csv"],
  csv_header: ["csv"],
  csv_quote: ["csv"],
  csv_escape: ["csv"],
  csv_null_value: ["csv"],
  csv_read_options: ["csv"],
  json_read_options: ["json", "json_lines"],
};

/**
 * Refuses options that mean nothing for the format: `parquet_compression='zstd' only applies when format='parquet'; got format='csv'`.
 * `format` is undefined where each file's name tells it: then every option may apply.
 */
export function checkFormatOptions(
  options: Readonly<Record<string, unknown>>,
  format: FileFormat | undefined,
): void {
  if (format === undefined) return;
  const readOptions = options["read_options"] as TargetOptions["read_options"];
  const given = {
    ...options,
    csv_read_options: options["csv_read_options"] ?? readOptions?.csv,
    json_read_options: options["json_read_options"] ?? readOptions?.json,
  };
  for (const [key, value] of Object.entries(given)) {
    const formats = ONLY_FOR[key];
    if (value === undefined || formats === undefined || formats.includes(format)) continue;
    const shown = typeof value === "object" ? key : `${key}='${String(value)}'`;
    const valid = formats.map((name) => `'${name}'`).join(" or ");
    throw new FlowError(`${shown} only applies when format=${valid}; got format='${format}'`, {
      code: "definition_invalid",
      domain: "user",
      hint: `remove ${key}, or set format = "${formats[0]}"`,
      details: { key },
    });
  }
}

/** The CSV read options, in whichever of the two spellings they were given. */
export function csvReadOptions(options: SourceOptions): CsvReadOptions {
  return { ...options.read_options?.csv, ...options.csv_read_options };
}

/** Most rows of a batch by the JSON read options. */
export function jsonBatchRows(options: SourceOptions): number {
  const { batch_size } = { ...options.read_options?.json, ...options.json_read_options };
  return batch_size ?? Number.MAX_SAFE_INTEGER;
}
