import type { BatchRequest, BatchResult } from "./batch_request.ts";
import type { FlowErrorData } from "./error.ts";
import type { Observation } from "./observation.ts";

/**
 * A definition as a user's module makes it: plain data as the builder functions got it, in TOML's key spelling. Not validated yet.
 */
export interface RawDefinition {
  readonly kind: "streaming_pipeline" | "pipeline" | "connection";
  readonly name: string;
  /** The call's arguments as plain data, camelCase keys already turned into TOML's snake_case. */
  readonly value: Readonly<Record<string, unknown>>;
  /** Where the builder was called: the user's own file and line. */
  readonly origin: { readonly file: string; readonly line?: number; readonly column?: number };
}

/** Where the engine finds the definitions: a TOML file that it reads itself, a TOML text, or what a user's module defined. */
export type DefinitionInput =
  | { readonly from: "toml_file"; readonly path: string }
  | { readonly from: "toml_text"; readonly text: string; readonly name: string }
  | {
    readonly from: "module";
    readonly module: string;
    readonly definitions: readonly RawDefinition[];
  };

/** One thing that the engine isolate is asked to do. Plain data: it crosses isolates. */
export type EngineRequest =
  | BatchRequest
  | {
    readonly do: "consume";
    readonly input: DefinitionInput;
    /** Which streaming pipeline of a module; needed when it defines more than one. */
    readonly pipeline?: string;
    readonly untilEnd: boolean;
    /** Which attempt this is at what is not committed yet, for dead letters; 1 when left out. */
    readonly attempt?: number;
  }
  | { readonly do: "consume_list"; readonly input: DefinitionInput }
  | { readonly do: "connections_list"; readonly input?: DefinitionInput }
  | { readonly do: "connections_check"; readonly name: string; readonly input?: DefinitionInput }
  /** Runs a query over a local DuckDB file and returns a small table (the demo's last step). */
  | { readonly do: "query_file"; readonly path: string; readonly sql: string };

/** What a finished consume run tells. */
export interface ConsumeSummary {
  /** The pipeline's name. */
  readonly pipeline: string;
  /** Rows read from the sources, bad ones included. */
  readonly rowsConsumed: number;
  /** Rows in the first target. */
  readonly rowsWritten: number;
  /** Rows that went to the dead letters. */
  readonly rowsDeadLettered: number;
  /** Rows that `transform_on_error = "drop"` dropped. */
  readonly rowsDropped: number;
  /** Batches committed. */
  readonly batches: number;
  /** Milliseconds from the start of the run to its end. */
  readonly elapsedMs: number;
  /** `end`: the sources ended; `stopped`: somebody asked for it. */
  readonly reason: "end" | "stopped";
}

/** A row of `flow connections list`. `shown` is redacted. */
export interface ConnectionListing {
  readonly name: string;
  readonly kind: string;
  readonly shown: string;
  /** Where it was found: `EMATIX_FLOW_DSN_X`, a file, `module`. */
  readonly from: string;
}

/** A row of `flow consume-list`. */
export interface PipelineListing {
  readonly name: string;
  readonly sources: readonly string[];
  readonly targets: readonly string[];
}

/** The answer to an {@link EngineRequest}, by its `do`. */
export type EngineResult =
  | BatchResult
  | { readonly did: "consume"; readonly summary: ConsumeSummary }
  | { readonly did: "consume_list"; readonly pipelines: readonly PipelineListing[] }
  | { readonly did: "connections_list"; readonly connections: readonly ConnectionListing[] }
  | {
    readonly did: "connections_check";
    readonly name: string;
    readonly shown: string;
    readonly detail: string;
  }
  | {
    readonly did: "query_file";
    readonly columns: readonly string[];
    readonly rows: readonly (readonly string[])[];
  };

/** How a run is asked to stop: `drain` finishes and commits the batch, `now` drops everything under way. */
export type StopMode = "drain" | "now";

/** Messages to the engine isolate. */
export type ToEngine =
  | { readonly type: "start"; readonly request: EngineRequest; readonly scratchDir: string }
  | { readonly type: "stop"; readonly mode: StopMode }
  /** One `output` of the engine was written: it may send a further one. */
  | { readonly type: "output_taken" };

/** Messages from the engine isolate. */
export type FromEngine =
  | { readonly type: "observation"; readonly observation: Observation }
  | { readonly type: "result"; readonly result: EngineResult }
  | { readonly type: "error"; readonly error: FlowErrorData }
  /** Bytes for standard output, in order. */
  | { readonly type: "output"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** A failpoint was reached: the host kills the process, the isolate does nothing more. */
  | { readonly type: "failpoint" };

/** What `src/app.ts` offers to every host (the engine Worker, a script that imports flow, a test). */
export interface RunHooks {
  readonly observe: (observation: Observation) => void;
  /** Aborted to stop the run; `signal.reason` is the {@link StopMode}. Aborting `drain` first and `now` later is done with two signals. */
  readonly drain: AbortSignal;
  readonly now: AbortSignal;
  /** A directory that only this run uses. Made by the host, which also removes it. */
  readonly scratchDir: string;
  /**
   * Takes bytes for standard output (`flow sql`), in order; they must not be changed or used afterwards. Resolves when more is wanted, so that a
   * slow reader slows the run down instead of filling the memory. Without it there is no output.
   */
  readonly output?: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Kills the process for a fault test and does not return; given where the isolate cannot do that itself. */
  readonly stopDead?: () => void;
}
