import { FlowError } from "../core/error.ts";
import type { ConnectionListing, DefinitionInput } from "../core/request.ts";
import type { Command, CommandContext } from "./command.ts";
import { definitionInput } from "./definition_input.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES, exitCodeOf } from "./exit_code.ts";
import { usageError } from "./flags.ts";
import { nearestName } from "../config/key_names.ts";

const HELP = `flow connections: the connections that are configured, and whether they work

Examples:
  flow connections list
  flow connections check warehouse
  flow connections check warehouse --module pipelines.ts
  flow connections list pipeline.toml --format json

Usage:
  flow connections list [FILE.toml | --module M] [flags]
  flow connections check NAME [FILE.toml | --module M] [flags]

list shows name, kind, address without credentials, and where each connection comes from.
check connects as a pipeline would, and disconnects; nothing is written.

Connections are looked for in this order: EMATIX_FLOW_DSN_<NAME> (EMATIX_FLOW_DSN for 'default'),
./.ematix-flow.toml, ~/.ematix-flow/connections.toml, then what the module that is given defines.

Flags:
  --module M         a TypeScript module that defines connections
  --format FORMAT    text (default) or json
  -h, --help         this text
Permission flags: flow help permissions. Exit codes: flow help exit-codes.
`;

/** `flow connections`. */
export const connections: Command = {
  name: "connections",
  summary: "list the configured connections, or check one",
  help: HELP,
  flags: ["module"],
  run,
};

const ACTIONS = ["list", "check"];

async function run(context: CommandContext): Promise<number> {
  const [action, ...words] = context.words;
  if (action === "list") return await list(context, await definitionInput(context, words));
  if (action === "check") {
    const [name, ...others] = words;
    if (name === undefined) {
      throw usageError("which connection is to be checked?", "flow connections check NAME");
    }
    return await check(context, name, await definitionInput(context, others));
  }
  if (action === undefined) {
    throw usageError(
      "'flow connections' needs to know what to do",
      "flow connections list, or flow connections check NAME",
    );
  }
  const near = nearestName(action, ACTIONS);
  throw usageError(
    `unknown command 'flow connections ${action}'`,
    near === undefined ? "it has list and check" : `did you mean flow connections ${near}?`,
  );
}

async function list(
  context: CommandContext,
  input: DefinitionInput | undefined,
): Promise<number> {
  const { terminal, flags } = context;
  const result = await ask(
    context,
    { do: "connections_list", ...(input === undefined ? {} : { input }) },
    "connections_list",
  );
  if (flags.format === "json") {
    terminal.out(`${JSON.stringify({ connections: result.connections })}\n`);
  } else if (result.connections.length === 0) {
    terminal.out("no connections configured\n");
  } else {
    terminal.out(aligned(result.connections));
  }
  return EXIT_CODES.done;
}

/** Lines of `name  kind  shown  from`, in columns. */
function aligned(listings: readonly ConnectionListing[]): string {
  const rows = listings.map(({ name, kind, shown, from }) => [name, kind, shown, from]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()}\n`
  ).join("");
}

async function check(
  context: CommandContext,
  name: string,
  input: DefinitionInput | undefined,
): Promise<number> {
  const { terminal, flags, style } = context;
  try {
    const { shown, detail } = await ask(
      context,
      { do: "connections_check", name, ...(input === undefined ? {} : { input }) },
      "connections_check",
    );
    terminal.out(
      flags.format === "json"
        ? `${JSON.stringify({ name, ok: true, shown, detail })}\n`
        : `${name}: ok (${[shown, detail].filter((text) => text !== "").join("; ")})\n`,
    );
    return EXIT_CODES.done;
  } catch (error) {
    const unreachable = error instanceof FlowError && error.domain === "external";
    if (!unreachable || flags.format === "json") throw error;
    terminal.error(`${name}: ${style.red("unreachable")} — ${error.message}\n`);
    if (error.hint !== undefined) terminal.error(`${style.cyan("hint:")} ${error.hint}\n`);
    return exitCodeOf(error);
  }
}
