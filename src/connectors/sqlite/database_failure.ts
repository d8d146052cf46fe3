import { FlowError } from "../../core/error.ts";

const UNFIT =
  /constraint failed|datatype mismatch|cannot store .* value in|string or blob too big|does not fit|is no time/;

/** Errors of statements on an SQLite file by the codes that all databases share. */
export function databaseFailure(error: unknown): unknown {
  if (!(error instanceof FlowError)) return error;
  const { message, details } = error;
  const init = { domain: "user", details, cause: error } as const;
  if (error.code === "sqlite_busy") {
    return new FlowError(message, {
      code: "database_busy",
      domain: "external",
      retryable: true,
      hint: "another program writes to the file and does not finish; try again",
      details,
      cause: error,
    });
  }
  if (error.code !== "sqlite_failed") return error;
  if (message.includes("readonly database")) {
    return new FlowError(message, {
      ...init,
      code: "permission_denied",
      hint: "a source is only read; write with a target, to a file that this user may write",
    });
  }
  if (UNFIT.test(message)) {
    return new FlowError(message, {
      ...init,
      code: "load_rejected",
      hint: "correct the value with SQL in the query, or change the table",
    });
  }
  return new FlowError(message, {
    ...init,
    code: "query_invalid",
    hint: "correct the SQL; names are those of the file's tables",
  });
}
