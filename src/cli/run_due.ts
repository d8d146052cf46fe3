import type { DueSummary } from "../core/batch_request.ts";
import { FlowError } from "../core/error.ts";
import type { Observation } from "../core/observation.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES, exitCodeOf } from "./exit_code.ts";
import { observationJson } from "./observation_text.ts";
import { requiredPipelines } from "./pipeline_words.ts";
import { NO_RUN_LOG_HELP, RUN_LOG_FLAGS, RUN_LOG_HELP, runLogChoice } from "./run_log_flags.ts";
import { RunNarrator } from "./run_narrator.ts";
import { dueJson, isStopped } from "./run_text.ts";
import { timeArgument } from "./time_argument.ts";

const DEFAULT_INTERVAL_SECONDS = 60;

const HELP = `flow run-due: run the declared pipelines whose schedule is due, once, and end

Examples:
  * * * * * flow run-due --module /srv/pipelines.ts          a line of a crontab
  flow run-due --module pipelines.ts --interval 300          called every five minutes
  flow run-due pipelines.toml --now 2026-01-31T12:00:00Z
  flow run-due --module pipelines.ts --run-log postgres://flow@logdb/flow_history

Usage:
  flow run-due FILE.toml [flags]
  flow run-due --module M [flags]

Due are the pipelines whose schedule falls into (now - interval, now], and those whose retry is due.
Upstreams run first; a pipeline whose upstreams are not fresh is skipped. Standard output gets one
line of JSON, whatever the format: {"ran":[…],"failed":[…],"skipped":[{"pipeline":…,"reason":…}]}.
Standard error tells firing, failed and skipped pipelines as it goes.

When pipelines failed, the exit code is that of the first failure (see flow help exit-codes), so
that anything but 0 means: look at "failed". Skipped pipelines are no failure.

Flags:
  --module M         the TypeScript module that defines the pipelines
  --now T            the time to look at, instead of the clock's
  --interval N       seconds since the last call, default 60
${RUN_LOG_HELP}${NO_RUN_LOG_HELP}  --format FORMAT    of standard error: text (default) or json
  -q, --quiet        nothing on standard error but errors
  -v, --verbose      tell everything that happens
  -h, --help         this text
Permission flags: flow help permissions. Exit codes: flow help exit-codes.
`;

/** `flow run-due`. */
export const runDue: Command = {
  name: "run-due",
  summary: "run the declared pipelines that are due, from cron",
  help: HELP,
  flags: ["module", "now", "interval", ...RUN_LOG_FLAGS],
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { flags, terminal } = context;
  const runLog = runLogChoice(flags);
  const now = flags.now === undefined
    ? undefined
    : timeArgument("now", flags.now, "a time in ISO-8601");
  const input = await requiredPipelines("run-due", context);
  const narrator = new DueNarrator(context);
  const { summary } = await ask(
    context,
    {
      do: "run_due",
      input,
      intervalSeconds: flags.interval ?? DEFAULT_INTERVAL_SECONDS,
      runLog,
      ...(now === undefined ? {} : { now }),
    },
    "run_due",
    {
      observe: (observation) => narrator.observe(observation),
      isCutShort: ({ summary: { failed } }) => failed.some(({ record }) => isStopped(record)),
    },
  );
  narrator.end(summary);
  terminal.out(`${JSON.stringify(dueJson(summary))}\n`);
  return exitCodeOfDue(summary);
}

/** That of the first failure; a failure without an error is a bug. */
function exitCodeOfDue({ failed }: DueSummary): number {
  const [first] = failed;
  if (first === undefined) return EXIT_CODES.done;
  const { error } = first.record;
  return error === undefined ? EXIT_CODES.bug : exitCodeOf(FlowError.fromData(error));
}

/** `firing: x`, `failed: x: …` and `skipping: x (…)`, as it goes on. */
class DueNarrator {
  readonly #context: CommandContext;
  readonly #runs: RunNarrator;

  constructor(context: CommandContext) {
    this.#context = context;
    this.#runs = new RunNarrator(context);
  }

  observe(observation: Observation): void {
    const { quiet, format } = this.#context.flags;
    switch (observation.kind) {
      case "pipeline_firing":
        if (!quiet) this.#tell("firing", observation, "");
        return;
      case "pipeline_skipped":
        if (!quiet) this.#tell("skipping", observation, ` (${observation.reason})`);
        return;
      case "error": {
        const { message, hint } = observation.error;
        this.#tell("failed", observation, `: ${message}`);
        if (hint === undefined || format === "json") return;
        this.#context.terminal.error(`${this.#context.style.cyan("hint:")} ${hint}\n`);
        return;
      }
      default:
        this.#runs.observe(observation);
    }
  }

  /** What the runs found out besides. */
  end({ ran, failed }: DueSummary): void {
    for (const { record, notices } of [...ran, ...failed]) {
      for (const notice of notices) this.#runs.notice(record.pipeline, notice);
    }
  }

  #tell(what: "firing" | "failed" | "skipping", observation: Observation, rest: string): void {
    const { flags, terminal, style } = this.#context;
    const paint = what === "failed" ? style.red : style.bold;
    terminal.error(
      flags.format === "json"
        ? `${JSON.stringify({ observation: observationJson(observation) })}\n`
        : `${paint(`${what}:`)} ${observation.pipeline}${rest}\n`,
    );
  }
}
