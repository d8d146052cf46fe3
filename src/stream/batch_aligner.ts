import type { SourceBatch } from "../core/batch.ts";
import type { OffsetRange, StoredOffset } from "../core/offset.ts";
import { quoteIdentifier, quoteLiteral } from "../core/schema.ts";
import type { Engine, Session } from "../core/session.ts";
import { positionOffset } from "../core/source.ts";
import type { OffsetLedger } from "./offset_ledger.ts";

/** A batch after aligning. */
export interface Aligned {
  /** What is to be processed, in order; empty when all of it had been read before or none of it follows on the plan. */
  readonly pieces: SourceBatch[];
  /** Where the source has to go back to. */
  readonly seek: StoredOffset[];
}

/**
 * Fits batches onto the plan of the ledger. In the normal case it only looks at the ranges. Rows that were read before (a rebalance, a
 * fetch that was under way before a seek) are cut away; ranges that would leave a gap are dropped and sought again; and while several
 * targets stand at different positions, batches are cut where a target's position lies.
 */
export class BatchAligner {
  readonly #engine: Engine;
  readonly #session: Session;
  readonly #ledger: OffsetLedger;

  constructor(engine: Engine, session: Session, ledger: OffsetLedger) {
    this.#engine = engine;
    this.#session = session;
    this.#ledger = ledger;
  }

  /** Aligns the batch, plans what is left of it, and takes ownership of its table. */
  async align(batch: SourceBatch): Promise<Aligned> {
    const seek: StoredOffset[] = [];
    const kept: OffsetRange[] = [];
    const cuts: string[] = [];
    for (const range of batch.ranges) {
      const fit = this.#ledger.fit(range);
      if (fit.fit === "next") {
        kept.push(range);
        continue;
      }
      if (fit.fit === "overlaps") {
        kept.push({ ...range, from: String(fit.keepFrom) });
        cuts.push(`(${inPartition(range)} AND _offset < ${fit.keepFrom})`);
        continue;
      }
      cuts.push(inPartition(range));
      if (fit.fit === "gap") {
        seek.push({
          sourceId: range.sourceId,
          partition: range.partition,
          position: fit.seekTo,
        });
      }
    }
    const aligned = cuts.length === 0 ? batch : await this.#cut(batch, kept, cuts);
    if (kept.length === 0) {
      await this.#drop(batch);
      return { pieces: [], seek };
    }
    const pieces = this.#ledger.targetsDiffer(kept) ? await this.#split(aligned) : [aligned];
    this.#ledger.plan(kept);
    return { pieces, seek };
  }

  async #cut(
    batch: SourceBatch,
    ranges: readonly OffsetRange[],
    cuts: readonly string[],
  ): Promise<SourceBatch> {
    const where = cuts.join(" OR ");
    for (const table of tablesOf(batch)) {
      await this.#session.run(`DELETE FROM ${quoteIdentifier(table)} WHERE ${where}`);
    }
    return { ...batch, ranges, ...await this.#sizes(batch, batch) };
  }

  async #split(batch: SourceBatch): Promise<SourceBatch[]> {
    const pieces: SourceBatch[] = [];
    for (const range of batch.ranges) {
      const ends = [...this.#ledger.boundaries(range).map(String), range.to];
      let from = range.from;
      for (const to of ends) {
        const where = inPartition(range) +
          (from === null ? "" : ` AND _offset >= ${positionOffset(from)}`) +
          (to === range.to ? "" : ` AND _offset < ${to}`);
        const piece: SourceBatch = {
          ...batch,
          table: await this.#part(batch.table, where),
          ranges: [{ ...range, from, to }],
          ...(batch.unreadable === undefined ? {} : {
            unreadable: { count: 0, table: await this.#part(batch.unreadable.table, where) },
          }),
        };
        pieces.push({ ...piece, ...await this.#sizes(piece, batch) });
        from = to;
      }
    }
    await this.#drop(batch);
    return pieces;
  }

  async #part(table: string, where: string): Promise<string> {
    const part = this.#engine.newName("raw");
    await this.#session.run(
      `CREATE TABLE ${quoteIdentifier(part)} AS SELECT * FROM ${
        quoteIdentifier(table)
      } WHERE ${where}`,
    );
    return part;
  }

  /** Counts what is left of `whole` in `part`. */
  async #sizes(
    part: SourceBatch,
    whole: SourceBatch,
  ): Promise<Pick<SourceBatch, "rows" | "bytes" | "unreadable">> {
    const rows = await this.#count(part.table);
    const bytes = Math.round(whole.bytes * rows / Math.max(1, whole.rows));
    if (part.unreadable === undefined) return { rows, bytes };
    const { table } = part.unreadable;
    return { rows, bytes, unreadable: { table, count: await this.#count(table) } };
  }

  async #drop(batch: SourceBatch): Promise<void> {
    for (const table of tablesOf(batch)) {
      await this.#session.run(`DROP TABLE ${quoteIdentifier(table)}`);
    }
  }

  async #count(table: string): Promise<number> {
    const rows = await this.#session.rows<{ n: bigint }>(
      `SELECT count(*) AS n FROM ${quoteIdentifier(table)}`,
    );
    return Number(rows[0]?.n ?? 0n);
  }
}

function inPartition(range: OffsetRange): string {
  return `_partition::VARCHAR = ${quoteLiteral(range.partition)}`;
}

function tablesOf(batch: SourceBatch): string[] {
  return batch.unreadable === undefined ? [batch.table] : [batch.table, batch.unreadable.table];
}
