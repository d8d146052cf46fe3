import type { ConsumeSummary } from "../core/request.ts";
import { countText, durationText, rowsText } from "./number_text.ts";
import type { Style } from "./terminal.ts";
import type { Totals } from "./totals.ts";

/** What a finished `flow consume` has to tell. */
export interface ConsumeOutcome {
  readonly pipeline: string;
  readonly totals: Totals;
  readonly elapsedMs: number;
  readonly reason: ConsumeSummary["reason"];
  /** Whether the time per stage was asked for. */
  readonly profile: boolean;
}

/**
 * The result as one line of JSON. `total_rows` (rows that reached the targets), `iterations` and `shutdown_triggered` are the names
 * that scripts written for the earlier system look for.
 */
export function resultJson(
  { pipeline, totals, elapsedMs, reason, profile }: ConsumeOutcome,
): string {
  return JSON.stringify({
    pipeline,
    rows_consumed: totals.rowsConsumed,
    rows_written: totals.rowsWritten,
    rows_dead_lettered: totals.rowsDeadLettered,
    rows_dropped: totals.rowsDropped,
    batches: totals.batches,
    elapsed_ms: Math.round(elapsedMs),
    reason,
    total_rows: totals.rowsWritten,
    iterations: totals.iterations,
    shutdown_triggered: reason === "stopped",
    ...(profile ? { stage_ms: Object.fromEntries(roundedStages(totals)) } : {}),
  });
}

/** The result for people: one line, and one per stage when a profile was asked for. */
export function summaryText(outcome: ConsumeOutcome, style: Style): string {
  const { pipeline, totals, elapsedMs, reason, profile } = outcome;
  const parts = [
    `${rowsText(totals.rowsConsumed)} read`,
    `${countText(totals.rowsWritten)} written`,
    ...(totals.rowsDeadLettered === 0
      ? []
      : [style.yellow(`${countText(totals.rowsDeadLettered)} to the dead letters`)]),
    ...(totals.rowsDropped === 0 ? [] : [style.yellow(`${countText(totals.rowsDropped)} dropped`)]),
    ...(totals.restarts === 0
      ? []
      : [`${countText(totals.restarts)} ${totals.restarts === 1 ? "restart" : "restarts"}`]),
  ];
  const rate = countText(totals.rowsConsumed / Math.max(elapsedMs / 1000, 0.001));
  const word = reason === "end" ? "done" : "stopped";
  const line = `${style.bold(`${pipeline}: ${word}`)}: ${parts.join(", ")} in ${
    durationText(elapsedMs)
  } (${rate} rows/s)\n`;
  return profile ? line + profileText(totals) : line;
}

function profileText(totals: Totals): string {
  const stages = roundedStages(totals);
  if (stages.length === 0) return "time per stage: no batch was committed\n";
  const width = Math.max(...stages.map(([stage]) => stage.length));
  const cells = stages.map(([, ms]) => `${countText(ms)} ms`);
  const cellWidth = Math.max(...cells.map((cell) => cell.length));
  const lines = stages.map(([stage], i) =>
    `  ${stage.padEnd(width)}  ${(cells[i] ?? "").padStart(cellWidth)}\n`
  );
  return `time per stage (stages overlap):\n${lines.join("")}`;
}

function roundedStages(totals: Totals): [string, number][] {
  return [...totals.stageMs].map(([stage, ms]) => [stage, Math.round(ms)]);
}
