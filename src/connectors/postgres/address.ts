import process from "node:process";
import pg from "pg";
import { FlowError } from "../../core/error.ts";
import type { Options } from "../../core/connector.ts";
import type { PostgresOptions } from "./options.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/** How to reach a database, and how it may be called in messages. */
export interface PostgresAddress {
  /** A new, unconnected client. */
  newClient(): pg.Client;
  /** `localhost:5432/shop`, never a credential. */
  readonly shown: string;
  readonly user: string;
  /** Settings that the url gives the session (`-csearch_path=shop`); empty without. */
  readonly serverOptions: string;
}

/**
 * The address that validated options give.
 *
 * @throws FlowError `postgres_options_invalid` (user) when neither `url` nor `host` is there, or the url cannot be read.
 */
export function postgresAddress(given: Options): PostgresAddress {
  const options = given as PostgresOptions;
  const newClient = () => isolatedClient(clientConfig(options));
  const probe = newClient();
  return {
    newClient,
    shown: `${probe.host}:${probe.port}/${probe.database ?? ""}`,
    user: probe.user ?? "",
    serverOptions: serverOptions(probe),
  };
}

/** The driver keeps them where its types do not tell. */
function serverOptions(client: pg.Client): string {
  const { connectionParameters } = client as unknown as {
    connectionParameters: { options?: string | null };
  };
  return connectionParameters.options ?? "";
}

function clientConfig(options: PostgresOptions): pg.ClientConfig {
  const url = options.url ?? options.dsn;
  if (url === undefined && options.host === undefined) {
    throw invalid("a postgres connection needs url (or dsn), or host with user and database");
  }
  if (url !== undefined && !/^postgres(ql)?:\/\//i.test(url.reveal())) {
    throw invalid("the url of a postgres connection must start with postgres:// or postgresql://");
  }
  const password = options.password?.reveal();
  return {
    ...(url === undefined ? { ssl: false } : { connectionString: withLibpqSslModes(url.reveal()) }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.database === undefined ? {} : { database: options.database }),
    ...(password === undefined ? {} : { password }),
    ...(options.statement_timeout_ms === undefined
      ? {}
      : { statement_timeout: options.statement_timeout_ms }),
    application_name: "flow",
    keepAlive: true,
    connectionTimeoutMillis: options.connect_timeout_ms ?? CONNECT_TIMEOUT_MS,
    // Results are small and read as text; numbers keep all their digits.
    types: { getTypeParser: () => (text: unknown) => text },
  };
}

/** The driver reads sslmode in its own way unless told to read it as libpq (and so psql) does. */
function withLibpqSslModes(url: string): string {
  if (!/[?&]sslmode=/.test(url) || /[?&]uselibpqcompat=/.test(url)) return url;
  return `${url}&uselibpqcompat=true`;
}

/**
 * The driver looks into PGHOST, PGOPTIONS and a dozen more while it makes a client, which fails under Deno's permissions and
 * would let the environment change a definition. It sees an empty environment for that moment, and no ~/.pgpass.
 */
function isolatedClient(config: pg.ClientConfig): pg.Client {
  const environment = process.env;
  process.env = {};
  try {
    const client = new pg.Client(config);
    if (!client.password) Object.defineProperty(client, "password", { value: noPassword });
    return client;
  } catch (error) {
    throw invalid(`the postgres connection cannot be read: ${reason(error)}`, error);
  } finally {
    process.env = environment;
  }
}

/** Asked for only when the server wants a password. */
function noPassword(): Promise<string> {
  return Promise.reject(
    new FlowError("the database asks for a password, and the connection has none", {
      code: "postgres_auth_failed",
      domain: "user",
      hint: 'put it into the url after the user, as user:password, or give password = "${…}"',
    }),
  );
}

function reason(error: unknown): string {
  if (error instanceof TypeError) return "its url is not a valid URL";
  return error instanceof Error ? error.message : String(error);
}

function invalid(message: string, cause?: unknown): FlowError {
  return new FlowError(message, {
    code: "postgres_options_invalid",
    domain: "user",
    hint: 'write url = "postgres://user@host:5432/database", with the password after the user, ' +
      "as user:password, or under password",
    ...(cause instanceof Error && !(cause instanceof TypeError) ? { cause } : {}),
  });
}
