/**
 * Denials as differences of lists. The permissions of a Worker are lists of what is allowed, without lists of what is denied
 * inside; so `--deny-net=X` beside `--allow-net=X,Y` becomes `Y`, and what no list can say is refused rather than granted.
 */

/** Kinds of permission whose flags take a list that counts here. */
export type ListKind = "read" | "write" | "net" | "env" | "sys";

/** The list that is left, or why there is none and what to write instead. */
export type Denied =
  | { readonly allowed: readonly string[] }
  | { readonly refused: string; readonly hint: string };

/** How a denied entry stands to an allowed one: it takes all of it away, nothing of it, or a part that cannot be cut out. */
type Relation = "covers" | "apart" | "cuts";

/** What Deno knows under `--allow-sys`; a Worker refuses any other name. */
export const SYS_KINDS: readonly string[] = [
  "hostname",
  "osRelease",
  "osUptime",
  "loadavg",
  "networkInterfaces",
  "systemMemoryInfo",
  "uid",
  "gid",
  "username",
  "cpus",
  "homedir",
  "statfs",
  "getPriority",
  "setPriority",
];

/**
 * What is left of `allowed` (a list, or everything: `true`, `"inherit"`) without `denied`. Everything without a few is a list only
 * where everything can be listed: the environment's variables and the kinds of `sys`.
 */
export function subtract(
  kind: ListKind,
  allowed: true | "inherit" | readonly string[],
  denied: readonly string[],
): Denied {
  const allowedList = typeof allowed === "object" ? allowed : everythingOf(kind);
  if (allowedList === undefined) {
    return {
      refused: `--deny-${kind}=${
        denied.join(",")
      } cannot be kept: nothing narrows what it is an exception to`,
      hint: `list what is needed instead, as in --allow-${kind}=${EXAMPLES[kind]}`,
    };
  }
  const left: string[] = [];
  for (const entry of allowedList) {
    const relations = denied.map((denial) => RELATIONS[kind](denial, entry));
    if (relations.includes("covers")) continue;
    const cutting = denied[relations.indexOf("cuts")];
    if (cutting !== undefined) {
      return {
        refused:
          `--deny-${kind}=${cutting} cannot be kept beside --allow-${kind}=${entry}: it is a part of what that allows`,
        hint: `replace ${entry} in --allow-${kind} by entries that leave ${cutting} out`,
      };
    }
    left.push(entry);
  }
  return { allowed: left };
}

const EXAMPLES: Readonly<Record<ListKind, string>> = {
  read: "./data",
  write: "./out",
  net: "localhost:9092",
  env: "PGPASSWORD",
  sys: "hostname",
};

function everythingOf(kind: ListKind): readonly string[] | undefined {
  if (kind === "sys") return SYS_KINDS;
  if (kind !== "env") return undefined;
  try {
    return Object.keys(Deno.env.toObject());
  } catch (error) {
    // The process may read some variables only, and cannot say which.
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

const RELATIONS: Readonly<Record<ListKind, (denied: string, allowed: string) => Relation>> = {
  read: relatePaths,
  write: relatePaths,
  net: relateHosts,
  env: relateNames,
  sys: (denied, allowed) => denied === allowed ? "covers" : "apart",
};

function relatePaths(denied: string, allowed: string): Relation {
  if (isWithin(allowed, denied)) return "covers";
  return isWithin(denied, allowed) ? "cuts" : "apart";
}

/** True when `path` is `folder` or lies below it. Both are absolute and normalised. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/** Names, and prefixes that end with `*`. */
function relateNames(denied: string, allowed: string): Relation {
  if (denied === allowed) return "covers";
  const [deniedPrefix, allowedPrefix] = [prefixOf(denied), prefixOf(allowed)];
  if (deniedPrefix !== undefined) {
    if (allowed.startsWith(deniedPrefix)) return "covers";
    return allowedPrefix !== undefined && deniedPrefix.startsWith(allowedPrefix) ? "cuts" : "apart";
  }
  return allowedPrefix !== undefined && denied.startsWith(allowedPrefix) ? "cuts" : "apart";
}

function prefixOf(name: string): string | undefined {
  return name.endsWith("*") ? name.slice(0, -1) : undefined;
}

interface Host {
  readonly form: "name" | "address" | "wildcard" | "other";
  readonly host: string;
  readonly port: string | undefined;
}

/**
 * Hosts with and without a port. A denied address stands against allowed names too, since a name may lead to it, and Deno's own
 * deny list would stop that; so does a range of addresses. A denied name does not stand against an allowed address, as in Deno.
 */
function relateHosts(denied: string, allowed: string): Relation {
  const [no, yes] = [parseHost(denied), parseHost(allowed)];
  if (no.port !== undefined && yes.port !== undefined && no.port !== yes.port) return "apart";
  if (no.form === "other" || yes.form === "other") return denied === allowed ? "covers" : "cuts";
  if (no.form === "address" && yes.form !== "address") return "cuts";
  if (!hostsMeet(no, yes)) return "apart";
  const hostCovered = no.form === "wildcard" || yes.form !== "wildcard";
  const wholeWildcard = no.form !== "wildcard" || yes.host.endsWith(no.host);
  const portCovered = no.port === undefined || yes.port !== undefined;
  return hostCovered && wholeWildcard && portCovered ? "covers" : "cuts";
}

function hostsMeet(one: Host, other: Host): boolean {
  return one.host === other.host ||
    (one.form === "wildcard" && other.host.endsWith(one.host)) ||
    (other.form === "wildcard" && one.host.endsWith(other.host));
}

function parseHost(entry: string): Host {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:/\s]+))(?::(\d+))?$/.exec(entry) ?? [];
  if (bracketed !== undefined) {
    try {
      return { form: "address", host: new URL(`http://[${bracketed}]/`).hostname, port };
    } catch {
      return { form: "other", host: entry, port: undefined };
    }
  }
  if (plain === undefined) return { form: "other", host: entry, port: undefined };
  const host = plain.toLowerCase().replace(/\.$/, "");
  if (/^[\d.]+$/.test(host)) return { form: "address", host, port };
  // Kept with its dot: `.example.com` ends every name below it and no other.
  if (host.startsWith("*.")) return { form: "wildcard", host: host.slice(1), port };
  return { form: host.includes("*") ? "other" : "name", host, port };
}
