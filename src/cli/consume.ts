import { systemClock } from "../core/clock.ts";
import { FlowError, toFlowError } from "../core/error.ts";
import type { Observation } from "../core/observation.ts";
import type { ConsumeSummary, DefinitionInput, EngineRequest } from "../core/request.ts";
import { type RestartPolicy, supervise } from "../ops/supervisor.ts";
import { runInEngine } from "../sandbox/engine_host.ts";
import type { Command, CommandContext } from "./command.ts";
import { definitionInput } from "./definition_input.ts";
import { answerOf, Stopped } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { type FlagName, usageError } from "./flags.ts";
import { Interrupts } from "./interrupts.ts";
import { Progress } from "./progress.ts";
import { resultJson, summaryText } from "./summary.ts";
import { Totals } from "./totals.ts";

const HELP = `flow consume: run a streaming pipeline

Examples:
  flow consume pipeline.toml
  flow consume pipeline.toml --until-end --format json
  flow consume --module pipelines.ts events_to_pg --metrics-port 9100
  flow consume pipeline.toml --restart-on-error --max-backoff-ms 30000 --max-restarts 100
  flow consume pipeline.toml --allow-net=localhost:9092,localhost:5432 --allow-env=PGPASSWORD

Usage:
  flow consume FILE.toml [flags]
  flow consume --module M [NAME] [flags]      NAME may be left out when M defines one pipeline

Runs until a signal comes. The first SIGTERM or SIGINT finishes and commits the batch under way
and ends with 0, a second one stops at once. Progress goes to standard error.

Flags:
  --module M             the TypeScript module that defines the pipeline
  --until-end            stop at the end that the sources have now, instead of waiting for more
  --restart-on-error     start again after an error that a restart may mend
  --min-backoff-ms N     wait before the first restart, default 1000; doubles with every further one
  --max-backoff-ms N     longest wait, default 60000
  --max-restarts N       give up after this many restarts in a row; without it never.
                         A run that lasted a minute counts as healthy and begins anew
  --metrics-port P       serve /metrics (Prometheus), /healthz and /readyz; 0 takes a free port
  --profile              tell the milliseconds spent per stage at the end
  --format FORMAT        text (default), or json: the result as one line on standard output,
                         progress and errors as lines of JSON on standard error
  -q, --quiet            nothing but errors
  -v, --verbose          tell everything that happens
  --no-color             no colours; NO_COLOR does the same
  -h, --help             this text
Permission flags: flow help permissions. Exit codes: flow help exit-codes.
`;

/** `flow consume`. */
export const consume: Command = {
  name: "consume",
  summary: "run a streaming pipeline",
  help: HELP,
  flags: [
    "module",
    "until-end",
    "restart-on-error",
    "min-backoff-ms",
    "max-backoff-ms",
    "max-restarts",
    "metrics-port",
    "profile",
  ],
  run,
};

const DEFAULT_MIN_BACKOFF_MS = 1000;
const DEFAULT_MAX_BACKOFF_MS = 60_000;
const RESTART_FLAGS = ["min-backoff-ms", "max-backoff-ms", "max-restarts"] as const;

async function run(context: CommandContext): Promise<number> {
  const { flags, terminal, style } = context;
  const policy = restartPolicy(context);
  const progress = createProgress(context);
  const totals = new Totals();
  const port = flags["metrics-port"];
  const metrics = port === undefined ? undefined : await metricsServer(port);
  const observe = (observation: Observation) => {
    totals.observe(observation);
    metrics?.observe(observation);
    progress.observe(observation);
  };
  const interrupts = new Interrupts({
    drains: true,
    onDrain: (signal) =>
      progress.say(`${signal}: finishing the batch under way; a second signal stops at once`),
    onStop: () => progress.say("stopping at once; what is not committed will be read again"),
  });
  terminal.onClosed(() => interrupts.requestDrain());
  const startedAt = systemClock.monotonic();
  try {
    if (metrics !== undefined) {
      progress.say(`metrics: http://localhost:${metrics.port}/metrics`);
    }
    const request = await consumeRequest(context, interrupts);
    let summary: ConsumeSummary | undefined;
    if (request !== undefined) {
      progress.start();
      const run = { context, request, totals, interrupts, observe };
      summary = policy === undefined ? await attempt(run) : await supervised(run, policy);
      await progress.stop();
    }
    const result = {
      pipeline: summary?.pipeline ?? totals.pipeline ?? namedBy(context),
      totals,
      elapsedMs: systemClock.monotonic() - startedAt,
      reason: summary?.reason ?? "stopped",
      profile: flags.profile,
    };
    if (flags.format === "json") terminal.out(`${resultJson(result)}\n`);
    else if (!flags.quiet) terminal.error(summaryText(result, style));
    return EXIT_CODES.done;
  } catch (error) {
    await progress.stop();
    if (interrupts.stopCode !== undefined) throw new Stopped(interrupts.stopCode);
    throw error;
  } finally {
    interrupts.close();
    await metrics?.close();
  }
}

/** Its library is loaded for those who ask for metrics. */
async function metricsServer(port: number) {
  const { startMetricsServer } = await import("../ops/metrics_server.ts");
  return startMetricsServer({ port });
}

type ConsumeRequest = EngineRequest & { readonly do: "consume" };

/** Everything that the attempts of one `flow consume` share. */
interface ConsumeRun {
  readonly context: CommandContext;
  readonly request: ConsumeRequest;
  readonly totals: Totals;
  readonly interrupts: Interrupts;
  readonly observe: (observation: Observation) => void;
}

/** `undefined` when a signal came while the module was loaded. */
async function consumeRequest(
  context: CommandContext,
  { drain }: Interrupts,
): Promise<ConsumeRequest | undefined> {
  const { flags, words } = context;
  const fromModule = flags.module !== undefined;
  const [name, ...others] = words;
  if (fromModule && others.length > 0) {
    throw usageError(
      `'flow consume' runs one pipeline, but ${words.length} are named: ${words.join(", ")}`,
      "start a flow consume for each",
    );
  }
  let input: DefinitionInput | undefined;
  try {
    input = await definitionInput(context, fromModule ? [] : words, drain);
  } catch (error) {
    if (drain.aborted && !(error instanceof FlowError)) return undefined;
    throw error;
  }
  if (input === undefined) {
    throw usageError(
      "'flow consume' needs a pipeline",
      "flow consume FILE.toml, or flow consume --module M NAME",
    );
  }
  return {
    do: "consume",
    input,
    untilEnd: flags["until-end"],
    ...(fromModule && name !== undefined ? { pipeline: name } : {}),
  };
}

/** One run in an engine of its own. */
async function attempt(run: ConsumeRun): Promise<ConsumeSummary> {
  const { context, request, totals, interrupts, observe } = run;
  try {
    const result = await runInEngine({ ...request, attempt: totals.attempt }, {
      permissions: context.permissions,
      observe,
      drain: interrupts.drain,
      now: interrupts.now,
    });
    return answerOf(result, "consume").summary;
  } catch (thrown) {
    const error = toFlowError(thrown);
    const pipeline = totals.pipeline ?? namedBy(context);
    observe({ kind: "error", pipeline, error: error.toData() });
    throw error;
  }
}

/** Runs again after errors; `undefined` when a signal came during a wait, in which nothing is under way. */
async function supervised(
  run: ConsumeRun,
  policy: RestartPolicy,
): Promise<ConsumeSummary | undefined> {
  let waiting = false;
  try {
    return await supervise(
      () => {
        waiting = false;
        return attempt(run);
      },
      policy,
      {
        clock: systemClock,
        random: Math.random,
        signal: run.interrupts.drain,
        onRestart: (error, waitMs, restart) => {
          waiting = true;
          const pipeline = run.totals.pipeline ?? namedBy(run.context);
          run.observe({ kind: "retrying", pipeline, error: error.toData(), waitMs, restart });
        },
      },
    );
  } catch (error) {
    if (waiting && run.interrupts.drain.aborted) return undefined;
    throw error;
  }
}

/** What the command line calls the pipeline, for as long as its definition is not read. */
function namedBy({ flags, words }: CommandContext): string {
  return words[0] ?? flags.module ?? "pipeline";
}

function restartPolicy({ flags }: CommandContext): RestartPolicy | undefined {
  const min = flags["min-backoff-ms"];
  const max = flags["max-backoff-ms"];
  if (!flags["restart-on-error"]) {
    const idle: FlagName | undefined = RESTART_FLAGS.find((name) => flags[name] !== undefined);
    if (idle === undefined) return undefined;
    throw usageError(
      `--${idle} has no effect without --restart-on-error`,
      "add --restart-on-error",
    );
  }
  if (min !== undefined && max !== undefined && min > max) {
    throw usageError(
      `--min-backoff-ms ${min} is more than --max-backoff-ms ${max}`,
      "make the longest wait at least as long as the first",
    );
  }
  return {
    minBackoffMs: min ?? Math.min(DEFAULT_MIN_BACKOFF_MS, max ?? DEFAULT_MIN_BACKOFF_MS),
    maxBackoffMs: max ?? Math.max(DEFAULT_MAX_BACKOFF_MS, min ?? DEFAULT_MAX_BACKOFF_MS),
    ...(flags["max-restarts"] === undefined ? {} : { maxRestarts: flags["max-restarts"] }),
  };
}

function createProgress({ flags, terminal, style }: CommandContext): Progress {
  const isTerminal = Deno.stderr.isTerminal();
  return new Progress({
    clock: systemClock,
    write: (text) => terminal.error(text),
    style,
    mode: flags.format === "json" ? "json" : isTerminal ? "live" : "plain",
    detail: flags.quiet ? "quiet" : flags.verbose ? "verbose" : "normal",
    ...(isTerminal ? { columns: () => Deno.consoleSize().columns } : {}),
  });
}
