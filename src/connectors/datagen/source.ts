import { ROW_COLUMN, type SourceBatch } from "../../core/batch.ts";
import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import { type Column, quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import {
  positionOffset,
  type Source,
  type SourceContext,
  type SourceTraits,
} from "../../core/source.ts";
import { generateColumn, type GeneratedColumn } from "./column_sql.ts";
import type { DatagenOptions } from "./options.ts";

const PARTITION = "0";
/** Longest wait between two signs of life while no row is due. */
const IDLE_MS = 1000;

/**
 * Makes rows inside the engine: partition `0`, offsets from 0, the same row for the same seed and offset whenever it is read.
 * `_event_ts` is the first timestamp column, NULL without one.
 */
export class DatagenSource implements Source {
  readonly sourceId: string;
  readonly traits: SourceTraits;
  readonly declaredColumns: readonly Column[];
  readonly #columns: readonly GeneratedColumn[];
  readonly #options: DatagenOptions;
  #context: SourceContext | undefined;
  #session: Session | undefined;
  #next = 0n;
  #stored: string | null = null;
  /** Rises with every seek: what was made before does not count any more. */
  #generation = 0;
  #startedAt = 0;
  #startedFrom = 0n;

  constructor(sourceId: string, options: DatagenOptions) {
    this.sourceId = sourceId;
    this.#options = options;
    this.#columns = Object.entries(options.columns).map(([name, column]) =>
      generateColumn(name, column, options.seed)
    );
    this.declaredColumns = this.#columns.map(({ name, type }) => ({ name, type }));
    this.traits = { seekable: true, ends: options.rows !== undefined, storesPositions: false };
  }

  async open(context: SourceContext, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#context = context;
    this.#session = await context.engine.connect();
    const ref = { sourceId: this.sourceId, partition: PARTITION };
    const stored = (await context.storedPositions([ref])).find((offset) =>
      offset.partition === PARTITION
    );
    this.#moveTo(stored?.position ?? null);
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceBatch | undefined> {
    const { clock } = this.#opened();
    let idleSince = clock.monotonic();
    while (!signal.aborted && this.#session !== undefined) {
      const end = this.#end();
      if (end !== undefined && this.#next >= end) return;
      const batch = await this.#batch(this.#due());
      if (batch !== undefined) {
        yield batch;
        idleSince = clock.monotonic();
        continue;
      }
      try {
        await clock.sleep(this.#waitMs(), signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      if (this.#due() === 0 && clock.monotonic() - idleSince >= IDLE_MS) {
        idleSince = clock.monotonic();
        yield undefined;
      }
    }
  }

  /** Positions are kept by the targets. */
  acknowledge(): Promise<void> {
    return Promise.resolve();
  }

  seek(offsets: readonly StoredOffset[]): Promise<void> {
    const own = offsets.find((offset) => offset.partition === PARTITION);
    if (own !== undefined) this.#moveTo(own.position);
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

  #end(): bigint | undefined {
    return this.#options.rows === undefined ? undefined : BigInt(this.#options.rows);
  }

  #moveTo(position: string | null): void {
    this.#generation += 1;
    this.#stored = position;
    this.#next = position === null ? 0n : positionOffset(position);
    this.#startedAt = this.#opened().clock.monotonic();
    this.#startedFrom = this.#next;
  }

  /** How many rows may be made now: by the rate, the batch's bounds, and the end. */
  #due(): number {
    const { clock, maxBatchRows, maxBatchBytes } = this.#opened();
    const { rate } = this.#options;
    const fitting = Math.max(1, Math.floor(maxBatchBytes / this.#rowBytes()));
    const end = this.#end();
    const left = end === undefined ? Infinity : Number(end - this.#next);
    const bound = Math.min(maxBatchRows, fitting, left);
    if (rate === 0) return bound;
    const elapsedMs = clock.monotonic() - this.#startedAt;
    const allowed = Math.floor(elapsedMs * rate / 1000) - Number(this.#next - this.#startedFrom);
    return Math.max(0, Math.min(bound, allowed));
  }

  /** Until enough rows are due for a batch that is worth it, but no longer than a batch may wait. */
  #waitMs(): number {
    const { maxBatchWaitMs } = this.#opened();
    const oneRowMs = this.#options.rate === 0 ? 0 : 1000 / this.#options.rate;
    return Math.min(IDLE_MS, Math.max(1, oneRowMs, Math.min(maxBatchWaitMs, 100)));
  }

  #rowBytes(): number {
    return this.#columns.reduce((sum, { type }) => sum + (type === "VARCHAR" ? 32 : 8), 16);
  }

  async #batch(rows: number): Promise<SourceBatch | undefined> {
    const session = this.#session;
    if (rows === 0 || session === undefined) return undefined;
    const [generation, from] = [this.#generation, this.#next];
    const table = this.#opened().engine.newName("datagen");
    const columns = this.#columns.map(({ name, expression }) =>
      `${expression} AS ${quoteIdentifier(name)}`
    );
    const event = this.#columns.find(({ type }) => type.startsWith("TIMESTAMP"));
    await session.run(
      `CREATE TABLE ${quoteIdentifier(table)} AS SELECT ${columns.join(", ")}, ` +
        `'${PARTITION}' AS _partition, i AS _offset, ` +
        `${event?.expression ?? "NULL::TIMESTAMPTZ"} AS _event_ts, i - ${from} AS ${ROW_COLUMN} ` +
        `FROM range(${from}, ${from + BigInt(rows)}) r(i)`,
    );
    if (generation !== this.#generation) {
      await session.run(`DROP TABLE ${quoteIdentifier(table)}`);
      return undefined;
    }
    const to = String(from + BigInt(rows));
    const range = { sourceId: this.sourceId, partition: PARTITION, from: this.#stored, to };
    this.#next = BigInt(to);
    this.#stored = to;
    const end = this.#end();
    return {
      sourceId: this.sourceId,
      table,
      encoding: "columns",
      rows,
      bytes: rows * this.#rowBytes(),
      ranges: [range],
      ...(end === undefined ? {} : { lagRows: Number(end - this.#next) }),
    };
  }
}
