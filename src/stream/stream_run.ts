import type { SourceBatch } from "../core/batch.ts";
import type { Clock } from "../core/clock.ts";
import type { Decoder } from "../core/decoder.ts";
import { describeError, FlowError } from "../core/error.ts";
import { failpoint } from "../core/failpoint.ts";
import type { Observation, Observe } from "../core/observation.ts";
import type { PartitionRef, StoredOffset } from "../core/offset.ts";
import { OffsetName } from "../core/offset_name.ts";
import type { ConsumeSummary } from "../core/request.ts";
import type { Column } from "../core/schema.ts";
import type { Engine, Session } from "../core/session.ts";
import type { Source } from "../core/source.ts";
import type { PlannedTarget, StreamPlan } from "../plan/plan.ts";
import { Acknowledger } from "./acknowledger.ts";
import { BatchAligner } from "./batch_aligner.ts";
import { EpochWriter } from "./epoch_writer.ts";
import { mergeSources } from "./merge_sources.ts";
import { OffsetLedger } from "./offset_ledger.ts";
import type { OffsetStore } from "./offset_store.ts";
import { BatchPreparer, type PreparedEpoch } from "./prepare.ts";

/** What a run needs from its host. */
export interface StreamRunContext {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly observe: Observe;
  readonly untilEnd: boolean;
  /** Which attempt this run is at what is not committed yet, from 1. */
  readonly attempt: number;
  /** Finish and commit what is under way, then end. */
  readonly drain: AbortSignal;
  /** Drop what is under way. */
  readonly now: AbortSignal;
  readonly offsetStore: OffsetStore;
  createDecoder(
    batch: SourceBatch,
    source: number,
    preferred: readonly Column[] | undefined,
  ): Decoder;
}

/** A fence lost this many times in a row without a commit in between ends the run. */
const MAX_FENCES_IN_A_ROW = 5;

/**
 * One run of a streaming pipeline: batches come from the sources, are aligned to the offsets, decoded, transformed, written and committed.
 *
 * Stages overlap: while epoch N is written, epoch N+1 is decoded and transformed, and the sources read ahead. Commits happen one after
 * the other. Everything that waits is bounded: one epoch being written, one prepared, one per source asked for.
 *
 * @example
 * ```ts
 * const summary = await new StreamRun(planStream(spec, connectors), context).run();
 * ```
 */
export class StreamRun {
  readonly #plan: StreamPlan;
  readonly #context: StreamRunContext;
  readonly #writer: EpochWriter;
  readonly #preparer: BatchPreparer;
  readonly #aligner: BatchAligner;
  readonly #ledger: OffsetLedger;
  /** Sinks that keep offsets, in ledger order; without any, the offset store is the ledger's only target. */
  readonly #keepers: readonly PlannedTarget[];
  readonly #usesStore: boolean;
  readonly #acknowledger: Acknowledger;
  readonly #stopReading = new AbortController();
  #epoch = 0;
  /** Rises when everything planned is thrown away; prepared epochs of an older generation are dropped. */
  #generation = 0;
  #fencesInARow = 0;
  #inFlight = 0;
  #whenQuiet: (() => void)[] = [];
  /** Changes of the plan from outside of the loop (an assignment, a lost fence): no batch is aligned meanwhile. */
  #replanning: Promise<unknown> = Promise.resolve();
  /** The batch that is being aligned: the plan does not change meanwhile. */
  #aligning: Promise<unknown> = Promise.resolve();
  /** True once a batch was dropped since everything is to stop at once. */
  #isCutShort = false;
  readonly #totals = { consumed: 0, written: 0, deadLettered: 0, dropped: 0, batches: 0 };

  private constructor(
    plan: StreamPlan,
    context: StreamRunContext,
    sessions: { readonly sink: Session; readonly stage: Session },
  ) {
    this.#plan = plan;
    this.#context = context;
    this.#keepers = plan.spec.delivery === "at_least_once"
      ? []
      : plan.sources.every(({ source }) => source.traits.seekable)
      ? plan.targets.filter(({ sink }) => sink.traits.transactional)
      : [];
    this.#usesStore = this.#keepers.length === 0 &&
      plan.sources.some(({ source }) => source.traits.seekable && !source.traits.storesPositions);
    this.#ledger = new OffsetLedger(this.#usesStore ? 1 : this.#keepers.length);
    this.#acknowledger = new Acknowledger(plan, context, {
      ledger: this.#usesStore ? this.#ledger : undefined,
      targetsKeepPositions: this.#keepers.length > 0,
    });
    this.#aligner = new BatchAligner(context.engine, sessions.stage, this.#ledger);
    this.#preparer = new BatchPreparer(plan, context, sessions.stage);
    this.#writer = new EpochWriter(plan, context, sessions.sink, {
      ledger: this.#ledger,
      keepers: this.#keepers,
      forTarget: (part, target) => this.#preparer.forTarget(part, target),
    });
  }

  /** Runs the plan until its sources end or somebody stops it. */
  static async run(plan: StreamPlan, context: StreamRunContext): Promise<ConsumeSummary> {
    const sink = await context.engine.connect();
    const stage = await context.engine.connect();
    const run = new StreamRun(plan, context, { sink, stage });
    const onNow = () => {
      sink.interrupt();
      stage.interrupt();
    };
    context.now.addEventListener("abort", onNow, { once: true });
    try {
      return await run.#run();
    } finally {
      context.now.removeEventListener("abort", onNow);
      await sink.close();
      await stage.close();
    }
  }

  async #run(): Promise<ConsumeSummary> {
    const { spec, sources, targets, delivery, notes } = this.#plan;
    const { clock, drain, now } = this.#context;
    const startedAt = clock.monotonic();
    this.#tell({
      kind: "run_started",
      pipeline: spec.name,
      sources: sources.map(({ source }) => source.sourceId),
      targets: targets.map(({ sink }) => sink.targetId),
      delivery,
    });
    for (const message of notes) this.#tell({ kind: "notice", pipeline: spec.name, message });
    const stop = () => this.#stopReading.abort();
    for (const signal of [drain, now]) {
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    }
    try {
      if (await this.#open()) {
        this.#tell({ kind: "ready", pipeline: spec.name });
        await this.#loop();
      }
    } finally {
      for (const signal of [drain, now]) signal.removeEventListener("abort", stop);
      await this.#close();
    }
    return {
      pipeline: spec.name,
      rowsConsumed: this.#totals.consumed,
      rowsWritten: this.#totals.written,
      rowsDeadLettered: this.#totals.deadLettered,
      rowsDropped: this.#totals.dropped,
      batches: this.#totals.batches,
      elapsedMs: Math.round(clock.monotonic() - startedAt),
      reason: drain.aborted || now.aborted ? "stopped" : "end",
    };
  }

  /** False when somebody asked to stop meanwhile: then nothing was read. */
  async #open(): Promise<boolean> {
    const { spec, sources, targets, deadLetters } = this.#plan;
    const { engine, clock, observe, untilEnd, now } = this.#context;
    const taken = new Set<string>();
    for (const [index, target] of targets.entries()) {
      await target.sink.open({
        pipeline: spec.name,
        offsetName: new OffsetName(spec.name, {
          targetId: target.sink.targetId,
          isFirst: index === 0,
          taken,
        }),
        engine,
        clock,
        observe,
        exactlyOnce: this.#keepers.includes(target),
      }, now);
    }
    if (deadLetters?.to === "sink") await deadLetters.sink.open(now);
    await this.#preparer.open();
    await this.#loadOffsets();
    for (const { source } of sources) {
      try {
        await source.open({
          pipeline: spec.name,
          engine,
          clock,
          observe,
          untilEnd,
          wantedMetadata: this.#preparer.wantedMetadata,
          storedPositions: (partitions) => this.#storedPositions(partitions),
          targetsKeepPositions: this.#keepers.length > 0,
          maxBatchBytes: spec.maxBatchBytes,
          maxBatchRows: spec.maxBatchRows,
          maxBatchWaitMs: spec.maxBatchWaitMs,
        }, this.#stopReading.signal);
      } catch (error) {
        if (this.#stopReading.signal.aborted) return false;
        throw error;
      }
    }
    return true;
  }

  async #close(): Promise<void> {
    const { sources, targets, deadLetters } = this.#plan;
    const closing = await Promise.allSettled([
      ...sources.map(({ source }) => source.close()),
      ...targets.map(({ sink }) => sink.close()),
      ...(deadLetters?.to === "sink" ? [deadLetters.sink.close()] : []),
    ]);
    for (const result of closing) {
      // What was written is committed already; a failure to say good-bye must not hide the run's own outcome.
      if (result.status === "rejected") {
        this.#tell({
          kind: "notice",
          pipeline: this.#plan.spec.name,
          message: `closing failed: ${describeError(result.reason)}`,
        });
      }
    }
  }

  async #loop(): Promise<void> {
    const { clock } = this.#context;
    let committing: Promise<void> = Promise.resolve();
    const events = mergeSources(
      this.#plan.sources.map(({ source }) => source),
      this.#stopReading.signal,
    );
    try {
      for await (const event of events) {
        if (event.batch === undefined) {
          this.#tell({ kind: "idle", pipeline: this.#plan.spec.name });
          continue;
        }
        const handedOverAt = clock.monotonic();
        for (let seen; seen !== this.#replanning;) await (seen = this.#replanning);
        // Counted before aligning: an assignment must not move the plan between aligning a batch and committing it.
        this.#inFlight += 1;
        // The plan that all pieces are aligned to: when it is thrown away, so are they.
        const generation = this.#generation;
        const aligning = this.#align(event.source, event.batch);
        this.#aligning = aligning.catch(() => {});
        try {
          for (const piece of await aligning) {
            const prepared = await this.#preparer.prepare(piece, event.source);
            await committing;
            this.#inFlight += 1;
            committing = this.#commitPrepared(prepared, generation, handedOverAt);
            // A failure is awaited before the next commit or at the end; reading stops at once.
            committing.catch(() => this.#stopReading.abort());
          }
        } finally {
          this.#settled();
        }
      }
    } catch (error) {
      await committing;
      throw error;
    }
    await committing;
    if (this.#isCutShort) {
      throw new FlowError("the run was stopped before its batch was committed", {
        code: "run_stopped",
        domain: "user",
      });
    }
  }

  /** The batch in pieces that fit onto the ledger's plan; what was read before is cut away, what leaves a gap is sought again. */
  async #align(source: Source, batch: SourceBatch): Promise<SourceBatch[]> {
    failpoint("source_batch_read");
    const { pieces, seek } = await this.#aligner.align(batch);
    if (seek.length > 0) await source.seek(seek);
    return pieces;
  }

  async #commitPrepared(
    epoch: PreparedEpoch,
    generation: number,
    handedOverAt: number,
  ): Promise<void> {
    const { clock } = this.#context;
    try {
      if (generation !== this.#generation) return;
      if (this.#context.now.aborted) {
        this.#isCutShort = true;
        return;
      }
      const startedAt = clock.monotonic();
      this.#epoch += 1;
      const { written, deadLettered, dropped } = await this.#writer.write(
        epoch,
        this.#epoch,
      );
      this.#fencesInARow = 0;
      await this.#acknowledger.acknowledge(epoch.source);
      const consumed = epoch.source.rows + (epoch.source.unreadable?.count ?? 0);
      this.#totals.consumed += consumed;
      this.#totals.written += written;
      this.#totals.deadLettered += deadLettered;
      this.#totals.dropped += dropped;
      this.#totals.batches += 1;
      this.#tell({
        kind: "batch_committed",
        pipeline: this.#plan.spec.name,
        epoch: this.#epoch,
        rowsConsumed: consumed,
        rowsWritten: written,
        bytes: epoch.source.bytes,
        latencyMs: clock.monotonic() - handedOverAt,
        stageMs: { ...epoch.stageMs, write: clock.monotonic() - startedAt },
      });
    } catch (error) {
      if (!(error instanceof FlowError) || error.code !== "offset_fenced") throw error;
      await this.#recoverFence(error);
    } finally {
      await this.#preparer.release(epoch);
      this.#settled();
    }
  }

  async #loadOffsets(): Promise<void> {
    if (this.#usesStore) this.#ledger.load(0, await this.#context.offsetStore.load());
    for (const [index, { sink }] of this.#keepers.entries()) {
      this.#ledger.load(index, await sink.storedOffsets());
    }
  }

  /**
   * Answers a source that got partitions assigned. Waits until nothing is under way (a batch read before the assignment may still be
   * on its way into the target), then reads the offsets afresh.
   */
  #storedPositions(partitions: readonly PartitionRef[]): Promise<readonly StoredOffset[]> {
    const answer = (async () => {
      while (this.#inFlight > 0) {
        await new Promise<void>((resolve) => this.#whenQuiet.push(resolve));
      }
      await this.#loadOffsets();
      return this.#ledger.resume(partitions);
    })();
    this.#replans(answer);
    return answer;
  }

  #replans(change: Promise<unknown>): void {
    this.#replanning = Promise.allSettled([this.#replanning, change]);
  }

  /**
   * Another process went on from these offsets, or somebody removed them: everything planned is dropped and read again from where the
   * targets are now.
   */
  #recoverFence(error: FlowError): Promise<void> {
    this.#fencesInARow += 1;
    if (this.#fencesInARow > MAX_FENCES_IN_A_ROW) throw error;
    this.#generation += 1;
    const recovery = this.#planAnew(error);
    this.#replans(recovery);
    return recovery;
  }

  async #planAnew(error: FlowError): Promise<void> {
    await this.#aligning;
    const uncommitted = this.#ledger.uncommitted();
    await this.#loadOffsets();
    const positions = this.#ledger.restart(uncommitted);
    // A new run finds its start by the source's own rule.
    if (positions === undefined) throw error;
    for (const { source } of this.#plan.sources) {
      const own = positions.filter((position) => position.sourceId === source.sourceId);
      if (own.length > 0) await source.seek(own);
    }
    this.#tell({
      kind: "offsets_fenced",
      pipeline: this.#plan.spec.name,
      targetId: String(error.details["target"] ?? ""),
    });
  }

  #settled(): void {
    this.#inFlight -= 1;
    if (this.#inFlight > 0) return;
    for (const resolve of this.#whenQuiet.splice(0)) resolve();
  }

  #tell(observation: Observation): void {
    this.#context.observe(observation);
  }
}
