import { FlowError } from "../core/error.ts";

const USER_ERRORS = /^(Parser|Binder|Catalog|Permission|Invalid Input|Not implemented|Invalid)\b/;

/**
 * Errors of the engine as {@link FlowError}s: `sql_invalid` when the statement cannot be bound, `sql_denied` when it reaches for a file or
 * setting, `sql_failed` when data made it fail (Conversion, Out of Range …), `sql_out_of_memory`, `engine_disk_failed` when its own files cannot
 * be written, `engine_failed` for faults of the engine itself, `sql_interrupted` after `interrupt()`.
 */
export function toSqlError(error: unknown, sql: string): FlowError {
  if (error instanceof FlowError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/^INTERRUPT/i.test(message)) {
    return new FlowError("the statement was interrupted", {
      code: "sql_interrupted",
      domain: "internal",
      retryable: true,
      cause: error,
    });
  }
  if (/^Permission Error/.test(message) || message.includes("configuration has been locked")) {
    const path = /"([^"]+)"/.exec(message)?.[1];
    return new FlowError(
      path === undefined
        ? `SQL was denied: ${firstLine(message)}`
        : `SQL was denied access to '${path}'`,
      {
        code: "sql_denied",
        domain: "user",
        hint: "SQL sees the relation `source` and nothing of the file system or network; " +
          "read files through a source such as object_store_local, with --allow-read=PATH",
        cause: error,
      },
    );
  }
  if (/^Out of Memory Error/.test(message)) {
    return new FlowError(`the engine's memory does not suffice: ${firstLine(message)}`, {
      code: "sql_out_of_memory",
      domain: "user",
      hint:
        "lower max_batch_bytes or max_batch_rows, or let the statement hold fewer rows at a time",
      details: { sql: shortened(sql) },
      cause: error,
    });
  }
  // Reading is left out: what cannot be read are a person's files, never the engine's own.
  if (/^IO Error/.test(message) && /\b(write|writing|space|flush|sync|create)\b/i.test(message)) {
    return new FlowError(`the engine cannot write its files: ${firstLine(message)}`, {
      code: "engine_disk_failed",
      domain: "external",
      retryable: true,
      hint: "make room on the disk of the temporary directory, or name another one with TMPDIR",
      cause: error,
    });
  }
  if (/^(FATAL|INTERNAL) Error/i.test(message)) {
    return new FlowError(`the engine failed: ${message.trim()}`, {
      code: "engine_failed",
      domain: "internal",
      hint: "report it, with the statement",
      details: { sql: shortened(sql) },
      cause: error,
    });
  }
  if (USER_ERRORS.test(message)) {
    return new FlowError(message.trim(), { code: "sql_invalid", domain: "user", cause: error });
  }
  return new FlowError(message.trim(), {
    code: "sql_failed",
    domain: "user",
    details: { sql: shortened(sql) },
    cause: error,
  });
}

function shortened(sql: string): string {
  return sql.length > 300 ? `${sql.slice(0, 300)}…` : sql;
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? text;
}

/**
 * What the engine says, without its look at the statement (`LINE 2: SELECT …`, and the mark below): for errors about statements that the
 * reader has not written.
 */
export function withoutStatement(message: string): string {
  return message.replace(/\s*\nLINE \d+: [^\n]*\n *\^\s*$/, "");
}
