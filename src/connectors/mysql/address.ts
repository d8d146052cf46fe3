import { isIP } from "node:net";
import type { ConnectionOptions, SslOptions } from "mysql2";
import type { Options } from "../../core/connector.ts";
import { FlowError, registerSecret } from "../../core/error.ts";
import type { MysqlOptions } from "./options.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_PORT = 3306;
const SSL_MODES = ["disabled", "required", "verify_ca", "verify_identity"] as const;

type SslMode = typeof SSL_MODES[number];

/** How to reach a database, and how it may be called in messages. */
export interface MysqlAddress {
  /** What the driver takes. Reads the authority's certificate where one is named. */
  config(): ConnectionOptions;
  /** `localhost:3306/shop`, never a credential. */
  readonly shown: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string | undefined;
}

/**
 * The address that validated options give. Keys beside `url` win over its parts.
 *
 * @throws FlowError `mysql_options_invalid` (user) when neither `url` nor `host` is there, or the url cannot be read.
 */
export function mysqlAddress(given: Options): MysqlAddress {
  const options = given as MysqlOptions;
  const text = (options.url ?? options.dsn)?.reveal();
  if (text === undefined && options.host === undefined) {
    throw invalid("a mysql connection needs url (or dsn), or host with user and database");
  }
  const parts = text === undefined ? {} : urlParts(text);
  const host = options.host ?? parts.host ?? "localhost";
  const port = options.port ?? parts.port ?? DEFAULT_PORT;
  const user = options.user ?? parts.user ?? "";
  const database = options.database ?? parts.database;
  const password = options.password?.reveal() ?? parts.password;
  const sslMode = options.ssl_mode ?? parts.sslMode ?? "disabled";
  if (sslMode === "verify_identity" && isIP(host) !== 0) {
    // The driver would look for another name than the address in the certificate.
    throw invalid(
      `ssl_mode verify_identity needs the server's name as host, not its address ${host}`,
    );
  }
  const sslCa = options.ssl_ca ?? parts.sslCa;
  return {
    host,
    port,
    user,
    database,
    shown: `${host}:${port}/${database ?? ""}`,
    config: () => ({
      ...{ host, port, user },
      ...(password === undefined ? {} : { password }),
      ...(database === undefined ? {} : { database }),
      ...(sslMode === "disabled" ? {} : { ssl: sslOptions(sslMode, sslCa) }),
      connectTimeout: options.connect_timeout_ms ?? CONNECT_TIMEOUT_MS,
      charset: "UTF8MB4_GENERAL_CI",
      timezone: "Z",
      enableKeepAlive: true,
      // Results are small, and no digit of them gets lost.
      ...{ supportBigNumbers: true, bigNumberStrings: true, dateStrings: true, jsonStrings: true },
      rowsAsArray: true,
      multipleStatements: false,
      maxPreparedStatements: 32,
    }),
  };
}

interface UrlParts {
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly sslMode?: SslMode;
  readonly sslCa?: string;
}

function urlParts(text: string): UrlParts {
  if (!/^(mysql|mariadb):\/\//i.test(text)) {
    throw invalid("the url of a mysql connection must start with mysql:// or mariadb://");
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalid("the mysql connection cannot be read: its url is not a valid URL");
  }
  const decoded = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const password = decoded(url.password);
  if (password !== "") registerSecret(password);
  const database = decoded(url.pathname.replace(/^\//, ""));
  return {
    ...(url.hostname === "" ? {} : { host: url.hostname.replace(/^\[(.*)\]$/, "$1") }),
    ...(url.port === "" ? {} : { port: Number(url.port) }),
    ...(url.username === "" ? {} : { user: decoded(url.username) }),
    ...(password === "" ? {} : { password }),
    ...(database === "" ? {} : { database }),
    ...urlParameters(url.searchParams),
  };
}

function urlParameters(parameters: URLSearchParams): Pick<UrlParts, "sslMode" | "sslCa"> {
  let found: Pick<UrlParts, "sslMode" | "sslCa"> = {};
  for (const [name, value] of parameters) {
    switch (name.toLowerCase().replaceAll("_", "-")) {
      case "ssl-mode":
      case "sslmode":
        found = { ...found, sslMode: sslModeOf(value) };
        break;
      case "ssl-ca":
      case "sslca":
        found = { ...found, sslCa: value };
        break;
      case "charset":
        // Text always travels as utf8mb4.
        break;
      default:
        throw invalid(`the url of a mysql connection has an unknown parameter '${name}'`);
    }
  }
  return found;
}

function sslModeOf(value: string): SslMode {
  const name = value.toLowerCase().replaceAll("-", "_");
  const mode = SSL_MODES.find((known) => known === name || known === `${name}d`);
  if (mode !== undefined) return mode;
  throw invalid(`ssl-mode '${value}' of a mysql connection is none of ${SSL_MODES.join(", ")}`);
}

function sslOptions(mode: SslMode, file: string | undefined): SslOptions {
  if (mode === "required") return { rejectUnauthorized: false };
  let ca: string | undefined;
  try {
    if (file !== undefined) ca = Deno.readTextFileSync(file);
  } catch (error) {
    throw new FlowError(`cannot read the certificate '${file}' of a mysql connection`, {
      code: "mysql_options_invalid",
      domain: "user",
      hint: "check the file's name, and allow reading it with --allow-read",
      cause: error,
    });
  }
  return {
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
    ...(mode === "verify_identity" ? { verifyIdentity: true } : {}),
  };
}

function invalid(message: string): FlowError {
  return new FlowError(message, {
    code: "mysql_options_invalid",
    domain: "user",
    hint: 'write url = "mysql://user@host:3306/database", with the password after the user, ' +
      "as user:password, or under password",
  });
}
