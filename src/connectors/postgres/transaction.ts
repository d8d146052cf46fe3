import { FlowError } from "../../core/error.ts";

/**
 * How a transaction of rows begins. DateStyle and the like decide how the server reads what COPY brings; a role's own settings must not. Constraints that were
 * deferred to COMMIT would fail there, where no row can be named.
 */
export const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL DateStyle = 'ISO, MDY'; " +
  "SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC'; " +
  "SET LOCAL standard_conforming_strings = on; SET CONSTRAINTS ALL IMMEDIATE";

/** `postgres_not_committed`: the transaction is known not to have happened. */
export function notCommitted(targetId: string, cause?: unknown): FlowError {
  return new FlowError(`the transaction in ${targetId} was rolled back instead of committed`, {
    code: "postgres_not_committed",
    domain: "external",
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** `postgres_commit_unknown`: nobody can tell whether the transaction happened. */
export function outcomeUnknown(targetId: string, cause: unknown): FlowError {
  return new FlowError(
    `the connection to ${targetId} broke during COMMIT, and whether the rows are there is not known`,
    {
      code: "postgres_commit_unknown",
      domain: "external",
      retryable: true,
      hint:
        "with exactly-once delivery a restart goes on from the offsets that the target holds; " +
        "otherwise the last rows may come twice",
      cause,
    },
  );
}
