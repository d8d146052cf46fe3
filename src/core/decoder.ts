import type { Batch, RejectedRows, SourceBatch } from "./batch.ts";
import type { Column } from "./schema.ts";
import type { Session } from "./session.ts";

/** What a decoder may know beforehand. */
export interface DecoderHints {
  /** Columns that the definition declares: always there, with this type. */
  readonly declared?: readonly Column[];
  /**
   * Types to aim at for fields of these names, from the target's columns (only without a transform). `VARCHAR` keeps text as it came.
   */
  readonly preferred?: readonly Column[];
  /** Infer TIMESTAMP WITH TIME ZONE for fields whose texts are ISO-8601 times with a zone. */
  readonly inferTimes: boolean;
}

/** The rows of a source batch as typed columns. */
export interface Decoded {
  /**
   * Usually one. Rows whose fields have other types than the current schema come as a further part with a schema of their own, so
   * that they do not change the types of all the others. Every table has the metadata columns and ROW_COLUMN too; `columns` lists the
   * user's columns only. The caller drops the tables.
   */
  readonly parts: readonly Batch[];
  /** Rows that are not decodable (not JSON, not an object, not UTF-8 …), with the reason. */
  readonly rejected?: RejectedRows;
  /** Set when the schema has grown or changed with this batch: what is new, in words. */
  readonly schemaChange?: string;
}

/**
 * Turns payloads into typed columns inside the engine. Keeps the schema that it has found so far, one per source: fields once seen stay, as
 * NULL where a row lacks them.
 */
export interface Decoder {
  /** Does not drop the batch's table. */
  decode(session: Session, batch: SourceBatch): Promise<Decoded>;
  /** The columns known so far. */
  readonly columns: readonly Column[];
}
