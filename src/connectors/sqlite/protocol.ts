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
  /** Runs one statement; tells how many rows it changed. */
  | { readonly op: "change"; readonly sql: string; readonly params: readonly SqliteValue[] }
  /** The columns of a query, by preparing it. */
  | { readonly op: "columns"; readonly sql: string }
  /** Starts a query of one BLOB column, `line`, whose last row is empty; what {@link Lines} it gives is then asked for with `lines`. One at a time. */
  | { readonly op: "read"; readonly sql: string; readonly params: readonly SqliteValue[] }
  | { readonly op: "lines"; readonly maxBytes: number }
  | { readonly op: "end_read" }
  /** Takes the lock that a file of this path stands for, until the connection is closed. */
  | { readonly op: "lock"; readonly path: string }
  | { readonly op: "close" };

/** A row that SQLite refused: its number in the batch, and why. */
export interface RefusedLine {
  readonly row: number;
  readonly error: string;
}

/** Lines of a query under way, one after the other. */
export interface Lines {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly rows: number;
  /** Bytes of the longest one. */
  readonly longest: number;
  /** True when there are no more. */
  readonly done: boolean;
}

/** A column of a query. */
export interface QueryColumn {
  readonly name: string;
  /** As the table declares it; null for a computed column. */
  readonly declared: string | null;
}

/** What each call gives. */
export interface SqliteResults {
  readonly open: { readonly version: string };
  readonly run: null;
  readonly query: readonly Readonly<Record<string, SqliteValue>>[];
  readonly run_each: null;
  readonly insert: readonly RefusedLine[];
  readonly change: { readonly changes: number };
  readonly columns: readonly QueryColumn[];
  readonly read: null;
  readonly lines: Lines;
  readonly end_read: null;
  readonly lock: { readonly held: boolean };
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
