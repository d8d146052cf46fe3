import { FlowError } from "../../core/error.ts";
import { withoutStatement } from "../../sql/sql_error.ts";
import { fileFailure } from "./file_failure.ts";

/** What DuckDB says when values or rows do not fit. */
const UNFIT = /^(Constraint|Conversion|Out of Range|Mismatch Type) Error/;
/** What `duckdbDialect.cast` says. */
const UNFIT_CAST = /^Invalid Input Error: the value '/;
/** At the end of a transaction that wrote a key twice. */
const UNFIT_COMMIT = /^TransactionContext Error: Failed to commit: .*constraint/i;

/**
 * Errors of statements on a DuckDB file by the codes that all databases share: `load_rejected`, `duckdb_out_of_memory`, `database_busy` (two transactions wrote
 * to the same rows: DuckDB lets the second one fail at once), `permission_denied` (a write on a session that only reads), `query_invalid`.
 *
 * @param work `query` is one that somebody wrote: what the engine points at in it stays in the message
 */
export function databaseFailure(
  error: unknown,
  path: string,
  work: "query" | "write",
): unknown {
  if (!(error instanceof FlowError)) return error;
  if (error.code === "sql_out_of_memory") return fileFailure(error, path);
  if (!/^sql_(invalid|failed)$/.test(error.code)) return error;
  const { message } = error;
  const init = { domain: "user", details: { path }, cause: error } as const;
  const isUnfit = UNFIT.test(message) || UNFIT_CAST.test(message) || UNFIT_COMMIT.test(message);
  if (isUnfit && work === "query") {
    return new FlowError(`a query of the DuckDB file '${path}' failed: ${message}`, {
      ...init,
      code: "query_invalid",
      hint: "correct the value with SQL in the query; TRY_CAST makes NULL of what does not fit",
    });
  }
  if (isUnfit) {
    const reason = withoutStatement(message);
    return new FlowError(`the DuckDB file '${path}' does not take a value: ${reason}`, {
      ...init,
      code: "load_rejected",
      hint: "correct the value with SQL in the query, or change the table",
    });
  }
  if (message.includes("attached in read-only mode")) {
    return new FlowError(`cannot write to the DuckDB file '${path}': it is open to read only`, {
      ...init,
      code: "permission_denied",
      hint: "a source is only read; write with a target",
    });
  }
  const known = fileFailure(error, path);
  if (known instanceof FlowError && known.code === "duckdb_write_conflict") {
    return new FlowError(known.message, {
      code: "database_busy",
      domain: "external",
      retryable: true,
      hint: "another transaction in this process wrote to the same rows; try again",
      details: { path },
      cause: error,
    });
  }
  if (known !== error) return known;
  return new FlowError(`a statement on the DuckDB file '${path}' is not valid: ${message}`, {
    ...init,
    code: "query_invalid",
    hint: "correct the SQL; names are those of the file's tables",
  });
}
