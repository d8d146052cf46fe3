import { FlowError } from "../../core/error.ts";

/**
 * Errors of statements on a target's file, as flow tells them: what the disk, the memory or a second writer did is no fault of the user's
 * SQL. Anything else stays as it is.
 */
export function fileFailure(error: unknown, path: string): unknown {
  if (!(error instanceof FlowError) || !error.code.startsWith("sql_")) return error;
  const { message } = error;
  if (error.code === "sql_interrupted") return error;
  if (/^TransactionContext Error|[Cc]onflict/.test(message)) {
    return new FlowError(`cannot write to the DuckDB file '${path}': ${message}`, {
      code: "duckdb_write_conflict",
      domain: "external",
      retryable: true,
      hint: "somebody else in this process writes to the same rows; the batch is written again",
      details: { path },
      cause: error,
    });
  }
  if (error.code === "sql_out_of_memory") {
    return new FlowError(`a statement on the DuckDB file '${path}' needs more memory: ${message}`, {
      code: "duckdb_out_of_memory",
      domain: "user",
      hint: "give the connection a larger max_memory_mib; indexes have to lie in memory whole",
      details: { path },
      cause: error,
    });
  }
  if (/^(IO|FATAL|Fatal|INTERNAL)\b/.test(message)) {
    return new FlowError(`cannot write to the DuckDB file '${path}': ${message}`, {
      code: "duckdb_io_failed",
      domain: "external",
      retryable: true,
      hint: "see that the disk has room and this user may write there",
      details: { path },
      cause: error,
    });
  }
  return error;
}
