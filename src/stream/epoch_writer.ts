import type { Batch, RejectedRows } from "../core/batch.ts";
import type { Clock } from "../core/clock.ts";
import { failpoint } from "../core/failpoint.ts";
import type { Observe } from "../core/observation.ts";
import { quoteIdentifier, type TargetColumn } from "../core/schema.ts";
import type { Engine, Session } from "../core/session.ts";
import type { PlannedTarget, StreamPlan } from "../plan/plan.ts";
import { dressBareRows } from "./bare_rows.ts";
import { deadLettersOf, type Refusal, rejectAction, rejectionError } from "./dead_letters.ts";
import type { OffsetLedger } from "./offset_ledger.ts";
import type { PreparedEpoch } from "./prepare.ts";

/** What writing needs from the run. */
export interface WriteContext {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly observe: Observe;
  /** Which attempt the run is at its first epoch, from 1. */
  readonly attempt: number;
  /** Drop what is under way. */
  readonly now: AbortSignal;
}

/** What the run knows of offsets and columns. */
export interface WriteParts {
  readonly ledger: OffsetLedger;
  /** Targets that keep offsets, in ledger order. */
  readonly keepers: readonly PlannedTarget[];
  /** The part with the columns that this target gets. */
  forTarget(part: Batch, target: PlannedTarget): Batch;
}

/** What became of an epoch. */
export interface WrittenEpoch {
  /** Rows in the first target that was written to. */
  readonly written: number;
  readonly deadLettered: number;
  readonly dropped: number;
}

/**
 * Brings epochs into the targets: rows, then dead letters, then the offsets, so that nothing is committed before all that belongs to it is
 * durable.
 */
export class EpochWriter {
  readonly #plan: StreamPlan;
  readonly #context: WriteContext;
  readonly #session: Session;
  readonly #parts: WriteParts;
  /** Attempts since the last commit, the present one included. */
  #attempt: number;

  constructor(plan: StreamPlan, context: WriteContext, session: Session, parts: WriteParts) {
    this.#plan = plan;
    this.#context = context;
    this.#session = session;
    this.#parts = parts;
    this.#attempt = context.attempt;
  }

  /**
   * Writes and commits one epoch into every target that lacks it.
   *
   * @throws FlowError `offset_fenced` when another process went on from the same offsets, `row_…_failed` for rows that may not be
   * refused, and whatever a sink throws; every target that had begun is rolled back then.
   */
  async write(epoch: PreparedEpoch, number: number): Promise<WrittenEpoch> {
    const { ledger, keepers } = this.#parts;
    const ranges = epoch.source.ranges;
    // Targets without transactions come first: after a crash in between, the offsets that the others keep make the epoch come again.
    const order = [...this.#plan.targets].sort((a, b) =>
      Number(a.sink.traits.transactional) - Number(b.sink.traits.transactional)
    );
    const active = order.filter((target) => {
      const keeper = keepers.indexOf(target);
      return keeper === -1 || !ledger.has(keeper, ranges);
    });
    /** Rows that the targets refuse; their tables are this writer's to drop. */
    const refused: Refusal[] = [];
    const written: number[] = [];
    const begun: PlannedTarget[] = [];
    try {
      for (const target of active) {
        failpoint("before_begin");
        // Asked before the target is locked.
        const columns = this.#hasBareRows(epoch, target) ? await target.sink.columns() : undefined;
        await target.sink.begin(number);
        begun.push(target);
        written.push(await this.#writeParts(epoch, target, columns, refused));
        failpoint("after_write");
      }
      const routed = await this.#route([...epoch.refusals, ...refused], begun);
      for (const target of begun) {
        failpoint("before_commit");
        const keeper = keepers.indexOf(target);
        await target.sink.commit(keeper === -1 ? [] : ledger.moves(keeper, ranges));
        if (keeper !== -1) ledger.committed(keeper, ranges);
        failpoint("after_commit");
      }
      this.#attempt = 1;
      return { written: written[0] ?? 0, ...routed };
    } catch (error) {
      this.#attempt += 1;
      for (const target of begun) await target.sink.abort();
      throw error;
    } finally {
      for (const { rejected } of refused) {
        await this.#session.run(`DROP TABLE IF EXISTS ${quoteIdentifier(rejected.table)}`);
      }
    }
  }

  /** Writes the epoch's rows into one target; adds the rows that it refuses, and tells how many it took. */
  async #writeParts(
    epoch: PreparedEpoch,
    target: PlannedTarget,
    columns: readonly TargetColumn[] | undefined,
    refused: Refusal[],
  ): Promise<number> {
    let count = 0;
    for (const part of epoch.parts) {
      if (part.rows === 0) continue;
      const batch = this.#parts.forTarget(part, target);
      const rejected = isBare(batch, target)
        ? await this.#writeBare(batch, target, columns)
        : await target.sink.write(batch, this.#session, this.#context.now);
      count += part.rows - (rejected?.count ?? 0);
      if (rejected !== undefined) {
        refused.push({ stage: "write", rejected, source: epoch.source });
      }
    }
    return count;
  }

  #hasBareRows(epoch: PreparedEpoch, target: PlannedTarget): boolean {
    return epoch.parts.some((part) => isBare(this.#parts.forTarget(part, target), target));
  }

  async #writeBare(
    batch: Batch,
    target: PlannedTarget,
    columns: readonly TargetColumn[] | undefined,
  ): Promise<RejectedRows | undefined> {
    const { engine, now } = this.#context;
    const { mode } = target.spec;
    const dressed = await dressBareRows(engine, this.#session, batch, columns, mode);
    if ("rejected" in dressed) return dressed.rejected;
    try {
      return await target.sink.write(dressed.batch, this.#session, now);
    } finally {
      await this.#session.run(`DROP TABLE ${quoteIdentifier(dressed.batch.table)}`);
    }
  }

  /** Does with refused rows what the definition asks for. */
  async #route(
    refusals: readonly Refusal[],
    begun: readonly PlannedTarget[],
  ): Promise<{ deadLettered: number; dropped: number }> {
    const { spec, deadLetters } = this.#plan;
    const counts = { deadLettered: 0, dropped: 0 };
    for (const refusal of refusals) {
      const { stage, rejected } = refusal;
      if (rejected.count === 0) continue;
      const action = rejectAction(stage, spec.transformOnError, deadLetters !== undefined);
      if (action === "fail") throw await rejectionError(this.#session, refusal);
      const example = action === "dead_letter" ? await this.#writeLetters(refusal, begun) : "";
      counts[action === "dead_letter" ? "deadLettered" : "dropped"] += rejected.count;
      this.#context.observe({
        kind: "rows_rejected",
        pipeline: spec.name,
        stage,
        rows: rejected.count,
        action,
        example,
      });
    }
    return counts;
  }

  /** Returns the reason of the first letter. */
  async #writeLetters(refusal: Refusal, begun: readonly PlannedTarget[]): Promise<string> {
    const { spec, deadLetters } = this.#plan;
    let example = "";
    failpoint("before_dead_letters");
    const pieces = deadLettersOf(this.#context.engine, this.#session, refusal, {
      pipeline: spec.name,
      attempt: this.#attempt,
      failedAtMs: this.#context.clock.now(),
    });
    for await (const letters of pieces) {
      example ||= letters[0]?.error ?? "";
      if (deadLetters?.to === "sink") await deadLetters.sink.write(letters);
      // A target that has the epoch already has its letters too.
      else if (deadLetters !== undefined && begun.includes(deadLetters.target)) {
        await deadLetters.target.sink.writeDeadLetters?.(deadLetters.table, letters);
      }
    }
    failpoint("after_dead_letters");
    return example;
  }
}

/** True for rows without any field that are to go into a table. */
function isBare(batch: Batch, target: PlannedTarget): boolean {
  return batch.columns.length === 0 && batch.rows > 0 && target.sink.traits.hasSchema;
}
