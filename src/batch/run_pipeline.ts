import type { BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import { FlowError } from "../core/error.ts";
import type { TargetOutcome } from "../core/run_log.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { loadName } from "./prepare_load.ts";
import { runTarget, type TargetRun } from "./run_target.ts";

/** What a run of a pipeline did. */
export interface PipelineRun {
  readonly targets: readonly TargetOutcome[];
  readonly notices: readonly string[];
}

/** How a pipeline is run. */
export interface RunPipelineOptions {
  /** scd2: versions from this moment on are made anew (microseconds since the epoch). */
  readonly restateFromMicros?: bigint;
  /**
   * Targets that earlier attempts of this run have loaded: they are not loaded again. The run adds those that it completes, so that the same map given to the
   * next attempt makes it go on where this one failed.
   */
  readonly completed?: Map<string, TargetRun>;
}

/**
 * Runs a declared pipeline once: each target in a transaction of its own, in order. Without `continueOnFailure` the first target that fails
 * ends the run.
 *
 * @throws FlowError the failure of the first target that failed, after the others were run where that is asked for
 * @example
 * ```ts ignore
 * const { targets } = await runPipeline(spec, dependencies);
 * console.log(targets[0]?.rowsInserted);
 * ```
 */
export async function runPipeline(
  spec: BatchSpec,
  deps: BatchDependencies,
  options: RunPipelineOptions = {},
): Promise<PipelineRun> {
  refuseRestatement(spec, options);
  const completed = options.completed ?? new Map<string, TargetRun>();
  const parentRunId = spec.targets.length > 1 ? deps.pipelineRunId() : undefined;
  let failure: unknown;
  for (const target of spec.targets) {
    const name = loadName(spec, target);
    if (completed.has(name)) continue;
    try {
      const run = await runTarget(spec, target, deps, {
        dryRun: false,
        ...(parentRunId === undefined ? {} : { parentRunId }),
        ...restatement(target, options),
      });
      for (const message of run.notices) {
        deps.observe({ kind: "notice", pipeline: spec.name, message });
      }
      completed.set(name, run);
    } catch (error) {
      if (deps.signal.aborted || !spec.continueOnFailure) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  const runs = spec.targets.map((target) => completed.get(loadName(spec, target)))
    .filter((run) => run !== undefined);
  return {
    targets: runs.map(({ outcome }) => outcome),
    notices: [...new Set(runs.flatMap(({ notices }) => notices))],
  };
}

function restatement(target: BatchTarget, { restateFromMicros }: RunPipelineOptions) {
  return restateFromMicros === undefined || target.mode !== "scd2" ? {} : { restateFromMicros };
}

function refuseRestatement(spec: BatchSpec, options: RunPipelineOptions): void {
  if (options.restateFromMicros === undefined) return;
  if (spec.targets.some(({ mode }) => mode === "scd2")) return;
  throw new FlowError(`pipeline '${spec.name}' keeps no versions that could be restated`, {
    code: "restate_unsupported",
    domain: "user",
    hint: "--restate-from is for pipelines of mode scd2",
    details: { pipeline: spec.name },
  });
}
