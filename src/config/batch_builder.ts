import { callerOrigin } from "./caller_origin.ts";
import type { DatabaseConnectionInput, LoadOptions, LoadTarget } from "./load_options.ts";
import type { TableInput } from "./builder.ts";
import { plainRecord, sealedContent } from "./plain_data.ts";
import { addDefinition } from "./registry.ts";
import type { ParameterValue, SqlQuery } from "./sql_template.ts";
import type { TableDefinition } from "./table_builder.ts";

/** Attempts within one run. The wait before attempt n+1 is `backoffSeconds * backoffFactor ** (n - 1)`. */
export interface RetryOptions {
  /** The first attempt included. */
  readonly maxAttempts: number;
  /** Wait before the second attempt (s); default 30. */
  readonly backoffSeconds?: number;
  /** How much longer each further wait is; default 2. */
  readonly backoffFactor?: number;
}

interface EveryPipeline {
  /** When it is due: five fields of cron, or `@hourly`, `@daily` and the like. Without it, it runs only when asked to. */
  readonly schedule?: string;
  /** IANA name of the zone that `schedule` means; default `UTC`. */
  readonly timezone?: string;
  /** Pipelines that must have succeeded before: themselves, or their names. */
  readonly dependsOn?: readonly (string | DeclaredPipeline)[];
  /** How old their last success may be (s); default: it must be of today. */
  readonly upstreamFreshnessSeconds?: number;
  /** Attempts after a failure that may pass by itself; default: one attempt. */
  readonly retry?: RetryOptions;
  /** Where the query runs; default: the connection of the targets, where all have the same. */
  readonly sourceConnection?: DatabaseConnectionInput;
  /** Where the table is; default: the connection named `default`. */
  readonly targetConnection?: DatabaseConnectionInput;
  /** SQL on each target before its load, in the same transaction. */
  readonly sqlBefore?: string | readonly string[];
  /** SQL on each target after its load, in the same transaction. */
  readonly sqlAfter?: string | readonly string[];
  /** Go on with the other targets when one failed; default false. */
  readonly continueOnFailure?: boolean;
}

type QuerySource = {
  /** The query, in the SQL of the source's database. `$name` stands for a parameter, `$watermark` for the highest value read so far. */
  readonly source: string | SqlQuery;
  /** Values for `$name` in the query. */
  readonly parameters?: Readonly<Record<string, ParameterValue>>;
  readonly sourceTable?: never;
  readonly columnMap?: never;
};

type TableSource<Column extends string> = {
  /** The table to read, instead of a query. */
  readonly sourceTable: TableInput;
  /** Column of the target → column of the source. Those that are not named have the same name. */
  readonly columnMap?: Readonly<Partial<Record<Column, string>>>;
  readonly source?: never;
  readonly parameters?: never;
};

type OneTarget<Column extends string> = LoadOptions<NoInfer<Column>> & {
  /** The table to write. */
  readonly target: TableDefinition<Column>;
  readonly targets?: never;
};

type SeveralTargets = {
  /** Tables to write from the same rows. */
  readonly targets: readonly LoadTarget[];
  readonly target?: never;
  /** The column whose highest value is `$watermark` in the query. */
  readonly incrementalColumn?: string;
};

/** What {@link pipeline} takes: what to read, the table or tables to write and how, when, and after which others. */
export type PipelineOptions<Column extends string = string> =
  & EveryPipeline
  & (QuerySource | TableSource<NoInfer<Column>>)
  & (OneTarget<Column> | SeveralTargets);

/** A declared pipeline. Declaring it registered it already; `flow run --module M NAME` finds it by its name. */
export interface DeclaredPipeline {
  /** What `flow run --module M NAME` takes. */
  readonly name: string;
}

/**
 * Declares a pipeline that brings the rows of a query into a table, once per run, and registers it. Nothing runs yet: `flow run --module M
 * NAME` runs it, and `flow run-due --module M` when it is due. Mistakes that types cannot see are told then, with the line of this call.
 *
 * @example
 * ```ts
 * import { bigint, pipeline, string, table, text, timestamptz } from "flow";
 *
 * const customerDim = table("analytics.customer_dim", {
 *   customer_id: bigint().primaryKey(),
 *   email: string(256).nullable().lower().trim(),
 *   name: text().nullable(),
 *   updated_at: timestamptz().parseTimestamp(),
 * });
 *
 * pipeline("sync_customers", {
 *   target: customerDim,
 *   schedule: "0 * * * *",
 *   mode: "scd2",
 *   compareColumns: ["email", "name"],
 *   eventTimestampColumn: "updated_at",
 *   source: "SELECT customer_id, email, name, updated_at FROM raw.customers",
 * });
 * ```
 */
export function pipeline<Column extends string>(
  name: string,
  options: PipelineOptions<Column>,
): DeclaredPipeline {
  addDefinition({
    kind: "pipeline",
    name: String(name),
    value: declaredValue(options),
    origin: callerOrigin(pipeline),
  });
  return Object.freeze({ name });
}

/** The plain data of a pipeline's options, as it stands in a definition. */
function declaredValue(options: object): Record<string, unknown> {
  const value: Record<string, unknown> = plainRecord(options);
  const { source, dependsOn } = options as {
    readonly source?: unknown;
    readonly dependsOn?: unknown;
  };
  const query = sealedContent(source);
  if (query !== undefined && typeof query["text"] === "string") {
    value["source"] = query["text"];
    const parameters = { ...asRecord(query["parameters"]), ...asRecord(value["parameters"]) };
    if (Object.keys(parameters).length > 0) value["parameters"] = parameters;
  }
  // As plain data a function would be a text, which would pass for a query.
  if (typeof source === "function") value["source"] = {};
  if (Array.isArray(dependsOn)) value["depends_on"] = dependsOn.map(nameOf);
  return value;
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function nameOf(upstream: unknown): unknown {
  return typeof upstream === "object" && upstream !== null && "name" in upstream
    ? upstream.name
    : upstream;
}
