import type { Command, CommandContext } from "./command.ts";
import { definitionInput } from "./definition_input.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { usageError } from "./flags.ts";

const HELP = `flow consume-list: the streaming pipelines that a module defines

Examples:
  flow consume-list --module pipelines.ts
  flow consume-list --module pipelines.ts --format json | jq -r '.pipelines[]'

Usage:
  flow consume-list --module M [flags]

Prints one name per line. With --format json one line {"pipelines":[…],"details":[…]}:
the names, and for each its sources and targets.

Flags:
  --module M         the TypeScript module
  --format FORMAT    text (default) or json
  -h, --help         this text
Permission flags: flow help permissions.
`;

/** `flow consume-list`. */
export const consumeList: Command = {
  name: "consume-list",
  summary: "list the streaming pipelines of a module",
  help: HELP,
  flags: ["module"],
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { flags, words, terminal } = context;
  const input = await definitionInput(context, words);
  if (input === undefined) {
    throw usageError("'flow consume-list' needs a module", "flow consume-list --module M");
  }
  const { pipelines } = await ask(context, { do: "consume_list", input }, "consume_list");
  if (flags.format === "json") {
    const names = pipelines.map(({ name }) => name);
    terminal.out(`${JSON.stringify({ pipelines: names, details: pipelines })}\n`);
  } else {
    for (const { name } of pipelines) terminal.out(`${name}\n`);
  }
  return EXIT_CODES.done;
}
