import { describeError, FlowError, type FlowErrorInit } from "../../core/error.ts";
import type { MysqlAddress } from "./address.ts";

/** What is being done while there is no connection yet: one connects to a server, and does everything else in it. */
export const CONNECT = "connect";

/** The parts of a server error that flow looks at. */
export interface ServerError extends Error {
  readonly errno: number;
  readonly sqlState: string;
  readonly sqlMessage?: string;
}

/** True for an error that the server sent, as opposed to one of the connection. */
export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && "errno" in error && typeof error.errno === "number" &&
    error.errno >= 1000 && "sqlState" in error;
}

/** The server does not take LOAD DATA LOCAL: switched off, or not for this user. */
export function isLocalInfileRefused(error: unknown): boolean {
  return isServerError(error) && [1148, 3948, 4166].includes(error.errno);
}

/** True when the connection is gone, or could not be made. */
export function isConnectionError(error: unknown): error is Error {
  if (!(error instanceof Error) || isServerError(error) || error instanceof FlowError) return false;
  if ("fatal" in error && error.fatal === true) return true;
  if ("code" in error && typeof error.code === "string") {
    return /^(E[A-Z]+|PROTOCOL_[A-Z_]+|HANDSHAKE_[A-Z_]+)$/.test(error.code);
  }
  return /closed state|Connection lost/i.test(error.message);
}

/** What a failed guard of {@link guarded} (dialect_guard.ts) leaves in the server's message. */
const GUARD = /out of range in '.*18446744073709551615 \+/is;
const GUARD_TYPE = /char_length\('flow: ([^']*)'\)/i;

const AUTHENTICATION = new Set([1045, 1251, 1698, 1524, 1862, 3118, 3159, 3955]);
const RIGHTS = new Set([1044, 1142, 1143, 1227, 1290, 1370, 1410, 1792, 1836, 3619]);
const BUSY = new Set([1020, 1205, 1213, 1637, 1969, 3024, 3058, 3132, 3572]);
const GONE = new Set([
  1040,
  1053,
  1077,
  1079,
  1080,
  1152,
  1158,
  1159,
  1160,
  1161,
  1203,
  1226,
  1927,
]);
/** Disk, memory, or a table's room: somebody may make some. */
const FULL = new Set([1021, 1037, 1038, 1041, 1114, 1206]);
/** Values and constraints; 1690, 1441 and 3140 come from expressions, the others from columns. */
const VALUES = new Set([
  ...[1022, 1048, 1062, 1138, 1153, 1169, 1216, 1217, 1263, 1264, 1265, 1292, 1364, 1365, 1366],
  ...[1367, 1369, 1406, 1411, 1425, 1439, 1441, 1451, 1452, 1525, 1526, 1557, 1586, 1644, 1690],
  ...[1748, 1761, 1762, 1906, 3140, 3141, 3155, 3156, 3157, 3819, 4025, 4078],
]);

/**
 * The error as a {@link FlowError}, when it is one of the server or the network; anything else (the reason of an abort, an error of
 * the engine) comes back as it is.
 *
 * @param doing what was attempted: `load into events`, or {@link CONNECT}
 */
export function toMysqlError(error: unknown, doing: string, address: MysqlAddress): unknown {
  if (error instanceof FlowError) return error;
  if (isServerError(error)) return serverFailure(error, doing, address);
  if (isConnectionError(error)) return connectionFailure(error, doing, address);
  return error;
}

/** What went wrong while connecting, whatever it was. */
export function toConnectError(error: unknown, address: MysqlAddress): FlowError {
  const told = toMysqlError(error, CONNECT, address);
  return told instanceof FlowError ? told : connectionFailure(error, CONNECT, address);
}

type FailureInit = Omit<FlowErrorInit, "cause" | "details">;

function failure(
  error: unknown,
  text: string,
  doing: string,
  address: MysqlAddress,
  init: FailureInit,
): FlowError {
  return new FlowError(
    `cannot ${doing} ${doing === CONNECT ? "to" : "in"} mysql at ${address.shown}: ${text}`,
    {
      ...init,
      details: {
        server: address.shown,
        ...(isServerError(error) ? { errno: error.errno, sqlstate: error.sqlState } : {}),
      },
      cause: error,
    },
  );
}

function connectionFailure(error: unknown, doing: string, address: MysqlAddress): FlowError {
  const text = describeError(error);
  const fail = (init: FailureInit, shown = text) => failure(error, shown, doing, address, init);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const denied = code === "EPERM" || code === "EACCES" ||
    (error instanceof Error && error.name === "NotCapable") || /^Requires \w+ access to/.test(text);
  if (denied) {
    const hint = `allow it with --allow-net=${address.host}:${address.port}`;
    return fail({ code: "permission_denied", domain: "user", hint }, "permission denied");
  }
  if (code === "HANDSHAKE_NO_SSL_SUPPORT") {
    return fail({
      code: "mysql_tls_unsupported",
      domain: "user",
      hint: "leave ssl_mode out, or set it to disabled",
    });
  }
  if (/certificate|self.signed|unable to verify|Hostname\/IP/i.test(text)) {
    return fail({
      code: "mysql_tls_untrusted",
      domain: "user",
      hint: "name the authority's certificate with ssl_ca, or trust any with ssl_mode = required",
    });
  }
  return fail({
    code: "database_unreachable",
    domain: "external",
    retryable: true,
    hint: "check that the server runs and that host and port are right",
  });
}

function serverFailure(error: ServerError, doing: string, address: MysqlAddress): FlowError {
  const text = error.sqlMessage ?? error.message;
  const { errno } = error;
  const fail = (init: FailureInit, shown = text) => failure(error, shown, doing, address, init);
  if (AUTHENTICATION.has(errno)) {
    const hint = `check user (${address.user}) and password of the connection`;
    return fail({ code: "database_auth_failed", domain: "user", hint });
  }
  if (RIGHTS.has(errno)) {
    const hint = `grant the right to ${address.user}, or connect as another user`;
    return fail({ code: "permission_denied", domain: "user", hint });
  }
  if (errno === 1049) {
    return fail({
      code: "mysql_database_unknown",
      domain: "user",
      hint: "correct the database's name, or create the database",
    });
  }
  if (errno === 1046) {
    return fail({
      code: "query_invalid",
      domain: "user",
      hint: "give the connection a database",
    });
  }
  if (BUSY.has(errno)) return fail({ code: "database_busy", domain: "external", retryable: true });
  if (GONE.has(errno)) {
    return fail({ code: "database_unreachable", domain: "external", retryable: true });
  }
  if (FULL.has(errno)) return fail({ code: "mysql_failed", domain: "external", retryable: true });
  if (errno === 1690 && GUARD.test(text)) {
    const type = GUARD_TYPE.exec(text)?.[1];
    const shown = type === undefined
      ? "a value does not fit the type that it is read as"
      : `a value does not fit ${type}`;
    return fail({
      code: "load_rejected",
      domain: "user",
      hint:
        "find it by selecting the column's values that are not of this type, and correct it in the query",
    }, shown);
  }
  if (VALUES.has(errno)) {
    return fail({
      code: "load_rejected",
      domain: "user",
      hint: "correct the value with SQL in the query, or change the table",
    });
  }
  return fail({
    code: "query_invalid",
    domain: "user",
    hint: "correct the SQL; it is in MySQL's own dialect",
  });
}
