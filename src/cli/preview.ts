import type { PipelinePreview } from "../core/batch_request.ts";
import { FlowError } from "../core/error.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { namedPipeline } from "./pipeline_words.ts";
import { previewJson, previewText } from "./preview_text.ts";
import { RunNarrator } from "./run_narrator.ts";

const PREVIEW_HELP = `flow preview: what a declared pipeline would do

Examples:
  flow preview --module pipelines.ts ingest_events
  flow preview --module pipelines.ts ingest_events -v          with the statements
  flow preview pipelines.toml daily_rollups --format json | jq -r '.targets[].plan_sql[]'

Usage:
  flow preview FILE.toml [NAME] [flags]
  flow preview --module M [NAME] [flags]      NAME may be left out where there is one pipeline

Shows source, targets, mode, columns, keys and the way that rows take, and why. The databases are
asked about their tables; nothing is run or written.

Flags:
  --module M         the TypeScript module that defines the pipeline
  --format FORMAT    text (default) or json
  -v, --verbose      the statements too
  -h, --help         this text
Permission flags: flow help permissions.
`;

const DRY_RUN_HELP = `flow dry-run: run a declared pipeline and take it back

Examples:
  flow dry-run --module pipelines.ts ingest_events
  flow dry-run pipelines.toml daily_rollups --format json | jq '.targets[].outcome'

Usage:
  flow dry-run FILE.toml [NAME] [flags]
  flow dry-run --module M [NAME] [flags]      NAME may be left out where there is one pipeline

Does what flow run does, with the rows that there are, in a transaction that is rolled back, and
shows what each target would have got. When something fails, so does the dry run: the exit code is
that of the error.

Flags:
  --module M         the TypeScript module that defines the pipeline
  --format FORMAT    text (default) or json
  -v, --verbose      the statements too
  -h, --help         this text
Permission flags: flow help permissions. Exit codes: flow help exit-codes.
`;

/** `flow preview`. */
export const preview: Command = {
  name: "preview",
  summary: "what a declared pipeline would do",
  help: PREVIEW_HELP,
  flags: ["module"],
  run: (context) => show("preview", context),
};

/** `flow dry-run`. */
export const dryRun: Command = {
  name: "dry-run",
  summary: "run a declared pipeline and roll it back",
  help: DRY_RUN_HELP,
  flags: ["module"],
  run: (context) => show("dry-run", context),
};

async function show(command: "preview" | "dry-run", context: CommandContext): Promise<number> {
  const { flags, terminal, style } = context;
  const named = await namedPipeline(command, context);
  const request = { do: "preview", ...named, dryRun: command === "dry-run" } as const;
  const narrator = new RunNarrator(context);
  const { preview: seen } = await ask(context, request, "preview", {
    observe: (observation) => narrator.observe(observation),
  });
  terminal.out(
    flags.format === "json"
      ? `${JSON.stringify(previewJson(seen))}\n`
      : previewText(seen, { style, statements: flags.verbose }),
  );
  throwFirstError(seen);
  return EXIT_CODES.done;
}

/** A target that failed fails the command, after everything was shown. */
function throwFirstError({ targets }: PipelinePreview): void {
  const error = targets.find((target) => target.error !== undefined)?.error;
  if (error !== undefined) throw FlowError.fromData(error);
}
