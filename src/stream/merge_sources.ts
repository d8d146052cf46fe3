import type { SourceBatch } from "../core/batch.ts";
import type { Source } from "../core/source.ts";

/** What one of the sources gave: a batch, or nothing for now. */
export interface SourceEvent {
  readonly source: Source;
  readonly batch: SourceBatch | undefined;
}

/**
 * Reads all sources side by side and gives what comes first. Each source reads one batch ahead of the consumer, whose pace thus holds all of
 * them. Ends when all have ended; a source that fails ends it with its error.
 */
export async function* mergeSources(
  sources: readonly Source[],
  signal: AbortSignal,
): AsyncIterable<SourceEvent> {
  const readers = sources.map((source) => ({
    source,
    iterator: source.read(signal)[Symbol.asyncIterator](),
  }));
  type Reader = typeof readers[number];
  interface Answer {
    readonly reader: Reader;
    readonly result: IteratorResult<SourceBatch | undefined>;
  }
  const pending = new Map<Reader, Promise<Answer>>();
  const ask = (reader: Reader) => {
    const answer = reader.iterator.next().then((result) => ({ reader, result }));
    // Without a handler a failure that comes while another source is served would count as unhandled.
    answer.catch(() => {});
    pending.set(reader, answer);
  };
  readers.forEach(ask);
  try {
    while (pending.size > 0) {
      const { reader, result } = await Promise.race(pending.values());
      // A Map keeps insertion order and `race` prefers the first of several settled promises: whoever was served goes to the end.
      pending.delete(reader);
      if (result.done) continue;
      // Asked before the batch is handed on: the next one is read while this one is decoded.
      ask(reader);
      yield { source: reader.source, batch: result.value };
    }
  } finally {
    await Promise.allSettled(readers.map((reader) => reader.iterator.return?.()));
  }
}
