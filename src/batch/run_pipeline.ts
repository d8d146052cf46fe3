import type { BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import { FlowError, toFlowError } from "../core/error.ts";
import type { TargetOutcome } from "../core/run_log.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { loadName } from "./prepare_load.ts";
import { RunProgress } from "./run_progress.ts";
import { runTarget } from "./run_target.ts";
import { shownTable } from "./target_table.ts";

/** What a run of a pipeline did. */
export interface PipelineRun {
  readonly targets: readonly TargetOutcome[];
  readonly notices: readonly string[];
}

/** How a pipeline is run. */
export interface RunPipelineOptions {
  /** scd2: versions from this moment on are made anew (microseconds since the epoch). */
  readonly restateFromMicros?: bigint;
  /** What earlier attempts of this run have loaded is not loaded again. The run adds what it does itself. */
  readonly progress?: RunProgress;
}

/**
 * Runs a declared pipeline once: each target in a transaction of its own, in order. Without `continueOnFailure` the first target that fails
 * ends the run.
 *
 * @throws FlowError the failure of the target that failed; with `continueOnFailure` one that tells the failures of all of them
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
  const { completed, inDoubt } = options.progress ?? new RunProgress();
  const parentRunId = spec.targets.length > 1 ? deps.pipelineRunId() : undefined;
  const failures: TargetFailure[] = [];
  for (const target of spec.targets) {
    const name = loadName(spec, target);
    if (completed.has(name)) continue;
    try {
      const run = await runTarget(spec, target, deps, {
        dryRun: false,
        inDoubt,
        ...(parentRunId === undefined ? {} : { parentRunId }),
        ...restatement(target, options),
      });
      for (const message of run.notices) {
        deps.observe({ kind: "notice", pipeline: spec.name, message });
      }
      completed.set(name, run);
    } catch (thrown) {
      if (deps.signal.aborted || !spec.continueOnFailure) throw thrown;
      const failure = { target: shownTable(target.table.ref), error: toFlowError(thrown) };
      failures.push(failure);
      deps.observe({ kind: "notice", pipeline: spec.name, message: `failed: ${told(failure)}` });
    }
  }
  const [first] = failures;
  if (first !== undefined) throw allFailures(spec, first, failures);
  const runs = spec.targets.map((target) => completed.get(loadName(spec, target)))
    .filter((run) => run !== undefined);
  return {
    targets: runs.map(({ outcome }) => outcome),
    notices: [...new Set(runs.flatMap(({ notices }) => notices))],
  };
}

interface TargetFailure {
  readonly target: string;
  readonly error: FlowError;
}

function told({ target, error }: TargetFailure): string {
  return `${target}: ${error.message}`;
}

/** The first failure is what the error is about. A further attempt may help when it may help one of them: the targets that have their rows are left out then. */
function allFailures(
  spec: BatchSpec,
  { error }: TargetFailure,
  failures: readonly TargetFailure[],
): FlowError {
  const { code, domain, hint, details } = error;
  return new FlowError(
    `${failures.length} of ${spec.targets.length} targets failed: ${failures.map(told).join("; ")}`,
    {
      code,
      domain,
      retryable: failures.some((failure) => failure.error.retryable),
      ...(hint === undefined ? {} : { hint }),
      details: { ...details, targets: failures.map(({ target }) => target).join(", ") },
      cause: new AggregateError(failures.map((failure) => failure.error)),
    },
  );
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
