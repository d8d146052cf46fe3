import type { BatchSpec } from "../core/batch_spec.ts";
import type { DatabaseSession, Dialect } from "../core/database.ts";
import { FlowError, toFlowError } from "../core/error.ts";

/** Which of a pipeline's own statements, as definitions call them. */
export type StatementList = "sqlBefore" | "sqlAfter";

/** Statements that begin or end a transaction in every database. `ROLLBACK TO` does not. */
const TRANSACTION = /^(BEGIN(?!\s+NOT\s+ATOMIC)|START\s+TRANSACTION|COMMIT|END|ABORT|ROLLBACK)\b/i;
const TO_SAVEPOINT = /^ROLLBACK\s+(WORK\s+|TRANSACTION\s+)?TO\b/i;
/** Comments are told apart from those that MySQL executes. */
const LEADING = /^(?:\s|;|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|\/\*(?!M?!)[^]*?\*\/)+/;
const SAVEPOINT = "flow_statement";
const SHOWN_CHARACTERS = 100;

/**
 * Refuses statements before and after a load that end its transaction, as far as their text tells: nothing has been done yet.
 *
 * @throws FlowError `transaction_ended` (user)
 */
export function refuseEndingStatements(spec: BatchSpec, dialect: Dialect): void {
  for (const list of ["sqlBefore", "sqlAfter"] as const) {
    for (const statement of spec[list]) {
      const text = statement.replace(LEADING, "");
      const isControl = TRANSACTION.test(text) && !TO_SAVEPOINT.test(text);
      if (!isControl && dialect.commitsByItself?.(text) !== true) continue;
      throw new FlowError(
        `${list} of pipeline '${spec.name}' would end the transaction of the load: ${
          shown(statement)
        }`,
        {
          code: "transaction_ended",
          domain: "user",
          hint: isControl
            ? "leave it out: flow itself begins and commits"
            : `${dialect.kind} commits before and after such a statement: run it outside of the pipeline; DELETE FROM empties a table within a transaction`,
          details: { pipeline: spec.name },
        },
      );
    }
  }
}

/**
 * Runs a pipeline's own statements within the transaction of its load. A statement may end that in ways that its text does not show, such as a
 * procedure that commits: a savepoint, which is gone then, finds it out.
 *
 * @throws FlowError `transaction_ended` (user), and what the statements throw
 */
export async function runUserStatements(
  session: DatabaseSession,
  spec: BatchSpec,
  list: StatementList,
  { dryRun }: { readonly dryRun: boolean },
): Promise<void> {
  for (const statement of spec[list]) {
    if (!session.dialect.savepoints) {
      await session.run(statement);
      continue;
    }
    await session.run(`SAVEPOINT ${SAVEPOINT}`);
    let failure: FlowError | undefined;
    try {
      await session.run(statement);
    } catch (thrown) {
      failure = toFlowError(thrown);
      // After a deadlock there is no transaction either, and where DDL takes part in it, a failure leaves it open.
      if (failure.retryable || failure.domain !== "user" || session.dialect.transactionalDdl) {
        throw thrown;
      }
    }
    try {
      await session.run(`RELEASE SAVEPOINT ${SAVEPOINT}`);
    } catch (thrown) {
      // The connection, and not the savepoint, is gone.
      if (toFlowError(thrown).retryable) throw thrown;
      throw ended(spec, list, statement, dryRun, failure ?? thrown);
    }
    if (failure !== undefined) throw failure;
  }
}

function ended(
  spec: BatchSpec,
  list: StatementList,
  statement: string,
  dryRun: boolean,
  cause: unknown,
): FlowError {
  const stays = list === "sqlBefore"
    ? "nothing was loaded, and what the statement and those before it did stays"
    : "the loaded rows stay";
  return new FlowError(
    `${list} of pipeline '${spec.name}' ended the transaction of the load: ${stays}${
      dryRun ? ", although this is a dry run" : ""
    }: ${shown(statement)}`,
    {
      code: "transaction_ended",
      domain: "user",
      hint:
        "it commits or rolls back by itself, as procedures may: leave that out, or run it outside of the pipeline",
      details: { pipeline: spec.name },
      cause,
    },
  );
}

function shown(statement: string): string {
  const line = statement.trim().replaceAll(/\s+/g, " ");
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line;
}
