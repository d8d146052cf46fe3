import type { RunLogLine } from "../core/run_log.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { usageError } from "./flags.ts";
import { READ_LOG_FLAGS, RUN_LOG_HELP, runLogChoice } from "./run_log_flags.ts";
import { secondsText } from "./run_text.ts";
import type { Style } from "./terminal.ts";

const HELP = `flow logs: what one run wrote

Examples:
  flow logs ingest_events-20260131T120000-1
  flow logs ingest_events-20260131T120000-1 --tail 20
  flow logs ingest_events-20260131T120000-1 --format json | jq -r 'select(.level == "error").text'

Usage:
  flow logs RUN_ID [flags]

Prints time, level and text of each line. With --format json each line is an object
{"at":…,"level":…,"text":…} on a line of its own. Run ids are shown by flow runs list.

Flags:
  --tail N           only the last N lines
${RUN_LOG_HELP}  --format FORMAT    text (default) or json
  -h, --help         this text
Permission flags: flow help permissions.
`;

/** `flow logs`. */
export const logs: Command = {
  name: "logs",
  summary: "what one run wrote",
  help: HELP,
  flags: ["tail", ...READ_LOG_FLAGS],
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { flags, words, terminal, style } = context;
  const [runId, extra] = words;
  if (runId === undefined) {
    throw usageError("'flow logs' needs the id of a run", "flow logs RUN_ID; see flow runs list");
  }
  if (extra !== undefined) {
    throw usageError(`'${extra}' is one word too many`, "flow logs RUN_ID");
  }
  const { lines } = await ask(
    context,
    {
      do: "run_lines",
      runLog: runLogChoice(flags),
      runId,
      ...(flags.tail === undefined ? {} : { tail: flags.tail }),
    },
    "run_lines",
  );
  for (const line of lines) {
    terminal.out(
      flags.format === "json"
        ? `${JSON.stringify({ at: line.at, level: line.level, text: line.text })}\n`
        : lineText(line, style),
    );
  }
  return EXIT_CODES.done;
}

function lineText({ at, level, text }: RunLogLine, style: Style): string {
  const paint = level === "error" ? style.red : level === "warning" ? style.yellow : style.dim;
  return `${secondsText(at)} ${paint(level.padEnd(7))} ${text}\n`;
}
