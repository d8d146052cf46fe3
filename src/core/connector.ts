import * as v from "valibot";
import type { Database, DatabaseContext } from "./database.ts";
import type { DeadLetterSink } from "./dead_letter.ts";
import type { RunLog, RunLogContext, RunLogLocation } from "./run_log.ts";
import { Secret } from "./secret.ts";
import type { Sink, WriteMode } from "./sink.ts";
import type { Source } from "./source.ts";

/**
 * The keys that a connector takes, each with its valibot schema, in the spelling of TOML (snake_case). TypeScript definitions use the same
 * keys in camelCase. Give every key a `v.description(…)`: documentation and the JSON Schema are made from it.
 */
export type OptionEntries = v.ObjectEntries;

/** Values of validated options, by TOML key. A connector narrows them with the type that its own entries infer. */
export type Options = Readonly<Record<string, unknown>>;

/** A required or optional text that must never be shown: it becomes a {@link Secret} in the validated options. */
export function secretText(): v.GenericSchema<string, Secret> {
  return v.pipe(v.string(), v.transform((text) => new Secret(text)));
}

/** How a source is asked for: validated options, and the id it goes by within the pipeline. */
export interface SourceRequest {
  readonly sourceId: string;
  /** `source_query` or the `query` of `[[sources]]`: a topic, a glob, a table. */
  readonly query: string;
  readonly options: Options;
}

/** How a target is asked for. */
export interface SinkRequest {
  readonly options: Options;
  readonly table?: TableRef;
  readonly mode: WriteMode;
  /** Key columns of `mode = "merge"`; empty means the target table's primary key. */
  readonly keys: readonly string[];
  /** Create the table when it is missing. */
  readonly create: boolean;
}

/** `[target.table]`. */
export interface TableRef {
  readonly schema?: string;
  readonly name: string;
}

/** What `flow connections check` found: who answered, in a few words. */
export interface ConnectionCheck {
  readonly detail: string;
}

/**
 * One system that flow connects to: its name, the options it takes, and factories. Nothing else.
 * Options are split by use: `connection` keys may stand in `connections.toml` or in the typed connection; `source` and `target` keys
 * belong to one pipeline. In TOML's flat `[source]` and `[target]` blocks they stand side by side.
 */
export interface Connector {
  /** The `kind` in definitions. */
  readonly kind: string;
  readonly connectionOptions: OptionEntries;
  readonly sourceOptions?: OptionEntries;
  readonly targetOptions?: OptionEntries;
  /** True when a target needs `[target.table]`. */
  readonly targetNeedsTable?: boolean;
  /** URL schemes of a `dsn`/`url` that mean this connector (`postgres`, `postgresql`), for connections that give no `kind`. */
  readonly urlSchemes?: readonly string[];
  createSource?(request: SourceRequest): Source;
  createSink?(request: SinkRequest): Sink;
  /** Dead letters of a topic or file, with the connection's options: `destination` is the topic or path. */
  createDeadLetters?(options: Options, destination: string): DeadLetterSink;
  /** The database of declared pipelines; only where {@link DatabaseSession} can be had. Opens nothing yet. */
  openDatabase?(options: Options, context: DatabaseContext): Database;
  /** The history of runs kept in this system; only where it can be. Opens nothing yet. */
  openRunLog?(location: RunLogLocation, context: RunLogContext): RunLog;
  /** Connects as a source or sink would, and disconnects. Throws a {@link FlowError} when that fails. */
  check?(options: Options, signal: AbortSignal): Promise<ConnectionCheck>;
}
