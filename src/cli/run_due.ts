import type { DueSummary } from "../core/batch_request.ts";
import { FlowError } from "../core/error.ts";
import type { Observation } from "../core/observation.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES, exitCodeOf } from "./exit_code.ts";
import { requiredPipelines } from "./pipeline_words.ts";
import { NO_RUN_LOG_HELP, RUN_LOG_FLAGS, RUN_LOG_HELP, runLogChoice } from "./run_log_flags.ts";
import { RunNarrator } from "./run_narrator.ts";
import { dueJson } from "./run_text.ts";
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
    { observe: (observation) => narrator.observe(observation) },
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

/** `firing: x` while it goes on, `failed: x: …` and `skipping: x (…)` when it is known. */
class DueNarrator {
  readonly #context: CommandContext;
  readonly #runs: RunNarrator;
  readonly #fired = new Set<string>();

  constructor(context: CommandContext) {
    this.#context = context;
    this.#runs = new RunNarrator(context);
  }

  observe(observation: Observation): void {
    if (observation.kind === "run_started") this.#fire(observation.pipeline);
    this.#runs.observe(observation);
  }

  /** Tells what the observations did not. */
  end({ ran, failed, skipped }: DueSummary): void {
    for (const { record, notices } of [...ran, ...failed]) {
      this.#fire(record.pipeline);
      for (const notice of notices) this.#runs.notice(record.pipeline, notice);
    }
    for (const { record: { pipeline, error }, gaveUp } of failed) {
      const message = error?.message ?? "no error was recorded";
      this.#tell("failed", pipeline, `: ${message}${gaveUp ? " (gave up)" : ""}`, {
        error,
        gave_up: gaveUp,
      });
      if (error?.hint !== undefined && this.#context.flags.format !== "json") {
        const { terminal, style } = this.#context;
        terminal.error(`${style.cyan("hint:")} ${error.hint}\n`);
      }
    }
    for (const { pipeline, reason } of skipped) {
      if (!this.#context.flags.quiet) this.#tell("skipping", pipeline, ` (${reason})`, { reason });
    }
  }

  #fire(pipeline: string): void {
    if (this.#fired.has(pipeline)) return;
    this.#fired.add(pipeline);
    if (!this.#context.flags.quiet) this.#tell("firing", pipeline, "", {});
  }

  #tell(
    what: "firing" | "failed" | "skipping",
    pipeline: string,
    rest: string,
    more: Readonly<Record<string, unknown>>,
  ): void {
    const { flags, terminal, style } = this.#context;
    const paint = what === "failed" ? style.red : style.bold;
    terminal.error(
      flags.format === "json"
        ? `${JSON.stringify({ [what]: { pipeline, ...more } })}\n`
        : `${paint(`${what}:`)} ${pipeline}${rest}\n`,
    );
  }
}
