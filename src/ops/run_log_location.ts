import type { RunLogChoice } from "../core/batch_request.ts";
import { FlowError } from "../core/error.ts";
import type { RunLogLocation } from "../core/run_log.ts";
import { redactUrl, Secret } from "../core/secret.ts";

/** Where runs are recorded: in a connector's system, or `memory`, which ends with the process. */
export type ChosenLocation = RunLogLocation | "memory";

/** What the flags, the environment and the home directory make of a run log. */
export interface ChosenRunLog {
  readonly location: ChosenLocation;
  /** `--run-log`, a variable's name, or `home`; `off` for `--no-run-log`. */
  readonly from: "flag" | typeof URL_VARIABLE | typeof PATH_VARIABLE | "home" | "off";
}

/** What is read of the environment, in this order. */
const URL_VARIABLE = "EMATIX_FLOW_RUN_LOG_URL";
const PATH_VARIABLE = "EMATIX_FLOW_RUN_LOG_PATH";

/** Below the home directory. */
const HOME_FILE = ".ematix-flow/run_log.db";

/**
 * Which run log is meant: the flag's, else that of `EMATIX_FLOW_RUN_LOG_URL`, else the file of `EMATIX_FLOW_RUN_LOG_PATH`, else
 * `~/.ematix-flow/run_log.db`.
 *
 * @param variable reads a variable of the environment; undefined when it is unset or must not be read
 * @throws FlowError `run_log_unsupported` (user); `run_log_homeless` (user) when only the home directory is left, and HOME is unset or must not be read.
 */
export function chooseRunLog(
  choice: RunLogChoice,
  variable: (name: string) => string | undefined,
): ChosenRunLog {
  if (choice.off === true) return { location: "memory", from: "off" };
  if (choice.url !== undefined) return { location: parseRunLogUrl(choice.url), from: "flag" };
  for (const from of [URL_VARIABLE, PATH_VARIABLE] as const) {
    const value = variable(from);
    if (value !== undefined && value !== "") return { location: parseRunLogUrl(value), from };
  }
  const home = variable("HOME") ?? variable("USERPROFILE");
  if (home === undefined || home === "") {
    throw new FlowError(
      "there is no place for the run log: the home directory is not known (HOME is unset, or flow may not read it)",
      {
        code: "run_log_homeless",
        domain: "user",
        hint: "name a file with --run-log, or allow the home directory with --allow-env=HOME",
      },
    );
  }
  return { location: fileLocation(`${home.replace(/[\\/]+$/, "")}/${HOME_FILE}`), from: "home" };
}

/**
 * The location that a URL or path means: `sqlite://relative/run_log.db`, `sqlite:///absolute/run_log.db`, a path, `memory://`, or
 * `postgres://user@host/database`, with `?create_tables=false` when somebody else makes the tables.
 *
 * @throws FlowError `run_log_unsupported` (user).
 */
export function parseRunLogUrl(text: string): ChosenLocation {
  const scheme = /^([a-z][a-z0-9+.-]*):(?:\/\/|memory)/i.exec(text)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
      return text === ":memory:" ? "memory" : fileLocation(requirePath(text, text));
    case "memory":
      return "memory";
    case "file":
    case "sqlite":
      return sqliteLocation(text);
    case "postgres":
    case "postgresql":
      return postgresLocation(text);
    default:
      throw new FlowError(
        `cannot keep the run log at ${redactUrl(text)}: '${scheme}' is no system for it`,
        {
          code: "run_log_unsupported",
          domain: "user",
          hint:
            "give sqlite://path/run_log.db, a path, postgres://user@host/database, or memory://",
          details: { scheme },
        },
      );
  }
}

function sqliteLocation(url: string): ChosenLocation {
  const [, encoded = "", query] = /^[a-z]+:\/\/([^?#]*)(?:\?([^#]*))?/i.exec(url) ?? [];
  const path = requirePath(decoded(encoded), url);
  if (/^\/?:memory:$/.test(path)) return "memory";
  return fileLocation(path, createsTables(new URLSearchParams(query)));
}

function postgresLocation(url: string): RunLogLocation {
  // By hand: the driver reads the rest its own way, and passwords need not be proper parts of a URL.
  const [, before = url, query] = /^([^?]*)\?(.*)$/s.exec(url) ?? [];
  const parameters = (query ?? "").split("&").filter((part) => part !== "");
  const others = parameters.filter((part) => !part.startsWith("create_tables="));
  const plain = others.length === 0 ? before : `${before}?${others.join("&")}`;
  return {
    kind: "postgres",
    url: new Secret(plain),
    createTables: createsTables(new URLSearchParams(parameters.join("&"))),
    shown: redactUrl(plain),
  };
}

function fileLocation(path: string, createTables = true): RunLogLocation {
  return { kind: "sqlite", path, createTables, shown: `'${path}'` };
}

function createsTables(parameters: URLSearchParams): boolean {
  return !/^(false|0|no)$/i.test(parameters.get("create_tables") ?? "");
}

function requirePath(path: string, given: string): string {
  if (path !== "") return path;
  throw new FlowError(`cannot keep the run log at '${given}': it names no file`, {
    code: "run_log_unsupported",
    domain: "user",
    hint: "give sqlite://relative/run_log.db, sqlite:///absolute/run_log.db, or a path",
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that encodes nothing belongs to the name.
    return text;
  }
}
