import { nearestName } from "../config/key_names.ts";
import { systemClock } from "../core/clock.ts";
import type { RunRecord } from "../core/run_log.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { usageError } from "./flags.ts";
import { countText } from "./number_text.ts";
import { READ_LOG_FLAGS, RUN_LOG_HELP, runLogChoice } from "./run_log_flags.ts";
import { countsText, durationOf, firstLine, runJson, secondsText } from "./run_text.ts";
import { headedTable } from "./text_table.ts";
import { sinceArgument } from "./time_argument.ts";

const DEFAULT_LIMIT = 50;

const HELP = `flow runs: the history of runs

Examples:
  flow runs list
  flow runs list --pipeline ingest_events --status failed --since 7d
  flow runs list --run-log postgres://flow@logdb/flow_history --format json
  flow runs show ingest_events-20260131T120000-1

Usage:
  flow runs list [flags]
  flow runs show RUN_ID [flags]

list shows runs, newest first; show tells all about one. With --format json one line: a list of
runs, or one run, with the keys that flow run --format json prints. What a run wrote is shown by
flow logs RUN_ID.

Flags:
  --pipeline NAME    only the runs of this pipeline
  --status S         only running, success, failed or skipped ones
  --since T          only those started since then: a time in ISO-8601, or an age (90m, 24h, 7d)
  --limit N          at most so many, default 50
${RUN_LOG_HELP}  --format FORMAT    text (default) or json
  -h, --help         this text
Permission flags: flow help permissions.
`;

/** `flow runs`. */
export const runs: Command = {
  name: "runs",
  summary: "the history of runs: list, show",
  help: HELP,
  flags: ["pipeline", "status", "since", "limit", ...READ_LOG_FLAGS],
  run,
};

const ACTIONS = ["list", "show"];
const LIST_FLAGS = ["pipeline", "status", "since", "limit"] as const;

async function run(context: CommandContext): Promise<number> {
  const [action, ...words] = context.words;
  const [word, extra] = words;
  if (action === "list") {
    if (word !== undefined) {
      throw usageError(
        `'${word}' is one word too many`,
        `flow runs list --pipeline ${word}, or flow runs show ${word}`,
      );
    }
    return await list(context);
  }
  if (action === "show") {
    if (word === undefined) throw usageError("which run is to be shown?", "flow runs show RUN_ID");
    if (extra !== undefined) {
      throw usageError(`'${extra}' is one word too many`, "flow runs show RUN_ID");
    }
    const idle = LIST_FLAGS.find((name) => context.flags[name] !== undefined);
    if (idle !== undefined) {
      throw usageError(`--${idle} has no effect with 'flow runs show'`, `leave --${idle} out`);
    }
    return await show(context, word);
  }
  if (action === undefined) {
    throw usageError(
      "'flow runs' needs to know what to do",
      "flow runs list, or flow runs show RUN_ID",
    );
  }
  const near = nearestName(action, ACTIONS);
  throw usageError(
    `unknown command 'flow runs ${action}'`,
    near === undefined ? "it has list and show" : `did you mean flow runs ${near}?`,
  );
}

async function list(context: CommandContext): Promise<number> {
  const { flags, terminal } = context;
  const { pipeline, status, since } = flags;
  const { runs: found } = await ask(
    context,
    {
      do: "runs_list",
      runLog: runLogChoice(flags),
      limit: flags.limit ?? DEFAULT_LIMIT,
      ...(pipeline === undefined ? {} : { pipeline }),
      ...(status === undefined ? {} : { status }),
      ...(since === undefined ? {} : { since: sinceArgument(since, systemClock) }),
    },
    "runs_list",
  );
  if (flags.format === "json") terminal.out(`${JSON.stringify(found.map(runJson))}\n`);
  else if (found.length === 0) terminal.out("no runs\n");
  else terminal.out(headedTable(HEADER, found.map(cellsOf)));
  return EXIT_CODES.done;
}

const HEADER = ["RUN ID", "PIPELINE", "STATUS", "STARTED", "TOOK", "ROWS", "MESSAGE"];

function cellsOf(run: RunRecord): string[] {
  const rows = run.targets.reduce(
    (sum, { rowsInserted, rowsUpdated = 0, rowsDeleted = 0 }) =>
      sum + rowsInserted + rowsUpdated + rowsDeleted,
    0,
  );
  return [
    run.runId,
    run.pipeline,
    run.status,
    secondsText(run.startedAt),
    durationOf(run) ?? "-",
    run.targets.length === 0 ? "-" : countText(rows),
    firstLine(run.error?.message ?? run.reason ?? ""),
  ];
}

async function show(context: CommandContext, runId: string): Promise<number> {
  const { flags, terminal, style } = context;
  const request = { do: "runs_show", runLog: runLogChoice(flags), runId } as const;
  const { run: found } = await ask(context, request, "runs_show");
  if (flags.format === "json") {
    terminal.out(`${JSON.stringify(runJson(found))}\n`);
    return EXIT_CODES.done;
  }
  const took = durationOf(found);
  const lines = [
    style.bold(found.runId),
    `  pipeline:  ${found.pipeline}`,
    `  status:    ${found.status}`,
    `  attempt:   ${found.attempt}`,
    ...(found.scheduledFor === undefined ? [] : [`  scheduled: ${found.scheduledFor}`]),
    `  started:   ${found.startedAt}`,
    ...(found.finishedAt === undefined ? [] : [`  finished:  ${found.finishedAt} (${took})`]),
    ...found.targets.map((target) => `  target:    ${target.target}: ${countsText(target)}`),
    ...(found.reason === undefined ? [] : [`  reason:    ${found.reason}`]),
    ...(found.error === undefined ? [] : [
      `  error:     ${found.error.message.replaceAll("\n", "\n             ")}`,
      `  code:      ${found.error.code}`,
      ...(found.error.hint === undefined ? [] : [`  hint:      ${found.error.hint}`]),
    ]),
  ];
  terminal.out(`${lines.join("\n")}\n`);
  return EXIT_CODES.done;
}
