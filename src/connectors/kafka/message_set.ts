import type { Buffer } from "node:buffer";
import type { PayloadBuilder } from "./payload_builder.ts";
import { headersJson, type RecordSet } from "./record_batch.ts";

/** A message of the old formats 0 and 1, as kafkajs decodes it. */
export interface OldMessage {
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Milliseconds since the epoch; format 0 has none. */
  readonly timestamp?: string;
  readonly headers?: Readonly<Record<string, HeaderValue | HeaderValue[]>>;
}

type HeaderValue = Buffer | string | null | undefined;

/** Rows from the message sets of brokers (or segments) older than Kafka 0.11, which kafkajs decodes: rare, so not fast. */
export class OldMessages implements RecordSet {
  position: number;
  readonly #messages: readonly OldMessage[];
  #next = 0;

  constructor(messages: readonly OldMessage[], from: number) {
    this.#messages = messages.filter(({ offset }) => Number(offset) >= from);
    // A set of which compaction left nothing at or above the asked offset must still let the reader move on.
    this.position = messages.length > 0 && this.#messages.length === 0 ? from + 1 : from;
  }

  append(builder: PayloadBuilder, partition: number): boolean {
    for (; this.#next < this.#messages.length; this.#next += 1) {
      const { offset, key, value, timestamp, headers } = this
        .#messages[this.#next] as OldMessage;
      const keyBytes = builder.wanted.keys ? key?.length ?? 0 : 0;
      if (!builder.fits((value?.length ?? 0) + keyBytes) || !builder.reserveRow()) return false;
      const row = builder.count;
      if (builder.wanted.keys) {
        if (key === null) builder.setKey(builder.payload, -1, -1);
        else builder.setKey(key, 0, key.length);
      }
      if (builder.wanted.headers) builder.headers.push(headersJson(headerTexts(headers)));
      if (value === null) {
        builder.starts[row] = -1;
        builder.ends[row] = -1;
      } else {
        builder.reservePayload(value.length + 1);
        builder.payload.set(value, builder.payloadEnd);
        builder.starts[row] = builder.payloadEnd;
        builder.ends[row] = builder.payloadEnd + value.length;
        builder.payloadEnd += value.length + 1;
        builder.bytes += value.length;
      }
      builder.setPosition(partition, Number(offset));
      const millis = Number(timestamp ?? 0);
      builder.setTime(millis === -1 ? 0 : millis);
      builder.count = row + 1;
      this.position = Number(offset) + 1;
    }
    return true;
  }
}

function headerTexts(headers: OldMessage["headers"]): Map<string, (string | null)[]> {
  const found = new Map<string, (string | null)[]>();
  for (const [name, value] of Object.entries(headers ?? {})) {
    const values = Array.isArray(value) ? value : [value];
    found.set(name, values.map((one) => one === null || one === undefined ? null : String(one)));
  }
  return found;
}
