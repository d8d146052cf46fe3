import { FlowError } from "../../core/error.ts";
import type { PostgresAddress } from "./address.ts";
import { isServerError, type ServerError, toPostgresError } from "./postgres_error.ts";

/** What was going on when the error came. */
export interface FailedWork {
  /** `run a statement`, `load into shop.orders`. */
  readonly doing: string;
  /** The statement as the server got it, for the position that the error tells. */
  readonly statement?: string;
  /** Rows were being written: values that do not fit are those of the load, otherwise the query's own affair. */
  readonly writes: boolean;
}

/** Codes of the sink that callers of databases know by other names. */
const CODES: Readonly<Record<string, string>> = {
  postgres_unreachable: "database_unreachable",
  postgres_busy: "database_busy",
  postgres_auth_failed: "database_auth_failed",
  postgres_permission_denied: "permission_denied",
  postgres_statement_invalid: "query_invalid",
};

/** Of an upsert: a row would be touched twice. Rows of one key are refused before, so that only the table takes the keys for equal. */
const CARDINALITY = "21000";
const LOOSE_KEYS =
  "the table takes some keys for equal that differ in the query (char(n), a collation without case): " +
  "make the query unique as the table compares";

const QUERY_ADVICE = "correct the SQL; it is in Postgres's own dialect";

/** Features that are not there, and names of schemas, cursors and prepared statements. */
const STATEMENT_STATES = /^(0A|2[67]|34|3F|42)/;
/** Values, constraints, exceptions of triggers and functions, and limits such as that of an index's row. */
const VALUE_STATES = /^(2[123]|44|54|P0)/;

/**
 * The error with one of the codes that `DatabaseSession` promises. What is neither the server's nor the network's (the reason of an abort) comes back
 * as it is.
 */
export function toDatabaseError(
  error: unknown,
  work: FailedWork,
  address: PostgresAddress,
): unknown {
  const told = toPostgresError(error, work.doing, address);
  if (!(told instanceof FlowError)) return told;
  // A FlowError has been told before, perhaps by the session that is read from.
  const server = isServerError(error) ? error : undefined;
  const code = codeOf(told, server, work);
  if (server === undefined && code === told.code) return told;
  const position = server === undefined ? undefined : positionOf(server, work.statement);
  const shown = position === undefined
    ? ""
    : ` (line ${position.line}, column ${position.character})`;
  const advice = code === "query_invalid" ? QUERY_ADVICE : undefined;
  const hint = server?.code === CARDINALITY ? LOOSE_KEYS : server?.hint ?? told.hint ?? advice;
  const isOwn = code === "query_invalid" || code === "load_rejected";
  return new FlowError(`${told.message}${shown}`, {
    code,
    domain: isOwn ? "user" : told.domain,
    retryable: isOwn ? false : told.retryable,
    ...(hint === undefined ? {} : { hint }),
    details: { ...told.details, ...(position ?? {}), ...partsOf(server) },
    cause: told.cause ?? told,
  });
}

function codeOf(told: FlowError, server: ServerError | undefined, work: FailedWork): string {
  if (server !== undefined) {
    if (server.code === "42501") return "permission_denied";
    if (STATEMENT_STATES.test(server.code)) return "query_invalid";
    if (VALUE_STATES.test(server.code)) return work.writes ? "load_rejected" : "query_invalid";
  }
  return CODES[told.code] ?? told.code;
}

interface Position {
  readonly line: number;
  /** Within the line, from 1. */
  readonly character: number;
}

/** The server counts characters, from 1. */
function positionOf(error: ServerError, statement: string | undefined): Position | undefined {
  if (statement === undefined || error.position === undefined) return undefined;
  const before = [...statement].slice(0, Number(error.position) - 1).join("");
  const lines = before.split("\n");
  return { line: lines.length, character: [...(lines.at(-1) ?? "")].length + 1 };
}

/** Which column and constraint refused a value. */
function partsOf(error: ServerError | undefined): Readonly<Record<string, string>> {
  if (error === undefined) return {};
  const copied = /, column ([^:]+)(?::|$)/.exec(error.where ?? "")?.[1];
  const column = error.column ?? copied;
  return {
    ...(column === undefined ? {} : { column }),
    ...(error.table === undefined ? {} : { table: error.table }),
    ...(error.constraint === undefined ? {} : { constraint: error.constraint }),
    ...(error.where === undefined || copied === undefined ? {} : { where: error.where }),
  };
}
