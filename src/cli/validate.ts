import type { ValidationReport } from "../core/batch_request.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { namedPipeline } from "./pipeline_words.ts";
import { RunNarrator } from "./run_narrator.ts";

const HELP = `flow validate: whether declared pipelines fit their databases

Examples:
  flow validate --module pipelines.ts
  flow validate --module pipelines.ts ingest_events
  flow validate pipelines.toml --format json

Usage:
  flow validate FILE.toml [NAME] [flags]
  flow validate --module M [NAME] [flags]      all pipelines without NAME

Connects to the databases and has them prepare the queries; compares the columns with the declared
table and with the target as it is. Nothing is run or written. Prints "NAME: ok" for each, or on
standard error "NAME: failed" and a line for each problem; then the exit code is 1.
With --format json one line [{"pipeline":…,"ok":…,"errors":[…]}] on standard output.

Flags:
  --module M         the TypeScript module that defines the pipelines
  --format FORMAT    text (default) or json
  -h, --help         this text
Permission flags: flow help permissions. Exit codes: flow help exit-codes.
`;

/** `flow validate`. */
export const validate: Command = {
  name: "validate",
  summary: "check declared pipelines against their databases",
  help: HELP,
  flags: ["module"],
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { flags, terminal } = context;
  const named = await namedPipeline("validate", context);
  const narrator = new RunNarrator(context);
  const { reports } = await ask(context, { do: "validate", ...named }, "validate", {
    observe: (observation) => narrator.observe(observation),
  });
  if (flags.format === "json") {
    const told = reports.map(({ pipeline, problems }) => ({
      pipeline,
      ok: problems.length === 0,
      errors: problems,
    }));
    terminal.out(`${JSON.stringify(told)}\n`);
  } else {
    if (reports.length === 0) terminal.out("no pipelines registered\n");
    for (const report of reports) tellReport(report, context);
  }
  return reports.every(({ problems }) => problems.length === 0)
    ? EXIT_CODES.done
    : EXIT_CODES.problems;
}

function tellReport({ pipeline, problems }: ValidationReport, context: CommandContext): void {
  const { terminal, flags, style } = context;
  if (problems.length === 0) {
    if (!flags.quiet) terminal.out(`${pipeline}: ok\n`);
    return;
  }
  terminal.error(`${pipeline}: ${style.red("failed")}\n`);
  for (const problem of problems) terminal.error(`  - ${problem.replaceAll("\n", "\n    ")}\n`);
}
