import type { DeadLetter } from "../../core/dead_letter.ts";

/** A column of a dead-letter table and what a letter puts into it. */
export interface DeadLetterColumn {
  readonly name: string;
  readonly type: "text" | "integer" | "bigint" | "bytes";
  readonly nullable: boolean;
  value(letter: DeadLetter): string | number | bigint | Uint8Array | null;
}

const text = new TextEncoder();

/**
 * The columns that flow fills in a dead-letter table (`ematix_dlq_records`); `id` is the primary key. Tables have besides `status`
 * (text, `pending`) and `leased_until` (bigint) for whoever sends letters again. Times: `event_ts` in microseconds,
 * `failed_at` in milliseconds since the epoch. `offset_bytes` is JSON, `{"v":1,"partitions":{"0":17}}`.
 */
export const DEAD_LETTER_COLUMNS: readonly DeadLetterColumn[] = [
  { name: "id", type: "text", nullable: false, value: (letter) => letter.id },
  { name: "pipeline_name", type: "text", nullable: false, value: (letter) => letter.pipeline },
  { name: "stage", type: "text", nullable: false, value: (letter) => letter.stage },
  { name: "error", type: "text", nullable: false, value: (letter) => shown(letter.error) },
  { name: "source_id", type: "text", nullable: false, value: (letter) => letter.sourceId },
  { name: "partition", type: "text", nullable: false, value: (letter) => letter.partition },
  { name: "source_offset", type: "bigint", nullable: false, value: (letter) => letter.offset },
  { name: "offset_bytes", type: "bytes", nullable: true, value: (letter) => offsetBytes(letter) },
  { name: "event_ts", type: "bigint", nullable: true, value: (letter) => letter.eventTimeMicros },
  {
    name: "failed_at",
    type: "bigint",
    nullable: false,
    value: (letter) => BigInt(Math.trunc(letter.failedAtMs)),
  },
  { name: "attempt", type: "integer", nullable: false, value: (letter) => letter.attempt },
  { name: "payload_format", type: "text", nullable: false, value: (l) => l.payloadFormat },
  { name: "payload", type: "bytes", nullable: true, value: (letter) => letter.payload },
  {
    name: "message_key",
    type: "text",
    nullable: true,
    value: (letter) => letter.key === null ? null : shown(letter.key),
  },
];

/** One letter per id, the last: rows that a transform made from one message share its position. */
export function latestPerId(letters: readonly DeadLetter[]): DeadLetter[] {
  return [...new Map(letters.map((letter) => [letter.id, letter])).values()];
}

/** NUL, which some databases refuse in text, as its visible symbol. The payload keeps the bytes themselves. */
function shown(message: string): string {
  return message.replaceAll("\0", "\u2400");
}

function offsetBytes(letter: DeadLetter): Uint8Array {
  // Offsets beyond 2^53 stay exact: JSON.stringify would take them as numbers.
  return text.encode(`{"v":1,"partitions":{${JSON.stringify(letter.partition)}:${letter.offset}}}`);
}
