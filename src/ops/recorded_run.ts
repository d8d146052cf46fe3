import type { RunSummary } from "../core/batch_request.ts";
import type { RetryPolicy } from "../core/batch_spec.ts";
import type { Clock } from "../core/clock.ts";
import { FlowError, toFlowError } from "../core/error.ts";
import type { Observe } from "../core/observation.ts";
import type { RunLog, RunRecord, TargetOutcome } from "../core/run_log.ts";
import { closeAbandonedRuns, closeOvertakenRuns } from "./abandoned_runs.ts";
import { stateAfterFailure } from "./attempt_count.ts";
import { beatWhile } from "./heartbeat.ts";
import { failureLines, retryLine, startedLine, successLines } from "./run_lines.ts";
import { restartHelps } from "./supervisor.ts";

/** What is looked at of a pipeline here. */
export interface RecordedPipeline {
  readonly name: string;
  readonly retry: RetryPolicy;
}

/** One attempt, as the one who does the work gets it. */
export interface RunAttempt {
  /** From 1. */
  readonly attempt: number;
  readonly runId: string;
  /** ISO-8601. */
  readonly startedAt: string;
  /** ISO-8601: the time that the schedule asked for. */
  readonly scheduledFor?: string;
}

/** What an attempt came to. With `error` it failed, though some targets got their rows; otherwise the error is thrown. */
export interface AttemptOutcome {
  readonly targets: readonly TargetOutcome[];
  /** Things worth knowing that are no failure. */
  readonly notices: readonly string[];
  readonly error?: FlowError;
}

/** Does the work of one attempt. */
export type Execute = (attempt: RunAttempt) => Promise<AttemptOutcome>;

/** What a recorded run needs. */
export interface RecordedRunContext {
  /** Open, and one whose methods do not fail (`LenientRunLog`, `MemoryRunLog`). */
  readonly runLog: RunLog;
  readonly clock: Clock;
  readonly observe: Observe;
  /** Aborted when nothing more shall be started. */
  readonly signal: AbortSignal;
}

/** How an attempt ended. */
export type AttemptEnd =
  | { readonly is: "succeeded"; readonly summary: RunSummary }
  | { readonly is: "failed"; readonly summary: RunSummary; readonly gaveUp: boolean }
  /** It failed, and the next attempt may start at `atMs` (clock time). */
  | { readonly is: "retry"; readonly summary: RunSummary; readonly atMs: number }
  /** Another process has this time of the schedule; nothing was done. */
  | { readonly is: "taken" };

/** Another id is tried so many times when one is taken. */
const MAX_IDS = 100;

/** The attempts of one run of a pipeline, recorded one by one. Between them, whoever holds it waits. */
export class RecordedRun {
  readonly #pipeline: RecordedPipeline;
  readonly #context: RecordedRunContext;
  readonly #scheduledFor: string | undefined;
  #attempt: number;

  private constructor(
    pipeline: RecordedPipeline,
    context: RecordedRunContext,
    scheduledFor: string | undefined,
    attempt: number,
  ) {
    this.#pipeline = pipeline;
    this.#context = context;
    this.#scheduledFor = scheduledFor;
    this.#attempt = attempt;
  }

  /** A run that a person asked for: it counts its attempts anew, and a pipeline that had given up has not any more. */
  static async byHand(
    pipeline: RecordedPipeline,
    context: RecordedRunContext,
  ): Promise<RecordedRun> {
    await closeAbandonedRuns(pipeline, context);
    await context.runLog.setAttemptState(pipeline.name, undefined);
    return new RecordedRun(pipeline, context, undefined, 1);
  }

  /** A run for a time of the schedule (ISO-8601). It goes on counting where a process before has failed. */
  static async scheduled(
    pipeline: RecordedPipeline,
    context: RecordedRunContext,
    scheduledFor: string,
  ): Promise<RecordedRun> {
    await closeAbandonedRuns(pipeline, context);
    const state = await context.runLog.attemptState(pipeline.name);
    const goesOn = state?.nextEligibleAt !== undefined &&
      state.attemptCount < pipeline.retry.maxAttempts;
    return new RecordedRun(
      pipeline,
      context,
      scheduledFor,
      goesOn ? state.attemptCount + 1 : 1,
    );
  }

  /** Makes the next attempt. What `execute` throws is in the record; this does not throw. */
  async attempt(execute: Execute): Promise<AttemptEnd> {
    const { runLog, clock, observe } = this.#context;
    const { name, retry } = this.#pipeline;
    const record = await this.#recordStart();
    if (record === undefined) return { is: "taken" };
    observe({
      kind: "pipeline_firing",
      pipeline: name,
      attempt: record.attempt,
      maxAttempts: retry.maxAttempts,
      ...(record.scheduledFor === undefined ? {} : { scheduledFor: record.scheduledFor }),
    });
    await runLog.append(record.runId, [startedLine(record, retry.maxAttempts)]);
    const startedMs = clock.monotonic();
    const outcome = await beatWhile(
      () => this.#execute(execute, record),
      () => runLog.heartbeat(record.runId, this.#now()),
      clock,
    );
    return outcome.error === undefined
      ? await this.#succeeded(record, outcome, clock.monotonic() - startedMs)
      : await this.#failed(record, outcome, outcome.error);
  }

  async #execute(execute: Execute, record: RunRecord): Promise<AttemptOutcome> {
    const { attempt, runId, startedAt, scheduledFor } = record;
    try {
      return await execute({
        attempt,
        runId,
        startedAt,
        ...(scheduledFor === undefined ? {} : { scheduledFor }),
      });
    } catch (thrown) {
      const failure = toFlowError(thrown);
      // Work that is stopped throws the signal's reason, which is no error that anybody has foreseen.
      const isStop = this.#context.signal.aborted && failure.code === "unexpected";
      const error = isStop ? stopped(this.#pipeline.name) : failure;
      return { targets: [], notices: [], error };
    }
  }

  /** Undefined when another process has this time of the schedule. */
  async #recordStart(): Promise<RunRecord | undefined> {
    const { runLog } = this.#context;
    const startedAt = this.#now();
    const id = `${this.#pipeline.name}-${compactTime(startedAt)}-${this.#attempt}`;
    const record: RunRecord = {
      runId: id,
      pipeline: this.#pipeline.name,
      status: "running",
      attempt: this.#attempt,
      ...(this.#scheduledFor === undefined ? {} : { scheduledFor: this.#scheduledFor }),
      startedAt,
      targets: [],
    };
    return await withFreeId(record, async (candidate) => {
      if (this.#scheduledFor !== undefined) {
        return await runLog.claim(candidate) ? candidate : undefined;
      }
      await runLog.start(candidate);
      return candidate;
    });
  }

  async #succeeded(
    started: RunRecord,
    outcome: AttemptOutcome,
    elapsedMs: number,
  ): Promise<AttemptEnd> {
    const { runLog, observe } = this.#context;
    const { targets, notices } = outcome;
    const record: RunRecord = {
      ...started,
      status: "success",
      finishedAt: this.#now(),
      targets,
    };
    await runLog.finish(record);
    await runLog.setAttemptState(record.pipeline, undefined);
    await closeOvertakenRuns(record, this.#context);
    await runLog.append(record.runId, successLines(record, notices, elapsedMs));
    const { pipeline, attempt } = record;
    observe({ kind: "pipeline_succeeded", pipeline, attempt, elapsedMs, targets });
    return { is: "succeeded", summary: { record, notices } };
  }

  async #failed(
    started: RunRecord,
    { targets, notices }: AttemptOutcome,
    error: FlowError,
  ): Promise<AttemptEnd> {
    const { runLog, clock, observe, signal } = this.#context;
    const { retry, name } = this.#pipeline;
    const record: RunRecord = {
      ...started,
      status: "failed",
      finishedAt: this.#now(),
      targets,
      error: error.toData(),
    };
    const state = stateAfterFailure(retry, record, {
      canHeal: restartHelps(error),
      stopped: error.code === "run_stopped",
      nowMs: clock.now(),
    });
    await runLog.finish(record);
    await runLog.setAttemptState(name, state);
    const lines = failureLines(record, notices);
    const summary = { record, notices };
    if (state.nextEligibleAt === undefined || error.code === "run_stopped") {
      await runLog.append(record.runId, lines);
      return { is: "failed", summary, gaveUp: state.gaveUp };
    }
    const atMs = Date.parse(state.nextEligibleAt);
    const waitMs = atMs - clock.now();
    await runLog.append(record.runId, [...lines, retryLine(record, retry.maxAttempts, waitMs)]);
    if (!signal.aborted) {
      observe({
        kind: "retrying",
        pipeline: name,
        error: error.toData(),
        waitMs,
        restart: record.attempt,
      });
    }
    this.#attempt += 1;
    return { is: "retry", summary, atMs };
  }

  #now(): string {
    return new Date(this.#context.clock.now()).toISOString();
  }
}

/**
 * Runs a pipeline because a person asked for it, with all its attempts and the waits between them. A failed run is a summary with `record.error`, not
 * an exception. When the signal is aborted during a wait, the failed attempt is the last one.
 */
export async function runByHand(
  pipeline: RecordedPipeline,
  execute: Execute,
  context: RecordedRunContext,
): Promise<RunSummary & { readonly gaveUp: boolean }> {
  const { clock, signal } = context;
  const run = await RecordedRun.byHand(pipeline, context);
  for (;;) {
    const end = await run.attempt(execute);
    if (end.is === "succeeded") return { ...end.summary, gaveUp: false };
    if (end.is === "failed") return { ...end.summary, gaveUp: end.gaveUp };
    if (end.is === "taken") {
      throw new FlowError(`another process took a run of '${pipeline.name}' that has no schedule`, {
        code: "unexpected",
        domain: "internal",
      });
    }
    try {
      await clock.sleep(Math.max(0, end.atMs - clock.now()), signal);
    } catch {
      return { ...end.summary, gaveUp: false };
    }
  }
}

function stopped(pipeline: string): FlowError {
  return new FlowError(`the run of pipeline '${pipeline}' was stopped before it ended`, {
    code: "run_stopped",
    domain: "user",
    retryable: true,
    hint: "what was not committed is undone; run the pipeline again",
  });
}

/** Writes a new record, with a number behind its id when that is taken: another process may have started the same in this second. */
export async function withFreeId<T>(
  record: RunRecord,
  write: (record: RunRecord) => Promise<T>,
): Promise<T> {
  for (let number = 1;; number += 1) {
    const runId = number === 1 ? record.runId : `${record.runId}-${number}`;
    try {
      return await write({ ...record, runId });
    } catch (error) {
      const isTaken = error instanceof FlowError && error.code === "run_id_taken";
      if (!isTaken || number >= MAX_IDS) throw error;
    }
  }
}

/** `20260329T013000`. */
export function compactTime(iso: string): string {
  return iso.slice(0, 19).replaceAll(/[-:]/g, "");
}
