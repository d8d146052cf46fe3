import { describeError, FlowError, type FlowErrorInit } from "../../core/error.ts";
import type { PostgresAddress } from "./address.ts";

/** What is being done while there is no connection yet: one connects to a server, and does everything else in it. */
export const CONNECT = "connect";

/** The parts of a server error that flow looks at; `code` is the SQLSTATE. */
export interface ServerError extends Error {
  readonly code: string;
  readonly severity: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly position?: string;
  readonly where?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
}

/** True for an error that the server sent, as opposed to one of the connection. */
export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && "severity" in error && "code" in error &&
    typeof error.code === "string" && /^[0-9A-Z]{5}$/.test(error.code);
}

/**
 * True when single rows may be to blame: their values (class 22), constraints (23, 44), an exception of a trigger (P0001), a text too
 * long for its index (54).
 */
export function isRowError(error: unknown): error is ServerError {
  return isServerError(error) && (/^(22|23|44|54)/.test(error.code) || error.code === "P0001");
}

/**
 * True when a statement does not fit the table (any more): a column, the table, its schema or a unique index is not there, or a column has another
 * type or is generated.
 */
export function isTableChange(error: unknown): boolean {
  return isServerError(error) && TABLE_CHANGES.has(error.code);
}

/** What the server cannot do, two rows of one statement for one key, no transaction or savepoint, a limit: it will say the same again. */
const REFUSED_FOR_GOOD = /^(0A|21|25P01|3B|54)/;

const TABLE_CHANGES: ReadonlySet<string> = new Set([
  "42703",
  "42P01",
  "3F000",
  "42P10",
  "42804",
  "42846",
  "428C9",
]);

/** True when the connection is gone: what it was doing may or may not have happened. */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof FlowError) return error.code === "postgres_unreachable";
  if (isServerError(error)) return /^(08|57P0)/.test(error.code);
  return isNetworkError(error);
}

/** The system's errors carry a name such as ECONNRESET; the driver's own have only their texts. */
function isNetworkError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if ("code" in error && typeof error.code === "string" && /^(E[A-Z_]+)$/.test(error.code)) {
    return true;
  }
  return /^(Connection terminated|Client (has encountered|was closed)|timeout expired|socket)/i
    .test(error.message);
}

/** Deno's own refusal: a missing --allow-net, or --allow-read and --allow-write for a Unix socket. */
function isDenied(error: Error): boolean {
  const code = "code" in error ? error.code : undefined;
  return code === "EPERM" || code === "EACCES" || error.name === "NotCapable" ||
    /^Requires \w+ access to/.test(error.message);
}

/**
 * The error as a {@link FlowError}, when it is one of the server or the network; anything else (the reason of an abort, an error of
 * the engine) comes back as it is.
 *
 * @param doing what was attempted: `write to public.events`, or {@link CONNECT}
 */
export function toPostgresError(
  error: unknown,
  doing: string,
  address: PostgresAddress,
): unknown {
  if (error instanceof FlowError || !(isServerError(error) || isNetworkError(error))) return error;
  if (!isServerError(error)) return connectionFailure(error, doing, address);
  const text = error.detail === undefined ? error.message : `${error.message} (${error.detail})`;
  const init = classify(error, address);
  return failure(error, text, doing, address, {
    ...init,
    ...(init.hint === undefined && error.hint !== undefined ? { hint: error.hint } : {}),
  });
}

/** What went wrong while connecting, whatever it was. */
export function toConnectError(error: unknown, address: PostgresAddress): FlowError {
  if (error instanceof FlowError) return error;
  const told = toPostgresError(error, CONNECT, address);
  return told instanceof FlowError ? told : connectionFailure(error, CONNECT, address);
}

type FailureInit = Omit<FlowErrorInit, "cause" | "details">;

function failure(
  error: unknown,
  text: string,
  doing: string,
  address: PostgresAddress,
  init: FailureInit,
): FlowError {
  return new FlowError(
    `cannot ${doing} ${doing === CONNECT ? "to" : "in"} postgres at ${address.shown}: ${text}`,
    {
      ...init,
      details: {
        server: address.shown,
        ...(isServerError(error) ? { sqlstate: error.code } : {}),
      },
      cause: error,
    },
  );
}

function connectionFailure(error: unknown, doing: string, address: PostgresAddress): FlowError {
  const text = describeError(error);
  const fail = (init: FailureInit) => failure(error, text, doing, address, init);
  if (error instanceof Error && isDenied(error)) {
    // Deno's own words advise flags of `deno run` or `deno compile`, which users of flow do not type.
    return failure(error, "permission denied", doing, address, {
      code: "permission_denied",
      domain: "user",
      hint: address.shown.startsWith("/")
        ? "allow reading and writing the socket's directory with --allow-read and --allow-write"
        : `allow it with --allow-net=${address.shown.split("/")[0]}`,
    });
  }
  if (/does not support SSL/i.test(text)) {
    return fail({
      code: "postgres_tls_unsupported",
      domain: "user",
      hint: "leave sslmode out of the url, or set sslmode=disable",
    });
  }
  if (/certificate|self.signed|unable to verify/i.test(text)) {
    return fail({
      code: "postgres_tls_untrusted",
      domain: "user",
      hint: "name the authority's certificate with sslrootcert=FILE in the url",
    });
  }
  return fail({
    code: "postgres_unreachable",
    domain: "external",
    retryable: true,
    hint: "check that the server runs and that host and port are right",
  });
}

/** Conflicts of transactions, no room, a lock or an object that another one holds. */
const TRANSIENT_STATES = /^(40|53|55006$|55P03$)/;
/** The state of a standby, and after a failover for as long as the name still leads to the old server. */
const READ_ONLY = "25006";

function classify(
  error: ServerError,
  address: PostgresAddress,
): FailureInit {
  const { code } = error;
  if (code.startsWith("28")) {
    const plain = /no encryption|SSL off/i.test(error.message);
    return {
      code: "postgres_auth_failed",
      domain: "user",
      hint: plain
        ? "the server wants TLS: add sslmode=require to the url"
        : `check user (${address.user}) and password of the connection`,
    };
  }
  if (code === "3D000") {
    return {
      code: "postgres_database_unknown",
      domain: "user",
      hint: "correct the database name in the url, or create the database",
    };
  }
  if (/^(08|57P0|53300)/.test(code)) {
    return { code: "postgres_unreachable", domain: "external", retryable: true };
  }
  if (code === "57014") {
    const timeout = /statement timeout/.test(error.message);
    return {
      code: timeout ? "postgres_timeout" : "postgres_cancelled",
      domain: "external",
      retryable: true,
      ...(timeout ? { hint: "raise statement_timeout_ms, or take smaller batches" } : {}),
    };
  }
  if (TRANSIENT_STATES.test(code)) {
    return { code: "postgres_busy", domain: "external", retryable: true };
  }
  if (code === READ_ONLY) {
    return {
      code: "postgres_busy",
      domain: "external",
      retryable: true,
      hint: "the server takes no writes at present; if it never does, connect to the primary " +
        "server, and leave default_transaction_read_only off",
    };
  }
  if (code === "42501") {
    return {
      code: "postgres_permission_denied",
      domain: "user",
      hint: `grant the right to ${address.user}, or connect as another role`,
    };
  }
  if (/^(22|23|44|P0)/.test(code)) return { code: "postgres_data_refused", domain: "user" };
  // A field such as ctid or xmin.
  if (code === "42701" && /system column/.test(error.message)) {
    return {
      code: "postgres_statement_invalid",
      domain: "user",
      hint: "give the column another name with [transform] sql",
    };
  }
  if (isTableChange(error)) {
    return {
      code: "postgres_statement_invalid",
      domain: "user",
      hint: "if somebody altered the table meanwhile, start again",
    };
  }
  // Class 55 tells what an object is not made for: a view takes no rows, a sequence has not been used.
  if (/^(42|55)/.test(code)) return { code: "postgres_statement_invalid", domain: "user" };
  return { code: "postgres_failed", domain: "external", retryable: !REFUSED_FOR_GOOD.test(code) };
}
