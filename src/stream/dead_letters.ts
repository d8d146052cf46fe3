import { type RejectedRows, ROW_COLUMN, type SourceBatch } from "../core/batch.ts";
import type { DeadLetter, DeadLetterStage } from "../core/dead_letter.ts";
import { FlowError } from "../core/error.ts";
import { isMetadataColumn, quoteIdentifier } from "../core/schema.ts";
import type { Engine, Session, SqlValue } from "../core/session.ts";
import type { OnError } from "../core/spec.ts";
import { jsonRow } from "../formats/json_text.ts";

/** Letters are made and handed over in pieces of this many rows. */
const PIECE_ROWS = 1000;

/** What is done with rows that a stage refused. */
export type RejectAction = "fail" | "drop" | "dead_letter";

/**
 * What happens to rows that `stage` refused. Rows that cannot be decoded or written go to the dead letters where there is a place for
 * them; a failing transform goes there only when `transform_on_error = "dlq"` says so, because there the statement may be what is wrong.
 */
export function rejectAction(
  stage: DeadLetterStage,
  onError: OnError | undefined,
  hasDeadLetters: boolean,
): RejectAction {
  if (onError === "drop") return "drop";
  if (!hasDeadLetters) return "fail";
  return stage === "transform" && onError !== "dlq" ? "fail" : "dead_letter";
}

/** Rows that were refused, with the batch they came from and the stage that refused them. */
export interface Refusal {
  readonly stage: DeadLetterStage;
  readonly rejected: RejectedRows;
  readonly source: SourceBatch;
  /** The source itself could not read the rows: the table of the refusal holds their payloads too ({@link UnreadableRows}). */
  readonly unreadable?: true;
}

/** What letters tell beside the row. */
export interface LetterContext {
  readonly pipeline: string;
  /** Which attempt failed, from 1. */
  readonly attempt: number;
  readonly failedAtMs: number;
}

/** The refused rows as dead letters, in pieces, in source order. */
export async function* deadLettersOf(
  engine: Engine,
  session: Session,
  refusal: Refusal,
  context: LetterContext,
): AsyncIterable<DeadLetter[]> {
  // Found and put in order once; the pieces are then ranges of this table.
  const table = quoteIdentifier(engine.newName("letters"));
  await session.run(`CREATE TABLE ${table} AS ${await letterQuery(session, refusal)}`);
  try {
    for (let from = 0;; from += PIECE_ROWS) {
      const rows = await session.rows<LetterRow>(
        `SELECT * FROM ${table} WHERE rowid >= ${from} AND rowid < ${from + PIECE_ROWS} ` +
          "ORDER BY rowid",
      );
      if (rows.length === 0) return;
      yield rows.map((row, at) => toLetter(row, from + at, refusal, context));
    }
  } finally {
    await session.run(`DROP TABLE ${table}`);
  }
}

/** The error that ends a run because of a refused row; names topic, partition and offset of the first one. */
export async function rejectionError(session: Session, refusal: Refusal): Promise<FlowError> {
  const rows = await session.rows<LetterRow>(`${await letterQuery(session, refusal)} LIMIT 1`);
  const row = rows[0];
  const first = row === undefined ? undefined : toLetter(row, 0, refusal, {
    pipeline: "",
    attempt: 1,
    failedAtMs: 0,
  });
  const place = first === undefined
    ? `a batch of '${refusal.source.sourceId}'`
    : `${
      typeof row?.partition === "string" ? "source" : "topic"
    } '${first.sourceId}' partition ${first.partition} offset ${first.offset}`;
  const others = refusal.rejected.count - 1;
  const more = others > 0 ? ` (and ${others} more ${others === 1 ? "row" : "rows"})` : "";
  return new FlowError(
    `cannot ${refusal.stage} the row at ${place}: ${first?.error ?? "unknown reason"}${more}`,
    {
      code: `row_${refusal.stage}_failed`,
      domain: "user",
      hint: refusal.stage === "transform"
        ? 'set transform_on_error = "dlq" with a dead_letter_topic, or "drop", or correct transform.sql'
        : 'set dead_letter_topic (or dead_letter_table, dead_letter_file) to keep such rows, or transform_on_error = "drop"',
      ...(first === undefined ? {} : {
        details: {
          topic: first.sourceId,
          partition: first.partition,
          offset: String(first.offset),
        },
      }),
    },
  );
}

interface LetterRow {
  readonly error: string;
  readonly payload: Uint8Array | null;
  readonly partition: SqlValue;
  readonly source_offset: bigint | null;
  readonly event_us: bigint | null;
  readonly key: string | null;
}

/** A query of {@link LetterRow}s in source order. */
async function letterQuery(
  session: Session,
  { rejected, source, unreadable }: Refusal,
): Promise<string> {
  const refused = quoteIdentifier(rejected.table);
  if (rejected.by === "row_json") {
    return `SELECT _error AS error, encode(_row_json) AS payload, NULL AS partition, NULL AS source_offset, ` +
      `NULL AS event_us, NULL AS key FROM ${refused}`;
  }
  const raw = quoteIdentifier(unreadable === undefined ? source.table : rejected.table);
  const holds = unreadable === undefined ? source.encoding : "json";
  const payload = {
    json: () => Promise.resolve("coalesce(s._undecodable, encode(s._payload))"),
    raw_bytes: () => Promise.resolve("s._payload"),
    columns: async () => `encode(${await rowText(session, raw)})`,
  }[holds];
  const key = holds === "columns" ? "NULL" : "s._key";
  return `SELECT r._error AS error, ${await payload()} AS payload, s._partition AS partition, ` +
    `s._offset AS source_offset, epoch_us(s._event_ts) AS event_us, ${key} AS key ` +
    `FROM ${refused} r JOIN ${raw} s USING (${ROW_COLUMN}) ORDER BY ${ROW_COLUMN}`;
}

/** The JSON text of a typed row: its own columns, without those that flow has put beside them. */
async function rowText(session: Session, table: string): Promise<string> {
  const columns = await session.describe(`SELECT * FROM ${table}`);
  return jsonRow(
    columns.filter(({ name }) => name !== ROW_COLUMN && !isMetadataColumn(name)),
    "s",
  );
}

function toLetter(
  row: LetterRow,
  index: number,
  { stage, rejected, source, unreadable }: Refusal,
  context: LetterContext,
): DeadLetter {
  const range = source.ranges[0];
  const partition = row.partition === null ? range?.partition ?? "" : String(row.partition);
  const offset = row.source_offset ?? BigInt((range?.from ?? "0").split(";")[0] ?? "0");
  const position = rejected.by === "row_json"
    ? `${offset}-${(range?.to ?? "").split(";")[0]}/${index}`
    : String(offset);
  return {
    id: `${source.sourceId}/${partition}/${position}`,
    pipeline: context.pipeline,
    stage,
    error: row.error,
    sourceId: source.sourceId,
    partition,
    offset,
    attempt: context.attempt,
    failedAtMs: context.failedAtMs,
    eventTimeMicros: row.event_us,
    payloadFormat: unreadable === undefined ? source.encoding : "raw_bytes",
    payload: row.payload,
    key: row.key,
  };
}
