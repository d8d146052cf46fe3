import type { Options, TableRef } from "./connector.ts";
import type { Column } from "./schema.ts";
import type { WriteMode } from "./sink.ts";

/** Where a definition stands, for messages. Line and column count from 1. */
export interface Origin {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/** What is asked of delivery. `auto` is exactly once wherever source and every target can, else at least once. */
export type Delivery = "auto" | "at_least_once" | "exactly_once";

/** What happens to rows that a stage cannot process. */
export type OnError = "fail" | "drop" | "dlq";

/** One validated source of a streaming pipeline. */
export interface SourceSpec {
  /** Unique within the pipeline: the query, with `#2` … appended where it repeats. */
  readonly sourceId: string;
  readonly kind: string;
  readonly query: string;
  /** Validated by the connector's entries; `${VAR}` filled in; secrets wrapped. */
  readonly options: Options;
  /** `[source.columns]`: declared fields and types of JSON payloads. */
  readonly columns?: readonly Column[];
}

/** One validated target of a streaming pipeline. */
export interface TargetSpec {
  readonly kind: string;
  readonly options: Options;
  readonly table?: TableRef;
  readonly mode: WriteMode;
  readonly keys: readonly string[];
  /** Create the table when it is missing. */
  readonly create: boolean;
}

/** Where dead letters go. */
export type DeadLetterSpec =
  | {
    readonly to: "topic";
    readonly topic: string;
    readonly kind: string;
    readonly options: Options;
  }
  /** A table of the first target, written in the rows' own transaction. */
  | { readonly to: "table"; readonly table: string }
  | { readonly to: "file"; readonly path: string };

/** A streaming pipeline as the user defined it: validated, complete with defaults, plain data but for secrets. */
export interface StreamingSpec {
  readonly name: string;
  readonly origin: Origin;
  readonly sources: readonly SourceSpec[];
  readonly targets: readonly TargetSpec[];
  readonly transformSql?: string;
  /** `undefined` when the user did not say: then bad rows of decode and write go to dead letters if there are any, transform errors fail. */
  readonly transformOnError?: OnError;
  readonly deadLetter?: DeadLetterSpec;
  readonly delivery: Delivery;
  /** Pause between two looks at a source that had nothing (ms). */
  readonly idlePauseMs: number;
  readonly maxBatchRows: number;
  readonly maxBatchBytes: number;
  readonly maxBatchWaitMs: number;
}
