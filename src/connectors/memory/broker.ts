import type { DeadLetter } from "../../core/dead_letter.ts";
import { FlowError } from "../../core/error.ts";
import type { Position } from "../../core/offset.ts";
import type { TargetColumn } from "../../core/schema.ts";

/** One row of a topic. */
export interface MemoryMessage {
  /** JSON text, or any bytes; `null` for a message without value. */
  readonly payload: string | Uint8Array | null;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly eventTimeMicros?: bigint;
}

/** A table of a memory target: per row the JSON text of each column, `null` for NULL. */
export interface MemoryTable {
  readonly columns: TargetColumn[];
  readonly keys: readonly string[];
  rows: (string | null)[][];
}

/** Steps at which a broker can be told to fail. `committed` fails after the rows are in: the caller does not know. */
export type MemoryStep =
  | "source_open"
  | "read"
  | "acknowledge"
  | "sink_open"
  | "begin"
  | "write"
  | "commit"
  | "committed";

interface PlannedFailure {
  passages: number;
  readonly error: FlowError;
}

/**
 * Topics, tables and offsets in this process, by name. It is what the memory connector connects to, and a test's way to put rows in, look
 * at what came out, and make steps fail.
 */
export class MemoryBroker {
  /** What `broker = "…"` in a definition names. */
  readonly name: string;
  readonly #topics = new Map<string, Map<string, MemoryMessage[]>>();
  /** Tables of memory targets, by name. */
  readonly tables = new Map<string, MemoryTable>();
  /** Positions kept by targets, by pipeline and partition key. */
  readonly offsets = new Map<string, Map<string, Position>>();
  /** Positions that sources acknowledged, by pipeline and partition key. */
  readonly acknowledged = new Map<string, Map<string, Position>>();
  /** Dead letters by table and id. */
  readonly deadLetters = new Map<string, Map<string, DeadLetter>>();
  readonly #failures = new Map<MemoryStep, PlannedFailure>();
  #waiting: (() => void)[] = [];

  /** Use {@link memoryBroker}: a broker is found by its name. */
  constructor(name: string) {
    this.name = name;
  }

  /**
   * Appends messages to a partition (a number as text, "0" by default) and wakes whoever waits for them. A message without an event time
   * gets the present one, as brokers do.
   */
  produce(
    topic: string,
    messages: readonly (MemoryMessage | string)[],
    partition = "0",
  ): void {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) this.#topics.set(topic, partitions = new Map());
    const log = partitions.get(partition) ?? [];
    const eventTimeMicros = BigInt(Date.now()) * 1000n;
    for (const message of messages) {
      log.push({
        eventTimeMicros,
        ...(typeof message === "string" ? { payload: message } : message),
      });
    }
    partitions.set(partition, log);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Messages of a topic by partition. */
  partitions(topic: string): ReadonlyMap<string, readonly MemoryMessage[]> {
    return this.#topics.get(topic) ?? new Map();
  }

  /** Settles with the next message that anybody produces. */
  produced(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The rows of a table as JSON texts by column. */
  rows(table: string): Record<string, string | null>[] {
    const found = this.tables.get(table);
    if (found === undefined) return [];
    return found.rows.map((row) =>
      Object.fromEntries(found.columns.map(({ name }, at) => [name, row[at] ?? null]))
    );
  }

  /** Makes the n-th next passage of a step fail once. */
  failAt(step: MemoryStep, passage = 1, error?: FlowError): void {
    this.#failures.set(step, {
      passages: passage,
      error: error ?? new FlowError(`the memory broker was told to fail at ${step}`, {
        code: "memory_failure",
        domain: "external",
        retryable: true,
      }),
    });
  }

  /** Passes a step; rejects where it was told to fail. */
  pass(step: MemoryStep): Promise<void> {
    const failure = this.#failures.get(step);
    if (failure === undefined) return Promise.resolve();
    failure.passages -= 1;
    if (failure.passages > 0) return Promise.resolve();
    this.#failures.delete(step);
    return Promise.reject(failure.error);
  }
}

const brokers = new Map<string, MemoryBroker>();

/** The broker of that name, made at the first call. */
export function memoryBroker(name: string): MemoryBroker {
  let broker = brokers.get(name);
  if (broker === undefined) brokers.set(name, broker = new MemoryBroker(name));
  return broker;
}

/** Forgets a broker and all it holds. */
export function removeMemoryBroker(name: string): void {
  brokers.delete(name);
}
