import { describeError, FlowError } from "../core/error.ts";

/** What loading definitions needs from the outside. Tests hold all of it. */
export interface ConfigHost {
  /** The value of an environment variable. Throws `permission_denied` when reading it is not allowed. */
  readonly env: (name: string) => string | undefined;
  /** The names of all environment variables. Throws `permission_denied` when listing them is not allowed. */
  readonly envNames: () => readonly string[];
  /** The text of a file, `undefined` when there is none. Throws `permission_denied` when reading it is not allowed. */
  readonly readFile: (path: string) => Promise<string | undefined>;
  /** True when other users of the machine may read the file. */
  readonly readableByOthers: (path: string) => Promise<boolean>;
  /** The working directory, where `.ematix-flow.toml` is looked for. */
  readonly cwd: string;
  /** The home directory; `undefined` when there is none, or it may not be known. */
  readonly home: () => string | undefined;
}

/** The host of a real run: `Deno.env` and `Deno.readFile`, touched only when needed. */
export const denoHost: ConfigHost = {
  env(name) {
    return permitted(() => Deno.env.get(name), `read the environment variable ${name}`, [
      `--allow-env=${name}`,
    ]);
  },
  envNames() {
    return permitted(
      () => Object.keys(Deno.env.toObject()),
      "list the environment variables",
      ["--allow-env"],
    );
  },
  async readFile(path) {
    let bytes: Uint8Array;
    try {
      bytes = await Deno.readFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (error instanceof Deno.errors.NotCapable) {
        throw denied(`read ${path}`, `--allow-read=${path}`);
      }
      throw new FlowError(`cannot read ${path}: ${describeError(error)}`, {
        code: "file_unreadable",
        domain: "user",
        hint: "give the path of a text file that this user may read",
        cause: error,
      });
    }
    return textOf(bytes, path);
  },
  async readableByOthers(path) {
    const { mode } = await Deno.stat(path);
    return mode !== null && (mode & 0o044) !== 0;
  },
  cwd: ".",
  home() {
    return readVariable("HOME") ?? readVariable("USERPROFILE");
  },
};

/** A variable of the environment; `undefined` also where it must not be read. */
export function readVariable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined;
  }
}

/** Makes a directory that only one run uses; whoever asked for it removes it. Throws `permission_denied`. */
export async function makeScratchDir(): Promise<string> {
  try {
    return await Deno.makeTempDir({ prefix: "flow-" });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw denied("make a temporary directory", "--allow-write");
    }
    throw error;
  }
}

/** The text of a file in UTF-8. Other bytes would become U+FFFD, and a table or a password another one. */
function textOf(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    const before = validPart(bytes);
    const lines = before.split("\n");
    const line = lines.length;
    const column = [...(lines.at(-1) ?? "")].length + 1;
    throw new FlowError(`${file}:${line}:${column}: the file is not text in UTF-8`, {
      code: "file_unreadable",
      domain: "user",
      hint: "save it as UTF-8",
      details: { file, line, column },
      cause: error,
    });
  }
}

/** What stands before the first bytes that are no UTF-8. */
function validPart(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  for (const byte of bytes) {
    try {
      text += decoder.decode(Uint8Array.of(byte), { stream: true });
    } catch {
      break;
    }
  }
  return text;
}

function permitted<T>(read: () => T, what: string, flags: readonly string[]): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw denied(what, flags.join(" "));
    throw error;
  }
}

function denied(what: string, flag: string): FlowError {
  return new FlowError(`not allowed to ${what}`, {
    code: "permission_denied",
    domain: "user",
    hint: `start flow with ${flag}`,
    details: { flag },
  });
}

/** The flag that a `permission_denied` error names, `undefined` for any other. */
export function missingFlag(error: unknown): string | undefined {
  if (!(error instanceof FlowError) || error.code !== "permission_denied") return undefined;
  const flag = error.details["flag"];
  return typeof flag === "string" ? flag : undefined;
}
