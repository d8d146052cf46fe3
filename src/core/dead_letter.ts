/** The stage that refused a row. */
export type DeadLetterStage = "decode" | "transform" | "write";

/** One row that could not be processed, with all that is needed to find its cause and to send it again. */
export interface DeadLetter {
  /** Derived from the source position, so that a repeated dead letter has the same id: `orders/0/17`. */
  readonly id: string;
  readonly pipeline: string;
  readonly stage: DeadLetterStage;
  /** Why, in words, without credentials. */
  readonly error: string;
  /** For Kafka the topic. */
  readonly sourceId: string;
  readonly partition: string;
  readonly offset: bigint;
  /** Which attempt failed, from 1: one more than attempts in a row that ended without a commit. */
  readonly attempt: number;
  readonly failedAtMs: number;
  /** Event time of the row in microseconds since the epoch, where known. */
  readonly eventTimeMicros: bigint | null;
  /** `raw_bytes` also for what a source of typed columns could not read: a line of CSV, the path of a broken file. */
  readonly payloadFormat: "json" | "raw_bytes" | "columns";
  /** The payload as it came; for typed sources the row as JSON text. `null` for a message without value. */
  readonly payload: Uint8Array | null;
  readonly key: string | null;
}

/** A place for dead letters outside the target's transaction (a topic, a file): at least once. */
export interface DeadLetterSink {
  /** Where letters go, in words that only sources of the same kind read (`Source.reads`). */
  readonly place?: string;
  open(signal: AbortSignal): Promise<void>;
  /** Returns when the letters are durable. */
  write(letters: readonly DeadLetter[]): Promise<void>;
  close(): Promise<void>;
}
