/** A value as it crosses to the Worker and back. */
export type SqliteValue = string | number | bigint | null | Uint8Array;

/** What the Worker is asked to do; one request at a time, each answered in its turn. */
export type SqliteCall =
  | {
    readonly op: "open";
    readonly path: string;
    readonly readOnly: boolean;
    readonly busyMs: number;
  }
  | { readonly op: "run"; readonly sql: string }
  | { readonly op: "query"; readonly sql: string; readonly params: readonly SqliteValue[] }
  /** Runs one statement once per entry of `params`. */
  | {
    readonly op: "run_each";
    readonly sql: string;
    readonly params: readonly (readonly SqliteValue[])[];
  }
  /**
   * Writes rows: `sql` takes the text of a JSON array of rows, each an array of texts and nulls on a line of its own, the row's number last.
   */
  | { readonly op: "insert"; readonly sql: string; readonly rows: Uint8Array<ArrayBuffer> }
  | { readonly op: "close" };

/** A row that SQLite refused: its number in the batch, and why. */
export interface RefusedLine {
  readonly row: number;
  readonly error: string;
}

/** What each call gives. */
export interface SqliteResults {
  readonly open: { readonly version: string };
  readonly run: null;
  readonly query: readonly Readonly<Record<string, SqliteValue>>[];
  readonly run_each: null;
  readonly insert: readonly RefusedLine[];
  readonly close: null;
}

/** An error inside the Worker, as plain data. */
export interface SqliteFailure {
  readonly name: string;
  readonly message: string;
  /** SQLite's extended result code, where it was given. */
  readonly code?: number;
  /** False when the failure has ended a transaction that was open. */
  readonly inTransaction: boolean;
}

/** The message to the Worker. */
export interface SqliteRequest {
  readonly id: number;
  readonly call: SqliteCall;
}

/** The message from the Worker. */
export type SqliteReply =
  | { readonly id: number; readonly ok: true; readonly result: SqliteResults[SqliteCall["op"]] }
  | { readonly id: number; readonly ok: false; readonly failure: SqliteFailure };
