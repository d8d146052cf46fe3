import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { requiredPipelines } from "./pipeline_words.ts";
import { alignedRows } from "./text_table.ts";

const HELP = `flow list: the pipelines that are defined

Examples:
  flow list --module pipelines.ts
  flow list pipelines.toml --format json | jq -r '.[].name'

Usage:
  flow list FILE.toml [flags]
  flow list --module M [flags]

Prints name, kind (pipeline or streaming) and schedule of each. With --format json one line
[{"name":…,"kind":…,"schedule":…}]; schedule is null for pipelines without one. Nothing is
connected to.

Flags:
  --module M         the TypeScript module
  --format FORMAT    text (default) or json
  -h, --help         this text
Permission flags: flow help permissions.
`;

/** `flow list`. */
export const list: Command = {
  name: "list",
  summary: "list the pipelines that are defined",
  help: HELP,
  flags: ["module"],
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { flags, terminal } = context;
  const input = await requiredPipelines("list", context);
  const { definitions } = await ask(context, { do: "list", input }, "list");
  if (flags.format === "json") {
    const listed = definitions.map(({ name, kind, schedule }) => ({
      name,
      kind,
      schedule: schedule ?? null,
    }));
    terminal.out(`${JSON.stringify(listed)}\n`);
    return EXIT_CODES.done;
  }
  terminal.out(alignedRows(
    definitions.map(({ name, kind, schedule }) => [name, kind, schedule ?? "(unscheduled)"]),
  ));
  return EXIT_CODES.done;
}
