import type { PipelinePreview, TargetPreview } from "../core/batch_request.ts";
import { countsText, firstLine, type JsonObject, targetJson } from "./run_text.ts";
import type { Style } from "./terminal.ts";

/** How a preview is shown to people. */
export interface PreviewTextOptions {
  readonly style: Style;
  /** Show the statements. */
  readonly statements: boolean;
}

/** A preview for people. */
export function previewText(preview: PipelinePreview, options: PreviewTextOptions): string {
  const { bold, dim, yellow } = options.style;
  const { source } = preview;
  const lines = [
    bold(`${preview.pipeline}${preview.isDryRun ? " (dry run, rolled back)" : ""}`),
    `  schedule:   ${preview.schedule ?? "(unscheduled)"}`,
    `  source:     ${source.connection} ${dim(source.shown)}`,
    ...indented(source.sql, 4),
    ...preview.targets.flatMap((target) => targetLines(target, options)),
    ...preview.notes.map((note) => `${yellow("note:")} ${note}`),
  ];
  return `${lines.join("\n")}\n`;
}

function targetLines(
  target: TargetPreview,
  { style, statements }: PreviewTextOptions,
): string[] {
  const { bold, dim, red } = style;
  const columns = target.declaredColumns.map(({ name, type }) => `${name} ${type}`);
  const lines = [
    "",
    bold(`  -> ${target.target}`),
    `  connection: ${target.connection} ${dim(target.shown)}`,
    `  mode:       ${target.mode}`,
    `  path:       ${target.path} ${dim(`(${target.pathReason})`)}`,
    `  columns:    ${columns.length === 0 ? "those of the query" : columns.join(", ")}`,
    `  added:      ${target.augmentedColumns.join(", ") || "-"}`,
  ];
  if (target.keys.length > 0) {
    lines.push(`  keys:       ${target.keys.join(", ")} ${dim(`(${target.keysReason})`)}`);
  }
  if (target.compareColumns.length > 0) {
    const reason = dim(`(${target.compareColumnsReason})`);
    lines.push(`  compared:   ${target.compareColumns.join(", ")} ${reason}`);
  }
  if (target.outcome !== undefined) lines.push(`  result:     ${countsText(target.outcome)}`);
  if (target.error !== undefined) {
    lines.push(`  ${red("failed:")}     ${firstLine(target.error.message)}`);
  }
  if (statements && target.planSql.length > 0) {
    lines.push("  statements:");
    target.planSql.forEach((sql, at) => {
      lines.push(dim(`    -- ${at + 1} of ${target.planSql.length}`), ...indented(sql, 4));
    });
  }
  return lines;
}

function indented(text: string, spaces: number): string[] {
  return text.trim().split("\n").map((line) => `${" ".repeat(spaces)}${line}`.trimEnd());
}

/** A preview as JSON with the keys of the earlier system, and more. */
export function previewJson(preview: PipelinePreview): JsonObject {
  const { source } = preview;
  return {
    pipeline_name: preview.pipeline,
    schedule: preview.schedule ?? null,
    mode: preview.targets[0]?.mode ?? null,
    source_connection_name: source.connection,
    source_connection_info: source.shown,
    source_sql: source.sql,
    targets: preview.targets.map(targetPreviewJson),
    is_dry_run: preview.isDryRun,
    notes: preview.notes,
  };
}

function targetPreviewJson(target: TargetPreview): JsonObject {
  const { outcome, error } = target;
  return {
    schema_qualified_name: target.target,
    mode: target.mode,
    path: target.path,
    path_reason: target.pathReason,
    declared_columns: target.declaredColumns,
    augmented_columns: target.augmentedColumns,
    merge_keys: target.keys,
    merge_keys_reason: target.keysReason,
    compare_columns: target.compareColumns,
    compare_columns_reason: target.compareColumnsReason,
    target_connection_name: target.connection,
    target_connection_info: target.shown,
    plan_sql: target.planSql,
    dry_run_rows_affected: outcome === undefined
      ? null
      : outcome.rowsInserted + (outcome.rowsUpdated ?? 0) + (outcome.rowsDeleted ?? 0),
    dry_run_error: error ?? null,
    ...(outcome === undefined ? {} : { outcome: targetJson(outcome) }),
  };
}
