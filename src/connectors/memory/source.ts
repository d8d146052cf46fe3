import type { SourceBatch } from "../../core/batch.ts";
import { FlowError } from "../../core/error.ts";
import { partitionKey, type StoredOffset } from "../../core/offset.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { PayloadRows, Session } from "../../core/session.ts";
import {
  positionOffset,
  type Source,
  type SourceContext,
  type SourceTraits,
} from "../../core/source.ts";
import type { MemoryBroker, MemoryMessage } from "./broker.ts";

/** Longest wait between two signs of life while there is nothing to read. */
const IDLE_MS = 1000;

interface PartitionState {
  next: number;
  stored: string | null;
  /** Rises with every seek: what was read before does not count any more. */
  generation: number;
}

/** Reads a topic of a {@link MemoryBroker}; each of its partitions in order. Positions are row numbers. */
export class MemorySource implements Source {
  readonly sourceId: string;
  readonly traits: SourceTraits = { seekable: true, ends: true, storesPositions: true };
  readonly #broker: MemoryBroker;
  readonly #topic: string;
  readonly #partitions = new Map<string, PartitionState>();
  #context: SourceContext | undefined;
  #session: Session | undefined;

  constructor(sourceId: string, topic: string, broker: MemoryBroker) {
    this.sourceId = sourceId;
    this.#topic = topic;
    this.#broker = broker;
  }

  async open(context: SourceContext, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#broker.pass("source_open");
    this.#context = context;
    this.#session = await context.engine.connect();
    await this.#assign();
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceBatch | undefined> {
    const { untilEnd } = this.#opened();
    const ends = untilEnd
      ? new Map([...this.#log()].map(([partition, log]) => [partition, log.length]))
      : undefined;
    while (!signal.aborted && this.#session !== undefined) {
      await this.#broker.pass("read");
      await this.#assign();
      let found = false;
      for (const partition of [...this.#partitions.keys()].sort()) {
        const batch = await this.#batch(
          partition,
          ends?.get(partition) ?? (untilEnd ? 0 : Infinity),
        );
        if (batch === undefined) continue;
        found = true;
        yield batch;
        if (signal.aborted) return;
      }
      if (found) continue;
      if (untilEnd) return;
      if (!await this.#wait(signal)) yield undefined;
    }
  }

  async acknowledge(offsets: readonly StoredOffset[]): Promise<void> {
    await this.#broker.pass("acknowledge");
    const own = this.#acknowledged();
    for (const offset of offsets) own.set(partitionKey(offset), offset.position);
  }

  seek(offsets: readonly StoredOffset[]): Promise<void> {
    for (const { partition, position } of offsets) {
      const state = this.#partitions.get(partition);
      if (state === undefined) continue;
      state.next = Number(positionOffset(position));
      state.stored = position;
      state.generation += 1;
    }
    return Promise.resolve();
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  #opened(): SourceContext {
    if (this.#context !== undefined) return this.#context;
    throw new FlowError(`cannot read '${this.sourceId}': the source is not open`, {
      code: "source_not_open",
      domain: "internal",
    });
  }

  #log(): ReadonlyMap<string, readonly MemoryMessage[]> {
    return this.#broker.partitions(this.#topic);
  }

  #acknowledged(): Map<string, string> {
    const { pipeline } = this.#opened();
    let own = this.#broker.acknowledged.get(pipeline);
    if (own === undefined) this.#broker.acknowledged.set(pipeline, own = new Map());
    return own;
  }

  async #assign(): Promise<void> {
    const added = [...this.#log().keys()].filter((partition) => !this.#partitions.has(partition));
    if (added.length === 0) return;
    const refs = added.map((partition) => ({ sourceId: this.sourceId, partition }));
    const stored = await this.#opened().storedPositions(refs);
    for (const ref of refs) {
      const position = stored.find(({ partition }) => partition === ref.partition)?.position ??
        this.#acknowledged().get(partitionKey(ref)) ?? null;
      this.#partitions.set(ref.partition, {
        next: position === null ? 0 : Number(positionOffset(position)),
        stored: position,
        generation: 0,
      });
    }
  }

  async #batch(partition: string, end: number): Promise<SourceBatch | undefined> {
    const state = this.#partitions.get(partition);
    const session = this.#session;
    const log = this.#log().get(partition);
    if (state === undefined || session === undefined || log === undefined) return undefined;
    const { maxBatchRows, maxBatchBytes, engine } = this.#opened();
    const { generation, next: first } = state;
    const payloads: (Uint8Array | null)[] = [];
    let bytes = 0;
    for (let at = first; at < Math.min(log.length, end, first + maxBatchRows); at += 1) {
      const payload = bytesOf(log[at]?.payload ?? null);
      if (payloads.length > 0 && bytes + (payload?.length ?? 0) > maxBatchBytes) break;
      bytes += payload?.length ?? 0;
      payloads.push(payload);
    }
    if (payloads.length === 0) return undefined;
    const table = engine.newName("memory");
    const messages = log.slice(first, first + payloads.length);
    await engine.ingestPayloads(
      session,
      table,
      payloadRows(payloads, messages, Number(partition), first, bytes),
      "text",
    );
    if (generation !== state.generation) {
      await session.run(`DROP TABLE ${quoteIdentifier(table)}`);
      return await this.#batch(partition, end);
    }
    const to = String(first + payloads.length);
    const range = { sourceId: this.sourceId, partition, from: state.stored, to };
    state.next = Number(to);
    state.stored = to;
    return {
      sourceId: this.sourceId,
      table,
      encoding: "json",
      rows: payloads.length,
      bytes,
      ranges: [range],
      lagRows: log.length - state.next,
    };
  }

  /** True when something came within the idle time. */
  async #wait(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#opened();
    const timer = new AbortController();
    const slept = clock.sleep(IDLE_MS, AbortSignal.any([signal, timer.signal])).then(
      () => false,
      () => true,
    );
    const came = await Promise.race([this.#broker.produced().then(() => true), slept]);
    timer.abort();
    return came;
  }
}

function bytesOf(payload: MemoryMessage["payload"]): Uint8Array | null {
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
}

function payloadRows(
  payloads: readonly (Uint8Array | null)[],
  messages: readonly MemoryMessage[],
  partition: number,
  first: number,
  bytes: number,
): PayloadRows {
  const count = payloads.length;
  const payload = new Uint8Array(bytes + count);
  const starts = new Int32Array(count);
  const ends = new Int32Array(count);
  let at = 0;
  payloads.forEach((item, row) => {
    starts[row] = item === null ? -1 : at;
    if (item === null) return;
    payload.set(item, at);
    ends[row] = at + item.length;
    at += item.length + 1;
  });
  const keys = messages.map(({ key }) => key === undefined ? null : new TextEncoder().encode(key));
  const keyBytes = new Uint8Array(keys.reduce((sum, key) => sum + (key?.length ?? 0), 0));
  const keyStarts = new Int32Array(count);
  const keyEnds = new Int32Array(count);
  let keyAt = 0;
  keys.forEach((key, row) => {
    keyStarts[row] = key === null ? -1 : keyAt;
    if (key === null) return;
    keyBytes.set(key, keyAt);
    keyEnds[row] = keyAt += key.length;
  });
  return {
    count,
    payload,
    starts,
    ends,
    partitions: new Int32Array(count).fill(partition),
    offsets: BigInt64Array.from(messages, (_message, row) => BigInt(first + row)),
    eventTimesMicros: BigInt64Array.from(messages, (message) => message.eventTimeMicros ?? 0n),
    keys: { bytes: keyBytes, starts: keyStarts, ends: keyEnds },
    headers: messages.map(({ headers }) => headers === undefined ? null : JSON.stringify(headers)),
  };
}
