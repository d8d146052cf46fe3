import type { RunLogChoice } from "../core/batch_request.ts";
import type { Clock } from "../core/clock.ts";
import type { Connector } from "../core/connector.ts";
import { describeError, FlowError, toFlowError } from "../core/error.ts";
import type { Observe } from "../core/observation.ts";
import type { RunLog, RunLogContext } from "../core/run_log.ts";
import { LenientRunLog } from "./lenient_run_log.ts";
import { MemoryRunLog } from "./memory_run_log.ts";
import { removeOldRuns } from "./run_log_retention.ts";
import { chooseRunLog, type ChosenRunLog } from "./run_log_location.ts";

/** What is needed to open a run log. */
export interface OpenRunLogContext {
  readonly connectors: readonly Connector[];
  /** Reads a variable of the environment; undefined when it is unset or must not be read. */
  readonly variable: (name: string) => string | undefined;
  /** Whether a variable may be read. */
  readonly isReadable: (name: string) => boolean;
  readonly clock: Clock;
  readonly observe: Observe;
  readonly signal: AbortSignal;
}

/**
 * The run log for commands that run pipelines. Never fails for want of one: when the chosen one cannot be opened, a notice says so and the
 * history of this process is kept in memory; when it fails later, see {@link LenientRunLog}. Old runs are removed from it. To be closed.
 *
 * @throws FlowError `run_log_unsupported` (user) for a place that can never work; otherwise the signal's reason only.
 */
export async function openRunLogToRun(
  choice: RunLogChoice,
  context: OpenRunLogContext,
): Promise<RunLog> {
  const warn = (message: string): void =>
    context.observe({ kind: "notice", pipeline: "run log", message });
  try {
    const chosen = chooseRunLog(choice, context.variable);
    if (chosen.location === "memory") return new MemoryRunLog();
    const { variable, isReadable, clock } = context;
    const opening = await opened(chosen, { readOnly: false }, context);
    const runLog = new LenientRunLog(opening, { clock, warn });
    await removeOldRuns(runLog, { variable, isReadable, clock, warn });
    return runLog;
  } catch (thrown) {
    context.signal.throwIfAborted();
    const { code, hint } = toFlowError(thrown);
    if (code === "run_log_unsupported") throw thrown;
    const advice = hint === undefined ? "" : ` (${hint})`;
    warn(`${describeError(thrown)}${advice}. Continuing without durable run history`);
    return new MemoryRunLog();
  }
}

/**
 * The run log for commands that only look: `runs`, `logs`, `status`. In the default place it need not be there yet: then it is empty. To be closed.
 *
 * @throws FlowError `run_log_unavailable`, `run_log_unsupported`, `run_log_homeless` …, or the signal's reason.
 */
export async function openRunLogToRead(
  choice: RunLogChoice,
  context: OpenRunLogContext,
): Promise<RunLog> {
  const chosen = chooseRunLog(choice, context.variable);
  if (chosen.location === "memory") return new MemoryRunLog();
  try {
    return await opened(chosen, { readOnly: true }, context);
  } catch (thrown) {
    const cause = thrown instanceof FlowError ? thrown.cause : undefined;
    const isMissing = cause instanceof FlowError && cause.code === "run_log_missing";
    if (isMissing && chosen.from === "home") return new MemoryRunLog();
    throw thrown;
  }
}

async function opened(
  { location }: ChosenRunLog,
  how: RunLogContext,
  context: OpenRunLogContext,
): Promise<RunLog> {
  if (location === "memory") return new MemoryRunLog();
  const connector = context.connectors.find(({ kind }) => kind === location.kind);
  if (connector?.openRunLog === undefined) {
    throw new FlowError(`cannot keep the run log at ${location.shown}`, {
      code: "run_log_unsupported",
      domain: "user",
      hint: "give sqlite://path/run_log.db, postgres://user@host/database, or memory://",
    });
  }
  const runLog = connector.openRunLog(location, how);
  await runLog.open(context.signal);
  return runLog;
}
