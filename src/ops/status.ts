import type { StatusRow } from "../core/batch_request.ts";
import type { RunLog } from "../core/run_log.ts";
import { asItStands } from "./abandoned_runs.ts";
import { staleUpstreams, upstreamRuns } from "./dependencies.ts";
import type { DuePipeline } from "./due_plan.ts";
import { nextDue } from "./schedule.ts";

/** What `flow status` is told of. */
export interface StatusContext {
  readonly runLog: RunLog;
  readonly nowMs: number;
}

/**
 * One row per pipeline, in their order: its last run, when it is due next, where its retries stand, and the upstreams that would keep it waiting now.
 *
 * @throws FlowError `run_log_unavailable`; `schedule_invalid` (user).
 */
export async function statusRows(
  pipelines: readonly DuePipeline[],
  { runLog, nowMs }: StatusContext,
): Promise<StatusRow[]> {
  const last = await runLog.lastRuns(pipelines.map(({ name }) => name));
  const upstreams = await upstreamRuns(runLog, [
    ...new Set(pipelines.flatMap(({ dependsOn }) => dependsOn)),
  ]);
  const rows: StatusRow[] = [];
  for (const pipeline of pipelines) {
    const { name, schedule, retry, dependsOn } = pipeline;
    const lastRun = last.get(name);
    const dueMs = schedule === undefined ? undefined : nextDue(schedule, nowMs);
    const state = await runLog.attemptState(name);
    rows.push({
      name,
      ...(schedule === undefined ? {} : { schedule: schedule.cron }),
      ...(lastRun === undefined ? {} : { lastRun: asItStands(lastRun, nowMs) }),
      ...(dueMs === undefined ? {} : { nextDue: new Date(dueMs).toISOString() }),
      retry: {
        maxAttempts: retry.maxAttempts,
        attemptCount: state?.attemptCount ?? 0,
        ...(state?.nextEligibleAt === undefined ? {} : { nextEligibleAt: state.nextEligibleAt }),
        gaveUp: state?.gaveUp ?? false,
      },
      dependsOn,
      waitingOn: staleUpstreams(pipeline, upstreams, nowMs),
    });
  }
  return rows;
}
