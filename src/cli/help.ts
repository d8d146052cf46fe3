import { nearestName } from "../config/key_names.ts";
import type { Command, CommandContext } from "./command.ts";
import { connections } from "./connections.ts";
import { consume } from "./consume.ts";
import { consumeList } from "./consume_list.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { usageError } from "./flags.ts";
import { list } from "./list.ts";
import { logs } from "./logs.ts";
import { dryRun, preview } from "./preview.ts";
import { run as runPipeline } from "./run.ts";
import { runDue } from "./run_due.ts";
import { runs } from "./runs.ts";
import { sql } from "./sql.ts";
import { status } from "./status.ts";
import { validate } from "./validate.ts";

const HELP = `flow help: how flow is used

Examples:
  flow help
  flow help consume
  flow help exit-codes
  flow help permissions
`;

const EXIT_CODES_HELP = `Exit codes of flow

  0    done; also after a signal, when the batch under way was finished and committed
  1    a bug of flow: please report it, with what -v shows
  2    usage: a command, flag, value, pipeline name or run id that does not exist
  10   the definition or configuration is wrong (a TOML file, a module's definition, a connection)
  11   data: rows that could not be processed, with nowhere to put them
  12   denied: a permission flag is missing, or an import is not allowed
  13   the user's module failed, or took too long
  20   an external system (broker, database, network, disk) is away or refused
  130  stopped at once by a second SIGINT (by the first where there is no batch to finish)
  143  stopped at once by a second SIGTERM (likewise)

flow run-due ends with the code of the first pipeline that failed, flow validate with 1 when it
found problems, flow dry-run with the code of the error that flow run would end with.

With --format json the error is one line on standard error,
{"error":{"code":…,"domain":…,"retryable":…,"message":…}}; its code says more exactly what happened.
`;

const PERMISSIONS_HELP = `Permissions: what a pipeline and the engine may reach

Examples:
  flow consume pipeline.toml --allow-net=localhost:9092 --allow-read=. --allow-write=out
  flow consume --module pipelines.ts --sandbox
  flow consume --module pipelines.ts --allow-env=KAFKA_BOOTSTRAP,WAREHOUSE_DSN --allow-net

The flags are Deno's, and may stand anywhere after the command:

  --allow-read[=PATHS]    read files             (-R)
  --allow-write[=PATHS]   write files            (-W)
  --allow-net[=HOSTS]     reach hosts            (-N)    HOST or HOST:PORT
  --allow-env[=NAMES]     read variables         (-E)
  --allow-sys[=KINDS]     ask about the system   (-S)
  --allow-all             everything             (-A)
  --deny-…[=LIST]         all but these
  --sandbox               nothing, but for what the other flags allow

Without any of them everything is allowed that the user who starts flow may do. Modules never load
native libraries, run programs or import remote code, whatever the flags. A denial ends with code 12
and names the missing flag.
`;

/** Texts that are no command's. */
const TOPICS: Readonly<Record<string, string>> = {
  "exit-codes": EXIT_CODES_HELP,
  permissions: PERMISSIONS_HELP,
};

/** `flow help`. */
export const help: Command = {
  name: "help",
  summary: "how a command is used; also: exit-codes, permissions",
  help: HELP,
  flags: [],
  run,
};

/** All commands, in the order of the overview. */
export const COMMANDS: readonly Command[] = [
  consume,
  consumeList,
  list,
  runPipeline,
  runDue,
  status,
  preview,
  dryRun,
  validate,
  runs,
  logs,
  sql,
  connections,
  help,
];

/** The command of that name. Throws `usage_invalid` with the nearest one. */
export function commandNamed(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  const near = nearestName(name, COMMANDS.map((candidate) => candidate.name));
  throw usageError(
    `unknown command '${name}'`,
    near !== undefined
      ? `did you mean flow ${near}?`
      : /\.toml$/i.test(name)
      ? `flow consume ${name}`
      : "the commands are shown by: flow help",
  );
}

/** What `flow help` prints. */
export function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `flow: from a topic into a table, exactly once; from table to table, on schedule

Examples:
  flow consume pipeline.toml
  flow consume --module pipelines.ts events_to_pg --metrics-port 9100
  flow run --module pipelines.ts daily_rollups
  flow run-due --module pipelines.ts
  flow sql "SELECT * FROM orders" --connection warehouse
  flow connections check warehouse

Commands:
${lines.join("")}
flow COMMAND --help shows examples and flags. flow --version shows the version.
`;
}

function run({ words, terminal }: CommandContext): Promise<number> {
  const [name, extra] = words;
  if (extra !== undefined) {
    throw usageError(`'flow help' takes one name, not also '${extra}'`, "flow help NAME");
  }
  if (name === undefined) terminal.out(overview());
  else terminal.out(TOPICS[name] ?? helpOf(name));
  return Promise.resolve(EXIT_CODES.done);
}

function helpOf(name: string): string {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return command.help;
  const known = [...COMMANDS.map((candidate) => candidate.name), ...Object.keys(TOPICS)];
  const near = nearestName(name, known);
  throw usageError(
    `there is no help on '${name}'`,
    near === undefined ? `there is help on ${known.join(", ")}` : `did you mean flow help ${near}?`,
  );
}
