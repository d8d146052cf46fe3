import { FlowError } from "../core/error.ts";
import type { Origin } from "../core/spec.ts";
import { callerOrigin } from "./caller_origin.ts";
import { camelName } from "./key_names.ts";
import type {
  AnySourceOptions,
  AnyTargetOptions,
  ConnectionArguments,
  Kind,
  SourceOptionsOf,
  TargetOptionsOf,
} from "./option_types.ts";
import { LoadTarget, type LoadTargetOptions } from "./load_options.ts";
import type { TableDefinition } from "./table_builder.ts";
import { plainData, plainRecord, Sealed, sealedContent } from "./plain_data.ts";
import { addDefinition } from "./registry.ts";

/** A typed connection, made by `kafka({…})`, `postgres({…})` and so on. Shows no option's value, whichever way it is printed. */
export class Connection<K extends string = string> extends Sealed {
  /** Which connector it is for. */
  readonly kind: K;
  /** The name by which definitions may refer to it. */
  readonly name: string | undefined;

  /** Made by the builders only. */
  constructor(
    kind: K,
    name: string | undefined,
    options: Readonly<Record<string, unknown>>,
    origin: Origin,
  ) {
    const keys = Object.keys(options).map(camelName);
    const label = `${kind} connection${name === undefined ? "" : ` '${name}'`}`;
    super(
      keys.length === 0 ? label : `${label} (${keys.join(", ")} set)`,
      { kind, ...(name === undefined ? {} : { name }), options, origin: { ...origin } },
    );
    this.kind = kind;
    this.name = name;
  }
}

/** One source of several, made by {@link source}. */
export class SourceDefinition extends Sealed {}

/** One target of several, made by {@link target}. */
export class TargetDefinition extends Sealed {}

/** A connection: a typed one, or the name of one that is configured elsewhere. */
export type ConnectionInput = Connection<Kind> | string;

/** A table to write: `"public.events"`, `["public", "events"]` or `{ schema, name }`. */
export type TableInput =
  | string
  | readonly [schema: string, name: string]
  | { readonly schema?: string; readonly name: string };

/** How rows are written to a target. */
export interface WriteOptions {
  /** `append` (default) adds rows; `merge` inserts or updates them by {@link keys}. */
  readonly mode?: "append" | "merge";
  /** Columns that tell rows apart under `merge`; default: the table's primary key. */
  readonly keys?: readonly string[];
  /** Create the table when it is missing; default true. */
  readonly create?: boolean;
}

interface SourceBase {
  /** What to read: a topic, a glob, a table. */
  readonly query?: string;
  /** Declared columns of JSON payloads: `{ user_id: "BIGINT" }`. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Kafka topic for rows that cannot be processed. */
  readonly deadLetterTopic?: string;
}

interface TargetBase extends WriteOptions {
  readonly table?: TableInput;
}

/** Arguments of {@link source}: the connection, what to read, and the options of its kind. */
export type SourceArguments<K extends Kind> =
  & { readonly connection: Connection<K> }
  & Omit<SourceBase, keyof SourceOptionsOf<K>>
  & SourceOptionsOf<K>;

/** Arguments of {@link source} for a connection that is given by name. */
export type NamedSourceArguments = { readonly connection: string } & SourceBase & AnySourceOptions;

/** Arguments of {@link target}: the connection, the table, and the options of its kind. */
export type TargetArguments<K extends Kind> =
  & { readonly connection: Connection<K> }
  & TargetBase
  & TargetOptionsOf<K>;

/** Arguments of {@link target} for a connection that is given by name. */
export type NamedTargetArguments = { readonly connection: string } & TargetBase & AnyTargetOptions;

/** What happens to rows that a stage cannot process. */
export type OnErrorInput = "fail" | "drop" | "dlq";

interface PipelineCommon {
  /** SQL over the relation `source`, between sources and targets. */
  readonly transformSql?: string;
  /** `fail` (default), `drop` or `dlq`. */
  readonly transformOnError?: OnErrorInput;
  /** Kafka topic for rows that cannot be processed. */
  readonly deadLetterTopic?: string;
  /** Table of the first target for rows that cannot be processed. */
  readonly deadLetterTable?: string;
  /** File for rows that cannot be processed. */
  readonly deadLetterFile?: string;
  /** `auto` (default): exactly once wherever source and every target can. */
  readonly delivery?: "auto" | "at_least_once" | "exactly_once";
  /** Pause between two looks at a source that had nothing (ms); default 500. */
  readonly idlePauseMs?: number;
  /** Most rows in one batch; default 100,000. */
  readonly maxBatchRows?: number;
  /** Most payload bytes in one batch; default 6 MiB. */
  readonly maxBatchBytes?: number;
  /** A batch that is not full is handed on after this time (ms); default 1000. */
  readonly maxBatchWaitMs?: number;
}

type OneSource = {
  readonly source: ConnectionInput | SourceDefinition;
  /** What to read from the source: a topic, a glob, a table. */
  readonly sourceQuery?: string;
  readonly sources?: never;
};

type SeveralSources = {
  readonly sources: readonly SourceDefinition[];
  readonly source?: never;
  readonly sourceQuery?: never;
};

type OneTarget = WriteOptions & {
  readonly target: ConnectionInput | TargetDefinition;
  readonly targetTable?: TableInput;
  readonly targets?: never;
};

type SeveralTargets = {
  readonly targets: readonly TargetDefinition[];
  readonly target?: never;
  readonly targetTable?: never;
  readonly mode?: never;
  readonly keys?: never;
  readonly create?: never;
};

/** What {@link streamingPipeline} takes: one source or several, one target or several, and what happens in between. */
export type StreamingPipelineOptions =
  & PipelineCommon
  & (OneSource | SeveralSources)
  & (OneTarget | SeveralTargets);

/** A defined pipeline. Defining it registered it already; `flow consume --module M NAME` finds it by its name. */
export interface StreamingPipeline {
  /** What `flow consume --module M NAME` takes. */
  readonly name: string;
}

/**
 * Defines a streaming pipeline and registers it. Nothing runs yet: `flow consume --module M NAME` runs it. Mistakes that types cannot
 * see are told then, with the line of this call.
 *
 * @example
 * ```ts
 * import { kafka, postgres, streamingPipeline } from "flow";
 *
 * streamingPipeline("events-to-pg", {
 *   source: kafka({ name: "src", bootstrapServers: "localhost:9092", groupId: "flow" }),
 *   sourceQuery: "events",
 *   target: postgres({ name: "warehouse", url: "postgres://localhost/mydb" }),
 *   targetTable: "public.events",
 * });
 * ```
 */
export function streamingPipeline(
  name: string,
  options: StreamingPipelineOptions,
): StreamingPipeline {
  addDefinition({
    kind: "streaming_pipeline",
    name: String(name),
    value: pipelineValue(options),
    origin: callerOrigin(streamingPipeline),
  });
  return Object.freeze({ name });
}

/** The plain data of a pipeline's options, as it stands in a definition. */
export function pipelineValue(options: object): Record<string, unknown> {
  const value: Record<string, unknown> = plainRecord(options);
  for (const [key, item] of Object.entries(options)) {
    if (key === "source" || key === "target") value[key] = blockValue(item);
    if ((key === "sources" || key === "targets") && Array.isArray(item)) {
      value[key] = item.map(blockValue);
    }
  }
  return value;
}

/** A source or target in the form of TOML's block. */
function blockValue(value: unknown): unknown {
  if (typeof value === "string" || value instanceof Connection) {
    return { connection: plainData(value) };
  }
  const content = sealedContent(value);
  // A connection that another copy of this module made.
  return content !== undefined && "origin" in content ? { connection: content } : plainData(value);
}

/**
 * One source of several, or one with options of its own.
 *
 * @example
 * ```ts
 * import { kafka, source } from "flow";
 *
 * const broker = kafka({ bootstrapServers: "localhost:9092" });
 * const orders = source({ connection: broker, query: "orders" });
 * ```
 */
export function source<K extends Kind>(options: SourceArguments<K>): SourceDefinition;
/** The same with a connection that is referred to by its name. */
export function source(options: NamedSourceArguments): SourceDefinition;
export function source(options: object): SourceDefinition {
  return new SourceDefinition(
    `source (${Object.keys(options).join(", ")} set)`,
    plainRecord(options),
  );
}

/**
 * One target of several, or one with options of its own.
 *
 * @example
 * ```ts
 * import { postgres, target } from "flow";
 *
 * const warehouse = postgres({ url: "postgres://localhost/wh" });
 * const events = target({ connection: warehouse, table: "public.events", mode: "merge", keys: ["id"] });
 * ```
 */
export function target<K extends Kind>(options: TargetArguments<K>): TargetDefinition;
/** The same with a connection that is referred to by its name. */
export function target(options: NamedTargetArguments): TargetDefinition;
/**
 * One of several targets of a declared pipeline: the table, how rows are brought into it, and where it is.
 *
 * @example
 * ```ts
 * import { bigint, pipeline, table, target } from "flow";
 *
 * const events = table("public.events", { event_id: bigint().primaryKey() });
 * pipeline("fan_out", {
 *   source: "SELECT * FROM raw.events",
 *   sourceConnection: "raw_db",
 *   targets: [
 *     target(events, { mode: "append", connection: "warehouse" }),
 *     target(events, { mode: "merge", connection: "archive" }),
 *   ],
 * });
 * ```
 */
export function target<Column extends string>(
  table: TableDefinition<Column>,
  options?: LoadTargetOptions<NoInfer<Column>>,
): LoadTarget;
export function target(first: object, second: object = {}): TargetDefinition | LoadTarget {
  // Only a table is sealed: the options of a streaming target are an object of the caller's.
  if (sealedContent(first) === undefined) return streamingTarget(first);
  const options = { table: first, ...second };
  return new LoadTarget(`target (${Object.keys(options).join(", ")} set)`, plainRecord(options));
}

function streamingTarget(options: object): TargetDefinition {
  return new TargetDefinition(
    `target (${Object.keys(options).join(", ")} set)`,
    plainRecord(options),
  );
}

/** A function that makes connections of one kind. */
export type ConnectionBuilder<K extends Kind> = (
  options: ConnectionArguments<K>,
) => Connection<K>;

/** Makes the builder of one kind: it registers connections that have a name. */
export function connectionBuilder<K extends Kind>(kind: K): ConnectionBuilder<K> {
  const build = (options: ConnectionArguments<K>): Connection<K> => {
    const { name, ...rest } = options as { readonly name?: unknown };
    const origin = callerOrigin(build);
    const given = typeof name === "string" && name !== "" ? name : undefined;
    const connection = new Connection(kind, given, plainRecord(rest), origin);
    if (given !== undefined) register(connection, given);
    return connection;
  };
  return build;
}

/**
 * Makes a connection known by its name, so that pipelines (of this and of other modules) can refer to it as a text. Connections that have a
 * name are registered as soon as they are made; calling this again changes nothing, and says so in the code.
 *
 * A connection of that name in the environment, `./.ematix-flow.toml` or `~/.ematix-flow/connections.toml` goes before it.
 *
 * @example
 * ```ts
 * import { kafka, registerConnection } from "flow";
 *
 * registerConnection(kafka({ name: "src", bootstrapServers: "localhost:9092" }));
 * ```
 */
export function registerConnection<K extends string>(connection: Connection<K>): Connection<K> {
  if (!(connection instanceof Connection) || connection.name === undefined) {
    throw new FlowError("registerConnection() needs a connection that has a name", {
      code: "connection_unnamed",
      domain: "user",
      hint: 'give it one: kafka({ name: "src", … })',
    });
  }
  return connection;
}

function register(connection: Connection, name: string): void {
  const { kind, options, origin } = sealedContent(connection) ?? {};
  addDefinition({
    kind: "connection",
    name,
    value: { ...(options as Record<string, unknown>), kind },
    origin: origin as Origin,
  });
}
