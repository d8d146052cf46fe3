import { basename, dirname, resolve } from "node:path";
import { FlowError } from "../../core/error.ts";
import type { Options } from "../../core/connector.ts";

/** The keys by which a connection to a database file says where the file is. Exactly one of them is given. */
export const PATH_KEYS = ["path", "url", "dsn"] as const;

/**
 * The path of a database file from `path`, or from a URL in `url` or `dsn`: `duckdb:///var/x.duckdb` is `/var/x.duckdb`,
 * `duckdb://out/x.duckdb` is `out/x.duckdb`.
 *
 * @throws FlowError `option_missing` or `option_invalid` (user).
 */
export function databaseFilePath(kind: string, options: Options): string {
  const given = PATH_KEYS.filter((key) => typeof options[key] === "string");
  const [key] = given;
  if (key === undefined || given.length > 1) {
    throw new FlowError(
      given.length > 1
        ? `a ${kind} connection has ${given.join(" and ")}, which say the same thing`
        : `a ${kind} connection needs the path of its file`,
      {
        code: given.length > 1 ? "option_invalid" : "option_missing",
        domain: "user",
        hint: `give path = "data/out.db" or url = "${kind}:///absolute/path.db", just one of them`,
      },
    );
  }
  const text = String(options[key]);
  const path = key === "path" ? text : pathOfUrl(kind, key, text);
  if (path === "" || path === ":memory:") {
    throw new FlowError(`a ${kind} connection needs a file; ${key} is '${text}'`, {
      code: "option_invalid",
      domain: "user",
      hint: "what is written into memory is gone with the process; give the path of a file",
    });
  }
  return path;
}

function pathOfUrl(kind: string, key: string, url: string): string {
  const found = new RegExp(`^${kind}:(?://)?([^?#]*)$`, "i").exec(url);
  if (found?.[1] === undefined) {
    throw new FlowError(`${key} = '${url}' is not the URL of a ${kind} file`, {
      code: "option_invalid",
      domain: "user",
      hint: `write ${kind}:///absolute/path.db or ${kind}://relative/path.db, without parameters`,
    });
  }
  try {
    return decodeURIComponent(found[1]);
  } catch {
    // A percent sign that encodes nothing belongs to the name.
    return found[1];
  }
}

/** The path by which two connections to one file are known as such: absolute, without symbolic links as far as they can be seen. */
export function realPath(path: string): string {
  for (let at = resolve(path), rest = "";; rest = `/${basename(at)}${rest}`, at = dirname(at)) {
    try {
      return Deno.realPathSync(at).replace(/\/$/, "") + rest;
    } catch {
      // It is not there yet, or may not be looked at: then its directory.
      if (dirname(at) === at) return resolve(path);
    }
  }
}

/** True when there is no file at the path, and one could be made: its directory is there. */
export async function isYetToBeMade(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return false;
  }
  try {
    return (await Deno.stat(dirname(resolve(path)))).isDirectory;
  } catch (error) {
    // Where only the file itself may be looked at, nothing speaks against its directory.
    return error instanceof Deno.errors.NotCapable;
  }
}
