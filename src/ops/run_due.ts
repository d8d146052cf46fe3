import type { DueSummary, RunSummary } from "../core/batch_request.ts";
import { type FlowError, toFlowError } from "../core/error.ts";
import type { RunRecord } from "../core/run_log.ts";
import { isAlive } from "./abandoned_runs.ts";
import { inDependencyOrder, notFreshReason, staleUpstreams, upstreamRuns } from "./dependencies.ts";
import { type Candidate, type DueContext, type DuePipeline, findDue } from "./due_plan.ts";
import {
  type AttemptEnd,
  type AttemptOutcome,
  compactTime,
  RecordedRun,
  type RecordedRunContext,
  type RunAttempt,
  withFreeId,
} from "./recorded_run.ts";

/** What {@link runDue} is given. */
export interface RunDueContext<P extends DuePipeline> extends DueContext, RecordedRunContext {
  /** Does the work of one attempt of a pipeline. Never called twice at a time. */
  readonly execute: (pipeline: P, attempt: RunAttempt) => Promise<AttemptOutcome>;
  /** Pipelines that could not even be read: they are reported as failed, and what depends on them waits. */
  readonly broken?: readonly { readonly name: string; readonly error: FlowError }[];
}

/**
 * Runs what is due, one pipeline at a time, upstreams first. While a pipeline waits for its next attempt others run; those that depend on it wait for what
 * becomes of it. A pipeline that fails is reported and stops nothing but what depends on it. Several processes may do this at once: each time of a schedule is run by
 * one of them. When the signal is aborted, what runs may end, and nothing else is started.
 *
 * @throws FlowError `dependency_cycle` (user).
 */
export async function runDue<P extends DuePipeline>(
  pipelines: readonly P[],
  context: RunDueContext<P>,
): Promise<DueSummary> {
  const ordered = inDependencyOrder(pipelines);
  return await new DueRun(context).run(ordered);
}

/** A candidate on its way. */
interface Item<P extends DuePipeline> {
  readonly candidate: Candidate<P>;
  run?: RecordedRun;
  /** The failed attempt after which it waits for the next one. */
  waiting?: AttemptEnd & { readonly is: "retry" };
}

type Fate = "succeeded" | "failed" | "skipped" | "elsewhere";

class DueRun<P extends DuePipeline> {
  readonly #context: RunDueContext<P>;
  readonly #startedMs: number;
  readonly #fates = new Map<string, Fate>();
  readonly #ran: RunSummary[] = [];
  readonly #failed: (RunSummary & { readonly gaveUp: boolean })[] = [];
  readonly #skipped: { readonly pipeline: string; readonly reason: string }[] = [];

  constructor(context: RunDueContext<P>) {
    this.#context = context;
    this.#startedMs = context.clock.now();
  }

  async run(ordered: readonly P[]): Promise<DueSummary> {
    for (const { name, error } of this.#context.broken ?? []) this.#broke(name, error);
    const plan = await findDue(ordered, this.#context);
    for (const { pipeline, error } of plan.broken) this.#broke(pipeline.name, error);
    for (const name of plan.elsewhere) this.#fates.set(name, "elsewhere");
    let open: readonly Item<P>[] = plan.candidates.map((candidate) => ({ candidate }));
    while (open.length > 0 && !this.#context.signal.aborted) {
      const item = this.#nextOf(open);
      if (item === undefined) await this.#waitFor(open);
      else if (await this.#advance(item)) open = open.filter((other) => other !== item);
    }
    for (const { waiting } of open) {
      if (waiting !== undefined) this.#fail(waiting.summary, false);
    }
    return { ran: this.#ran, failed: this.#failed, skipped: this.#skipped };
  }

  /** The first whose upstreams are done with and that need not wait. */
  #nextOf(open: readonly Item<P>[]): Item<P> | undefined {
    const names = new Set(open.map(({ candidate }) => candidate.pipeline.name));
    const nowMs = this.#context.clock.now();
    return open.find(({ candidate, waiting }) =>
      (waiting === undefined || waiting.atMs <= nowMs) &&
      !candidate.pipeline.dependsOn.some((upstream) => names.has(upstream))
    );
  }

  async #waitFor(open: readonly Item<P>[]): Promise<void> {
    const { clock, signal } = this.#context;
    const times = open.flatMap(({ waiting }) => waiting === undefined ? [] : [waiting.atMs]);
    try {
      await clock.sleep(Math.max(0, Math.min(...times) - clock.now()), signal);
    } catch {
      // Aborted: the loop ends.
    }
  }

  /** Brings it one attempt further; true when it is done with. */
  async #advance(item: Item<P>): Promise<boolean> {
    const { pipeline, slot } = item.candidate;
    try {
      if (item.run === undefined) {
        const reason = await this.#reasonToSkip(pipeline);
        if (reason !== undefined) {
          await this.#skip(item.candidate, reason);
          return true;
        }
        item.run = await RecordedRun.scheduled(pipeline, this.#context, slot);
      }
      const end = await item.run.attempt((attempt) => this.#context.execute(pipeline, attempt));
      if (end.is === "retry") {
        item.waiting = end;
        return false;
      }
      this.#ended(pipeline.name, end, item.waiting?.summary);
    } catch (thrown) {
      this.#broke(pipeline.name, toFlowError(thrown));
    }
    return true;
  }

  #ended(
    name: string,
    end: Exclude<AttemptEnd, { readonly is: "retry" }>,
    before: RunSummary | undefined,
  ): void {
    switch (end.is) {
      case "succeeded":
        this.#fates.set(name, "succeeded");
        this.#ran.push(end.summary);
        return;
      case "failed":
        this.#fail(end.summary, end.gaveUp);
        return;
      case "taken":
        // Another process made the next attempt in place of this one; what was tried here has failed all the same.
        if (before !== undefined) this.#fail(before, false);
        this.#fates.set(name, "elsewhere");
    }
  }

  async #reasonToSkip(pipeline: P): Promise<string | undefined> {
    const { runLog, clock } = this.#context;
    const { name, retry, dependsOn } = pipeline;
    const state = await runLog.attemptState(name);
    if (state?.gaveUp === true) {
      return `gave up after ${state.attemptCount} retry attempts (max_attempts=${retry.maxAttempts})`;
    }
    if (state?.nextEligibleAt !== undefined && state.attemptCount < retry.maxAttempts) {
      const eligibleMs = Date.parse(state.nextEligibleAt);
      if (Math.max(this.#nowMs(), clock.now()) < eligibleMs) {
        const at = new Date(Math.ceil(eligibleMs / 1000) * 1000).toISOString().replace(".000", "");
        return `retry backoff (attempt ${state.attemptCount}/${retry.maxAttempts}; next eligible at ${at})`;
      }
    }
    const last = (await runLog.lastRuns([name])).get(name);
    if (last !== undefined && isAlive(last, clock.now())) {
      return `still running (${last.runId})`;
    }
    if (dependsOn.length === 0) return undefined;
    const stale = new Set(
      staleUpstreams(pipeline, await upstreamRuns(runLog, dependsOn), this.#nowMs()),
    );
    const waitsFor = dependsOn.filter((upstream) => {
      const fate = this.#fates.get(upstream);
      if (fate === "succeeded") return false;
      if (fate === "failed" || fate === "elsewhere") return true;
      // What was to come and did not come is missing, unless an older state is said to be good enough.
      const isOwed = fate === "skipped" && pipeline.upstreamFreshnessSeconds === undefined;
      return isOwed || stale.has(upstream);
    });
    return waitsFor.length === 0 ? undefined : notFreshReason(waitsFor);
  }

  async #skip(candidate: Candidate<P>, reason: string): Promise<void> {
    const { runLog, clock, observe } = this.#context;
    const { pipeline: { name }, slot, by, skippedFor } = candidate;
    this.#fates.set(name, "skipped");
    if (by === "left") return;
    this.#skipped.push({ pipeline: name, reason });
    observe({ kind: "pipeline_skipped", pipeline: name, reason });
    if (skippedFor.has(reason)) return;
    const at = new Date(clock.now()).toISOString();
    const record: RunRecord = {
      runId: `${name}-${compactTime(at)}-0`,
      pipeline: name,
      status: "skipped",
      attempt: 0,
      scheduledFor: slot,
      startedAt: at,
      finishedAt: at,
      targets: [],
      reason,
    };
    await withFreeId(record, (free) => runLog.start(free));
  }

  #fail(summary: RunSummary, gaveUp: boolean): void {
    const { pipeline, error } = summary.record;
    this.#fates.set(pipeline, "failed");
    this.#failed.push({ ...summary, gaveUp });
    if (error !== undefined) this.#context.observe({ kind: "error", pipeline, error });
  }

  /** It could not be started; the history keeps only what was. */
  #broke(name: string, error: FlowError): void {
    const at = new Date(this.#context.clock.now()).toISOString();
    const record: RunRecord = {
      runId: `${name}-${compactTime(at)}-0`,
      pipeline: name,
      status: "failed",
      attempt: 0,
      startedAt: at,
      finishedAt: at,
      targets: [],
      error: error.toData(),
    };
    this.#fail({ record, notices: [] }, false);
  }

  /** The time that was asked about, going on as the clock does. */
  #nowMs(): number {
    return this.#context.nowMs + this.#context.clock.now() - this.#startedMs;
  }
}
