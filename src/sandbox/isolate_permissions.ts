/** The permission sets of the two isolates, made from what the flags granted, and compared with what this process has itself. */
import { FlowError } from "../core/error.ts";
import type { Grant, GrantedPermissions } from "./permissions.ts";

/** The permissions of an isolate, each kind said. */
export interface IsolatePermissions {
  readonly read: Grant;
  readonly write: Grant;
  readonly net: Grant;
  readonly env: Grant;
  readonly sys: Grant;
  readonly run: false;
  readonly ffi: Grant;
  readonly import: false;
}

/**
 * The isolate of the user's modules: what was granted, and reading the directory that holds its own transformed code.
 * Never `run`, `ffi` or remote imports: each of them leads out of every other limit.
 */
export function userPermissions(
  granted: GrantedPermissions,
  codeDirectory: string,
): IsolatePermissions {
  return {
    ...granted,
    read: withEntries(granted.read, [codeDirectory]),
    run: false,
    ffi: false,
    import: false,
  };
}

/** What the engine may do beyond what was granted. */
export interface EngineNeeds {
  readonly scratchDir: string;
  /** Files that the user named on the command line for flow to read: the definition file. */
  readonly namedFiles: readonly string[];
  /** The program's own modules: connectors start threads of their own from them. */
  readonly ownModules: string;
  /** Where the native library of the SQL engine lies. */
  readonly nativeLibraries: Grant;
}

/** The isolate of the engine: what was granted, its scratch directory, the files named to it, and flow's own files. */
export function enginePermissions(
  granted: GrantedPermissions,
  needs: EngineNeeds,
): IsolatePermissions {
  return {
    ...granted,
    read: withEntries(granted.read, [needs.scratchDir, needs.ownModules, ...needs.namedFiles]),
    write: withEntries(granted.write, [needs.scratchDir]),
    run: false,
    ffi: needs.nativeLibraries,
    import: false,
  };
}

function withEntries(grant: Grant, entries: readonly string[]): Grant {
  if (grant === true || grant === "inherit") return grant;
  return grant === false ? entries : [...grant, ...entries];
}

/**
 * Starts a module Worker with these permissions.
 *
 * @throws FlowError `permission_unavailable` when the process lacks one of them: under `deno run` with flags of its own, flow's
 * flags can only narrow further.
 */
export function startIsolate(
  url: URL,
  name: string,
  permissions: IsolatePermissions,
): Worker {
  requireOfProcess(permissions);
  try {
    return new Worker(url, { type: "module", name, deno: { permissions: asOptions(permissions) } });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw unavailable(
      "the permissions asked for",
      "give deno run at least the permissions given to flow",
      error,
    );
  }
}

function asOptions(permissions: IsolatePermissions): Deno.PermissionOptionsObject {
  const entries = Object.entries(permissions).map(([kind, grant]) =>
    [kind, Array.isArray(grant) ? [...grant] : grant] as const
  );
  return Object.fromEntries(entries);
}

function requireOfProcess(permissions: IsolatePermissions): void {
  for (const kind of ["read", "write", "net", "env", "sys", "ffi"] as const) {
    const grant = permissions[kind];
    if (grant === false || grant === "inherit") continue;
    for (const entry of grant === true ? [undefined] : grant) {
      if (processHas(kind, entry)) continue;
      const flag = `--allow-${kind}${entry === undefined ? "" : `=${entry}`}`;
      throw unavailable(
        flag,
        `add ${flag} to the deno command that runs flow, or narrow flow's own flags`,
      );
    }
  }
}

function processHas(
  kind: "read" | "write" | "net" | "env" | "sys" | "ffi",
  entry: string | undefined,
): boolean {
  try {
    return Deno.permissions.querySync(descriptorOf(kind, entry)).state === "granted";
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof URIError)) throw error;
    throw new FlowError(`--allow-${kind} does not take '${entry}'`, {
      code: "permission_flag_invalid",
      domain: "user",
      cause: error,
    });
  }
}

function descriptorOf(
  kind: "read" | "write" | "net" | "env" | "sys" | "ffi",
  entry: string | undefined,
): Deno.PermissionDescriptor {
  if (entry === undefined) return { name: kind };
  switch (kind) {
    case "net":
      return { name: "net", host: entry };
    case "env":
      return { name: "env", variable: entry };
    case "sys":
      // The flags' own names; the process refuses those that it does not know.
      return { name: "sys", kind: entry as NonNullable<Deno.SysPermissionDescriptor["kind"]> };
    default:
      return { name: kind, path: entry };
  }
}

function unavailable(what: string, hint: string, cause?: unknown): FlowError {
  return new FlowError(`flow cannot grant ${what}: the process that runs it lacks it`, {
    code: "permission_unavailable",
    domain: "user",
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
