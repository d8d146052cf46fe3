import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { namedPipeline } from "./pipeline_words.ts";
import { NO_RUN_LOG_HELP, RUN_LOG_FLAGS, RUN_LOG_HELP, runLogChoice } from "./run_log_flags.ts";
import { RunNarrator } from "./run_narrator.ts";
import { errorOf, isStopped, runJson, summaryLines } from "./run_text.ts";
import { timeArgument } from "./time_argument.ts";

const HELP = `flow run: run one declared pipeline now

Examples:
  flow run --module pipelines.ts ingest_events
  flow run pipelines.toml daily_rollups --format json
  flow run --module pipelines.ts sync_customers --restate-from 2026-01-01
  flow run --module pipelines.ts ingest_events --run-log postgres://flow@logdb/flow_history

Usage:
  flow run FILE.toml [NAME] [flags]
  flow run --module M [NAME] [flags]      NAME may be left out where there is one pipeline

Runs the pipeline whether it is due or not, once, in one transaction per target. Prints what each
target got. With --format json one line on standard output:
{"run_id":…,"pipeline":…,"status":"success","path":…,"rows_inserted":…,"targets":[…], …}
A run that failed says what failed and what to do on standard error; what it wrote is rolled back.

Flags:
  --module M         the TypeScript module that defines the pipeline
  --restate-from T   mode scd2: make the versions from this date or time on anew from the source
${RUN_LOG_HELP}${NO_RUN_LOG_HELP}  --format FORMAT    text (default) or json
  -q, --quiet        nothing but errors
  -v, --verbose      tell everything that happens
  -h, --help         this text
Permission flags: flow help permissions. Exit codes: flow help exit-codes.
`;

/** `flow run`. */
export const run: Command = {
  name: "run",
  summary: "run a declared pipeline now",
  help: HELP,
  flags: ["module", "restate-from", ...RUN_LOG_FLAGS],
  run: runOne,
};

async function runOne(context: CommandContext): Promise<number> {
  const { flags, terminal, style } = context;
  const runLog = runLogChoice(flags);
  const from = flags["restate-from"];
  const restateFrom = from === undefined
    ? undefined
    : timeArgument("restate-from", from, "a date or time in ISO-8601");
  const named = await namedPipeline("run", context);
  const narrator = new RunNarrator(context);
  const { summary } = await ask(
    context,
    {
      do: "run",
      ...named,
      runLog,
      ...(restateFrom === undefined ? {} : { restateFrom }),
    },
    "run",
    {
      observe: (observation) => narrator.observe(observation),
      isCutShort: ({ summary }) => isStopped(summary.record),
    },
  );
  const { record, notices } = summary;
  for (const notice of notices) narrator.notice(record.pipeline, notice);
  const failed = record.status === "failed";
  if (flags.format === "json") terminal.out(`${JSON.stringify(runJson(record))}\n`);
  else if (!failed && !flags.quiet) terminal.out(summaryLines(summary, style));
  else if (failed) terminal.error(summaryLines(summary, style));
  if (failed) throw errorOf(record);
  return EXIT_CODES.done;
}
