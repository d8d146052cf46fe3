import type { FlowError } from "../core/error.ts";
import type { Style } from "./terminal.ts";

/** How an error is told. */
export interface ReportOptions {
  readonly format: "text" | "json";
  readonly verbose: boolean;
  readonly style: Style;
}

/**
 * The text for standard error that tells an error: `error: …` and `hint: …`, or one line of JSON. The stack is shown only for a bug,
 * and only when asked for with `-v`.
 */
export function reportError(error: FlowError, options: ReportOptions): string {
  if (options.format === "json") return `${JSON.stringify({ error: error.toData() })}\n`;
  const { style } = options;
  const lines = [`${style.red(style.bold("error:"))} ${error.message}`];
  if (error.hint !== undefined) lines.push(`${style.cyan("hint:")} ${error.hint}`);
  else if (error.domain === "internal") {
    lines.push(`${style.cyan("hint:")} this is a bug of flow; -v shows where it happened`);
  }
  if (options.verbose) {
    lines.push(style.dim(`code: ${error.code}`));
    const { cause } = error.toData();
    if (cause !== undefined && cause !== error.message) lines.push(style.dim(`cause: ${cause}`));
    if (error.domain === "internal") {
      const thrown = error.cause instanceof Error ? error.cause : error;
      if (thrown.stack !== undefined) lines.push(style.dim(thrown.stack));
    }
  }
  return `${lines.join("\n")}\n`;
}
