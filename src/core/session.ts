import type { Column } from "./schema.ts";

/** A value that a query returns or takes as a parameter. Used for small results only, never for data rows. */
export type SqlValue = string | number | bigint | boolean | null | Uint8Array;

/**
 * One connection to the engine's in-memory database. All sessions of an {@link Engine} see the same tables, and each runs
 * its statements one after the other on a thread of its own: one session per stage lets the stages overlap.
 * Tables are named by {@link Engine.newName} and dropped by whoever owns the batch.
 */
export interface Session {
  /** Runs one or more statements, returns nothing. `params` bind to `$1`, `$2` … and need a single statement. */
  run(sql: string, params?: readonly SqlValue[]): Promise<void>;
  /** Runs a query with a small result: objects by column name; BIGINT comes as bigint, times as text. */
  rows<Row = Record<string, SqlValue>>(sql: string, params?: readonly SqlValue[]): Promise<Row[]>;
  /** The columns that a query would have, without running it. A query that does not bind throws `sql_invalid` (user). */
  describe(query: string): Promise<Column[]>;
  /**
   * The results of the queries, one after the other, as text in order, in byte pieces of about a megabyte, rendered by the engine.
   * Pieces do not end at line ends. While the text of one query is taken, the next one's is rendered. The bytes of a piece are valid until the next one is asked for.
   * `ndjson`: the query gives one VARCHAR column of JSON texts (see `jsonRow`), which become the lines.
   * `csv`: no header unless asked, NULL is empty and unquoted, an empty text is `""`, quotes are doubled, lines end in \n.
   */
  exportText(
    queries: string | readonly string[],
    format: "csv" | "ndjson",
    options?: { readonly header?: boolean; readonly delimiter?: string },
  ): AsyncIterable<Uint8Array>;
  /** Writes the result of `query` as a Parquet file into the engine's scratch directory; the caller removes the file. */
  exportParquet(
    query: string,
    compression: "uncompressed" | "snappy" | "gzip" | "zstd",
  ): Promise<string>;
  /** Stops the running statement, if there is one; it rejects. */
  interrupt(): void;
  close(): Promise<void>;
}

/**
 * Raw payloads with their metadata, as a source hands them to the engine: one entry per row in every array.
 * `payload` holds the payloads in order; row i is `payload.subarray(starts[i], ends[i])`; a row with `starts[i] === -1` has no payload
 * (NULL; a Kafka tombstone). Leave a gap of exactly one byte between a payload and the next: the engine then takes all of
 * them at once without copying (it writes a separator into the gaps).
 */
export interface PayloadRows {
  readonly count: number;
  readonly payload: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Kafka partition numbers; with `partitionNames`, indexes into it. */
  readonly partitions: Int32Array;
  /** Makes `_partition` a VARCHAR with these names (files). */
  readonly partitionNames?: readonly string[];
  readonly offsets: BigInt64Array;
  /** Microseconds since the epoch; absent when the rows have no time of their own (`_event_ts` is NULL then). */
  readonly eventTimesMicros?: BigInt64Array;
  /** Message keys; absent when nobody asked for them. Same layout as the payloads. */
  readonly keys?: {
    readonly bytes: Uint8Array;
    readonly starts: Int32Array;
    readonly ends: Int32Array;
  };
  /** Headers as JSON object text per row (null: none); absent when nobody asked for them. */
  readonly headers?: readonly (string | null)[];
}

/** The embedded SQL engine: one in-memory database per run, locked against the file system and the network. */
export interface Engine {
  /** A directory that only this run uses; files in it vanish with {@link close}. */
  readonly scratchDir: string;
  /** A new session; the caller closes it. */
  connect(): Promise<Session>;
  /** A table name that is not in use, such as `raw_17`. */
  newName(prefix: string): string;
  /**
   * Makes the table `name` from raw payloads: `_payload` (VARCHAR for `text`, BLOB for `bytes`), `_partition` INTEGER,
   * `_offset` BIGINT, `_event_ts` TIMESTAMPTZ, `_key` VARCHAR, `_headers` VARCHAR (JSON), ROW_COLUMN BIGINT (0, 1, 2 … in the
   * order given). With `text`, a payload that is not UTF-8 becomes NULL in `_payload` and its bytes stand in
   * `_undecodable` BLOB (NULL for every other row).
   */
  ingestPayloads(
    session: Session,
    name: string,
    rows: PayloadRows,
    as: "text" | "bytes",
  ): Promise<void>;
  close(): Promise<void>;
}
