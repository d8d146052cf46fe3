import type { StatusRow } from "../core/batch_request.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { allPipelines } from "./pipeline_words.ts";
import { NO_RUN_LOG_HELP, RUN_LOG_FLAGS, RUN_LOG_HELP, runLogChoice } from "./run_log_flags.ts";
import { firstLine, runJson, secondsText } from "./run_text.ts";
import { headedTable } from "./text_table.ts";

const HELP = `flow status: where the declared pipelines stand

Examples:
  flow status --module pipelines.ts
  flow status --module pipelines.ts --run-log postgres://flow@logdb/flow_history
  flow status --run-log postgres://flow@logdb/flow_history      the pipelines that the log knows
  flow status pipelines.toml --format json | jq '.[] | select(.waiting_on != [])'

Usage:
  flow status [FILE.toml | --module M] [flags]

A table: NAME, SCHEDULE, LAST RUN (its end, or its start while it goes on), OUTCOME (ok, fail,
running), RETRY (attempts of the policy used, when the next may start, or gave up), NEXT DUE,
DEPENDS ON, WAITING ON (upstreams that are not fresh). Below it the last error of each pipeline that
failed. Without definitions there are no schedules and dependencies.

With --format json a list with the keys name, schedule, depends_on, last_run ([time, ok]), run,
next_due, waiting_on, last_error, retry_policy, attempt_state.

Flags:
  --module M         the TypeScript module that defines the pipelines
${RUN_LOG_HELP}${NO_RUN_LOG_HELP}  --format FORMAT    text (default) or json
  -h, --help         this text
Permission flags: flow help permissions.
`;

/** `flow status`. */
export const status: Command = {
  name: "status",
  summary: "where the declared pipelines stand",
  help: HELP,
  flags: ["module", ...RUN_LOG_FLAGS],
  run,
};

const HEADER = [
  "NAME",
  "SCHEDULE",
  "LAST RUN",
  "OUTCOME",
  "RETRY",
  "NEXT DUE",
  "DEPENDS ON",
  "WAITING ON",
];

async function run(context: CommandContext): Promise<number> {
  const { flags, terminal, style } = context;
  const runLog = runLogChoice(flags);
  const input = await allPipelines(context);
  const { rows } = await ask(
    context,
    { do: "status", runLog, ...(input === undefined ? {} : { input }) },
    "status",
  );
  if (flags.format === "json") {
    terminal.out(`${JSON.stringify(rows.map(statusJson))}\n`);
    return EXIT_CODES.done;
  }
  if (rows.length === 0) {
    terminal.out(input === undefined ? "no runs recorded\n" : "no pipelines registered\n");
    return EXIT_CODES.done;
  }
  terminal.out(headedTable(HEADER, rows.map(statusCells)));
  const failed = rows.filter(({ lastRun }) => lastRun?.error !== undefined);
  if (failed.length > 0) terminal.out("\n");
  for (const { name, lastRun } of failed) {
    const message = firstLine(lastRun?.error?.message ?? "");
    terminal.out(`${style.bold(`${name}:`)} ${message} (flow runs show ${lastRun?.runId})\n`);
  }
  return EXIT_CODES.done;
}

/** The cells of one pipeline, in the order of the table's header. */
export function statusCells(row: StatusRow): string[] {
  const { lastRun } = row;
  return [
    row.name,
    row.schedule ?? "(unscheduled)",
    lastRun === undefined ? "never" : secondsText(lastRun.finishedAt ?? lastRun.startedAt),
    outcomeText(row),
    retryText(row.retry),
    row.nextDue === undefined ? "-" : secondsText(row.nextDue),
    row.dependsOn.join(",") || "-",
    row.waitingOn.join(",") || "-",
  ];
}

function outcomeText({ lastRun }: StatusRow): string {
  if (lastRun === undefined) return "-";
  const { status } = lastRun;
  return status === "success" ? "ok" : status === "failed" ? "fail" : status;
}

function retryText(retry: StatusRow["retry"]): string {
  if (retry.maxAttempts <= 1) return "no retry";
  const used = `${retry.attemptCount}/${retry.maxAttempts}`;
  if (retry.gaveUp) return `${used} gave up`;
  return retry.nextEligibleAt === undefined
    ? used
    : `${used} next>${secondsText(retry.nextEligibleAt)}`;
}

/** One pipeline with the keys that scripts written for the earlier system look for, and more. */
export function statusJson(row: StatusRow): Readonly<Record<string, unknown>> {
  const { lastRun, retry } = row;
  return {
    name: row.name,
    schedule: row.schedule ?? null,
    depends_on: row.dependsOn,
    last_run: lastRun === undefined
      ? null
      : [lastRun.finishedAt ?? lastRun.startedAt, lastRun.status === "success"],
    run: lastRun === undefined ? null : runJson(lastRun),
    last_error: lastRun?.error ?? null,
    next_due: row.nextDue ?? null,
    waiting_on: row.waitingOn,
    retry_policy: { max_attempts: retry.maxAttempts },
    attempt_state: {
      attempt_count: retry.attemptCount,
      next_eligible_at: retry.nextEligibleAt ?? null,
      gave_up: retry.gaveUp,
    },
  };
}
