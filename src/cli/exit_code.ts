import type { FlowError } from "../core/error.ts";

/** What flow's exit codes mean; `flow help exit-codes` prints this table. */
export const EXIT_CODES = {
  done: 0,
  bug: 1,
  /** `flow validate` did its work, and has something to tell: the same number as in the older system. */
  problems: 1,
  usage: 2,
  definition: 10,
  data: 11,
  denied: 12,
  module: 13,
  external: 20,
  interrupted: 130,
  terminated: 143,
} as const;

/** Errors about what the command line names, as against what stands in the definition. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  "usage_invalid",
  "permission_flag_invalid",
  "pipeline_unknown",
  "pipeline_name_missing",
  "run_unknown",
]);

/** Errors about rows that stand in a source or do not fit a target. */
const DATA_CODES: ReadonlySet<string> = new Set([
  "load_rejected",
  "key_duplicate",
  "key_null",
  "empty_source",
]);

const DENIED = /^permission_|^sql_denied$|_import_refused$/;

/** The exit code for an error that ended the program. */
export function exitCodeOf(error: FlowError): number {
  if (USAGE_CODES.has(error.code)) return EXIT_CODES.usage;
  if (error.domain === "internal") return EXIT_CODES.bug;
  if (error.domain === "external") return EXIT_CODES.external;
  if (error.code.startsWith("row_") || DATA_CODES.has(error.code)) return EXIT_CODES.data;
  if (DENIED.test(error.code)) return EXIT_CODES.denied;
  if (error.code.startsWith("module_")) return EXIT_CODES.module;
  return EXIT_CODES.definition;
}
