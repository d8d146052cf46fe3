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
      await this.#session.run(`DROP TABLE ${quoteIdentifier(batch.table)}`);
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
    const table = quoteIdentifier(batch.table);
    await this.#session.run(`DELETE FROM ${table} WHERE ${cuts.join(" OR ")}`);
    return { ...batch, ranges, rows: await this.#count(batch.table) };
  }

  async #split(batch: SourceBatch): Promise<SourceBatch[]> {
    const pieces: SourceBatch[] = [];
    for (const range of batch.ranges) {
      const ends = [...this.#ledger.boundaries(range).map(String), range.to];
      let from = range.from;
      for (const to of ends) {
        const table = this.#engine.newName("raw");
        const last = to === range.to;
        await this.#session.run(
          `CREATE TABLE ${quoteIdentifier(table)} AS SELECT * FROM ${
            quoteIdentifier(batch.table)
          } WHERE ${inPartition(range)}` +
            (from === null ? "" : ` AND _offset >= ${positionOffset(from)}`) +
            (last ? "" : ` AND _offset < ${to}`),
        );
        const rows = await this.#count(table);
        const bytes = Math.round(batch.bytes * rows / Math.max(1, batch.rows));
        pieces.push({ ...batch, table, rows, bytes, ranges: [{ ...range, from, to }] });
        from = to;
      }
    }
    await this.#session.run(`DROP TABLE ${quoteIdentifier(batch.table)}`);
    return pieces;
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
