import { FlowError } from "../core/error.ts";
import type { RunLog, RunRecord } from "../core/run_log.ts";
import { localDate } from "./schedule.ts";

/** What is looked at of a pipeline here. */
export interface Dependent {
  readonly name: string;
  readonly dependsOn: readonly string[];
}

/** When the upstreams of a pipeline count as fresh. */
export interface FreshnessRule extends Dependent {
  /** IANA name: whose "today" counts. */
  readonly timezone: string;
  readonly upstreamFreshnessSeconds?: number;
}

/**
 * The pipelines in an order in which every one comes after those it depends on; otherwise as they were given. Names that are none of them are left
 * out of account.
 *
 * @throws FlowError `dependency_cycle` (user), which names the ring.
 */
export function inDependencyOrder<P extends Dependent>(pipelines: readonly P[]): P[] {
  const byName = new Map(pipelines.map((pipeline) => [pipeline.name, pipeline]));
  const ordered = new Set<P>();
  const path: string[] = [];
  const visit = (pipeline: P): void => {
    if (ordered.has(pipeline)) return;
    const from = path.indexOf(pipeline.name);
    if (from !== -1) throw cycle([...path.slice(from), pipeline.name]);
    path.push(pipeline.name);
    for (const name of pipeline.dependsOn) {
      const upstream = byName.get(name);
      if (upstream !== undefined) visit(upstream);
    }
    path.pop();
    ordered.add(pipeline);
  };
  for (const pipeline of pipelines) visit(pipeline);
  return [...ordered];
}

function cycle(ring: readonly string[]): FlowError {
  return new FlowError(`pipelines depend on each other in a ring: ${ring.join(" -> ")}`, {
    code: "dependency_cycle",
    domain: "user",
    hint: "take one of these names out of its pipeline's dependsOn",
  });
}

/** What the run log knows of upstreams: the newest run and the newest success of each. */
export interface UpstreamRuns {
  readonly last: ReadonlyMap<string, RunRecord>;
  readonly successes: ReadonlyMap<string, RunRecord>;
}

/** Asks the run log about pipelines. */
export async function upstreamRuns(
  runLog: RunLog,
  names: readonly string[],
): Promise<UpstreamRuns> {
  if (names.length === 0) return { last: new Map(), successes: new Map() };
  const last = await runLog.lastRuns(names);
  return { last, successes: await runLog.lastSuccesses(names) };
}

/**
 * The upstreams of a pipeline that keep it waiting at `nowMs`, in the order of its declaration. With `upstreamFreshnessSeconds`, an upstream is fresh when its last
 * success is no older. Without, it has to have succeeded today (in the time zone of the pipeline that waits) and not to have failed since: a load
 * that broke half-way is no base for what builds on it.
 */
export function staleUpstreams(rule: FreshnessRule, runs: UpstreamRuns, nowMs: number): string[] {
  return rule.dependsOn.filter((name) => {
    const success = runs.successes.get(name);
    if (success === undefined) return true;
    const endedMs = Date.parse(success.finishedAt ?? success.startedAt);
    if (rule.upstreamFreshnessSeconds !== undefined) {
      return nowMs - endedMs > rule.upstreamFreshnessSeconds * 1000;
    }
    const last = runs.last.get(name);
    if (last?.status === "failed" && last.startedAt > success.startedAt) return true;
    return localDate(endedMs, rule.timezone) < localDate(nowMs, rule.timezone);
  });
}

/** Why a pipeline waits, as the run log and people get it. */
export function notFreshReason(upstreams: readonly string[]): string {
  return `${NOT_FRESH}${upstreams.join(",")}`;
}

/** True for a reason that {@link notFreshReason} made. */
export function isNotFreshReason(reason: string | undefined): boolean {
  return reason?.startsWith(NOT_FRESH) ?? false;
}

const NOT_FRESH = "upstream not fresh: ";
