import type { SourceBatch } from "../core/batch.ts";
import { describeError } from "../core/error.ts";
import { failpoint } from "../core/failpoint.ts";
import type { Observe } from "../core/observation.ts";
import type { StreamPlan } from "../plan/plan.ts";
import type { OffsetLedger } from "./offset_ledger.ts";
import type { OffsetStore } from "./offset_store.ts";

/** What telling the sources needs from the run. */
export interface AcknowledgeContext {
  readonly observe: Observe;
  readonly offsetStore: OffsetStore;
}

/** Tells the offset store and the source of a batch, in this order, that its rows are durable in every target. */
export class Acknowledger {
  readonly #plan: StreamPlan;
  readonly #context: AcknowledgeContext;
  /** Set when the offset store keeps the positions: its only target is the store. */
  readonly #storeLedger: OffsetLedger | undefined;
  readonly #targetsKeepPositions: boolean;
  #isFailing = false;

  constructor(
    plan: StreamPlan,
    context: AcknowledgeContext,
    positions: {
      readonly ledger: OffsetLedger | undefined;
      readonly targetsKeepPositions: boolean;
    },
  ) {
    this.#plan = plan;
    this.#context = context;
    this.#storeLedger = positions.ledger;
    this.#targetsKeepPositions = positions.targetsKeepPositions;
  }

  /** Throws what the store or the source throws, but for a source whose positions do not count since the targets keep them. */
  async acknowledge({ sourceId, ranges }: SourceBatch): Promise<void> {
    failpoint("before_acknowledge");
    if (this.#storeLedger !== undefined) {
      await this.#context.offsetStore.save(ranges);
      this.#storeLedger.committed(0, ranges);
    }
    const planned = this.#plan.sources.find(({ source }) => source.sourceId === sourceId);
    try {
      await planned?.source.acknowledge(
        ranges.map(({ partition, to }) => ({ sourceId, partition, position: to })),
      );
      this.#isFailing = false;
    } catch (error) {
      if (!this.#targetsKeepPositions) throw error;
      // The source's own positions are for others to look at; a later acknowledgement brings them up to date.
      if (!this.#isFailing) this.#notice(error);
      this.#isFailing = true;
    }
    failpoint("after_acknowledge");
  }

  #notice(error: unknown): void {
    this.#context.observe({
      kind: "notice",
      pipeline: this.#plan.spec.name,
      message: `the source could not be told what is committed: ${describeError(error)}`,
    });
  }
}
