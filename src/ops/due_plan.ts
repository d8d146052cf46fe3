import type { BatchSpec } from "../core/batch_spec.ts";
import type { Clock } from "../core/clock.ts";
import { type FlowError, toFlowError } from "../core/error.ts";
import type { RunLog, RunRecord } from "../core/run_log.ts";
import { closeAbandonedRuns, isAlive } from "./abandoned_runs.ts";
import { isNotFreshReason } from "./dependencies.ts";
import { dueAt, localDate } from "./schedule.ts";

/** What scheduling looks at of a pipeline. */
export type DuePipeline = Pick<
  BatchSpec,
  "name" | "schedule" | "timezone" | "dependsOn" | "upstreamFreshnessSeconds" | "retry"
>;

/** A pipeline that may have to run now. */
export interface Candidate<P extends DuePipeline> {
  readonly pipeline: P;
  /** ISO-8601: the time that the schedule asked for. */
  readonly slot: string;
  /**
   * `window`: the slot is in the window that was asked about. `left`: it is an earlier one that was left unfinished (a retry that no process makes any more, upstreams
   * that were not fresh); when it still cannot run, nobody is told again.
   */
  readonly by: "window" | "left";
  /** Reasons for which this slot was skipped before, as recorded. */
  readonly skippedFor: ReadonlySet<string>;
}

/** What {@link findDue} found. */
export interface DuePlan<P extends DuePipeline> {
  /** In the order of the pipelines. */
  readonly candidates: readonly Candidate<P>[];
  /** Due now, and another process is at it. */
  readonly elsewhere: ReadonlySet<string>;
  /** Whose schedule or time zone cannot be read. */
  readonly broken: readonly { readonly pipeline: P; readonly error: FlowError }[];
}

/** What is needed to find what is due. */
export interface DueContext {
  /** The end of the window: due are slots in (now - interval, now]. */
  readonly nowMs: number;
  readonly intervalSeconds: number;
  /** Open, and one whose methods do not fail. */
  readonly runLog: RunLog;
  readonly clock: Clock;
}

/** Records of one slot that are looked at. */
const MAX_SLOT_RUNS = 200;

/** Finds the pipelines whose time has come and that have not run for it yet. */
export async function findDue<P extends DuePipeline>(
  pipelines: readonly P[],
  context: DueContext,
): Promise<DuePlan<P>> {
  const candidates: Candidate<P>[] = [];
  const elsewhere = new Set<string>();
  const broken: { pipeline: P; error: FlowError }[] = [];
  const scheduled = pipelines.filter(({ schedule }) => schedule !== undefined);
  const last = new Map(await context.runLog.lastRuns(scheduled.map(({ name }) => name)));
  for (const pipeline of scheduled) {
    try {
      const found = await dueSlot(pipeline, last.get(pipeline.name), context);
      if (found === "elsewhere") elsewhere.add(pipeline.name);
      else if (found !== undefined) candidates.push({ pipeline, ...found });
    } catch (thrown) {
      broken.push({ pipeline, error: toFlowError(thrown) });
    }
  }
  return { candidates, elsewhere, broken };
}

type Found = Omit<Candidate<DuePipeline>, "pipeline"> | "elsewhere" | undefined;

async function dueSlot(
  pipeline: DuePipeline,
  seenLast: RunRecord | undefined,
  context: DueContext,
): Promise<Found> {
  const { schedule, name } = pipeline;
  const { nowMs, intervalSeconds, runLog, clock } = context;
  if (schedule === undefined) return undefined;
  const slotMs = dueAt(schedule, nowMs - intervalSeconds * 1000, nowMs);
  let last = seenLast;
  if (last?.status === "running" && !isAlive(last, clock.now())) {
    await closeAbandonedRuns(pipeline, context);
    last = (await runLog.lastRuns([name])).get(name);
  }
  return slotMs === undefined
    ? await leftSlot(pipeline, last, context)
    : await windowSlot(pipeline, new Date(slotMs).toISOString(), context);
}

async function windowSlot(
  pipeline: DuePipeline,
  slot: string,
  { runLog, clock }: DueContext,
): Promise<Found> {
  const { name } = pipeline;
  const runs = await runLog.list({ pipeline: name, scheduledFor: slot, limit: MAX_SLOT_RUNS });
  if (runs.some(({ status }) => status === "success")) return undefined;
  if (runs.some((run) => isAlive(run, clock.now()))) return "elsewhere";
  if (runs.some(({ status }) => status === "failed")) {
    const state = await runLog.attemptState(name);
    const isOver = state?.nextEligibleAt === undefined && state?.gaveUp !== true;
    if (isOver) return undefined;
  }
  const skippedFor = new Set(
    runs.flatMap(({ status, reason }) =>
      status === "skipped" && reason !== undefined ? [reason] : []
    ),
  );
  return { slot, by: "window", skippedFor };
}

/** A slot before the window whose run is still owed. */
async function leftSlot(
  pipeline: DuePipeline,
  last: RunRecord | undefined,
  { runLog, nowMs }: DueContext,
): Promise<Found> {
  const { name, retry, timezone, dependsOn } = pipeline;
  if (last?.status === "failed" && last.scheduledFor !== undefined) {
    const state = await runLog.attemptState(name);
    const isOwed = state?.nextEligibleAt !== undefined && !state.gaveUp &&
      state.attemptCount < retry.maxAttempts;
    if (isOwed) return { slot: last.scheduledFor, by: "left", skippedFor: new Set() };
  }
  if (dependsOn.length === 0) return undefined;
  const [skip] = await runLog.list({ pipeline: name, status: "skipped", limit: 1 });
  if (skip?.scheduledFor === undefined || !isNotFreshReason(skip.reason)) return undefined;
  const isToday = localDate(Date.parse(skip.scheduledFor), timezone) === localDate(nowMs, timezone);
  const hasRunSince = last !== undefined && last.startedAt > skip.startedAt;
  if (!isToday || hasRunSince) return undefined;
  return { slot: skip.scheduledFor, by: "left", skippedFor: new Set() };
}
