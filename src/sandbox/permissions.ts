import { closest, distance } from "fastest-levenshtein";
import { isAbsolute, normalize, resolve } from "node:path";
import { FlowError } from "../core/error.ts";
import { type Denied, type ListKind, subtract } from "./permission_lists.ts";

/**
 * What one kind of permission was granted: nothing, everything, the listed entries, or whatever the process itself has
 * (`inherit`, which is so only when no flag was given that narrows it).
 */
export type Grant = boolean | "inherit" | readonly string[];

/**
 * What Deno's permission flags on `flow` itself grant to the user's modules and to the engine. There is no `run`, `ffi` or `import`:
 * the user's modules never have them, whatever the flags, and flow itself runs no programs and imports nothing remote.
 * Paths are absolute.
 */
export interface GrantedPermissions {
  readonly read: Grant;
  readonly write: Grant;
  readonly net: Grant;
  readonly env: Grant;
  readonly sys: Grant;
}

/** The permissions without any flag: those of the process. */
export const INHERITED: GrantedPermissions = {
  read: "inherit",
  write: "inherit",
  net: "inherit",
  env: "inherit",
  sys: "inherit",
};

/** The command line without the permission flags, and what they grant. */
export interface TakenFlags {
  readonly granted: GrantedPermissions;
  readonly rest: string[];
}

type FlagKind = ListKind | "run" | "ffi" | "import";

const LIST_KINDS: readonly ListKind[] = ["read", "write", "net", "env", "sys"];
const NEVER_KINDS: readonly string[] = ["run", "ffi", "import"];

const SHORT: Readonly<Record<string, FlagKind>> = {
  R: "read",
  W: "write",
  N: "net",
  E: "env",
  S: "sys",
  I: "import",
};

/** What the flags said about one kind. */
interface Asked {
  allowAll: boolean;
  readonly allow: string[];
  denyAll: boolean;
  readonly deny: string[];
}

/**
 * Takes Deno's permission flags out of a command line, wherever they stand before a `--`: `--allow-read[=LIST]` (`-R`), `--allow-write`
 * (`-W`), `--allow-net` (`-N`), `--allow-env` (`-E`), `--allow-sys` (`-S`), `--allow-all` (`-A`), `--deny-…[=LIST]`, and
 * `--sandbox`, which grants nothing. `--allow-run`, `--allow-ffi` and `--allow-import` are taken and grant nothing; so is `--no-prompt`
 * (flow never prompts).
 *
 * Without an allow flag and without `--sandbox`, what is not denied is inherited from the process; with one, what is not allowed is
 * refused, as Deno does.
 *
 * @throws FlowError `permission_flag_invalid` for a flag that is unknown or contradicts another, and for a denial that cannot be
 * kept (a Worker has no deny lists, so a denial is the difference of two lists, and some differences are none).
 *
 * @example
 * ```ts
 * takePermissionFlags(["--allow-net=localhost:9092", "orders.toml"]);
 * // { granted: { net: ["localhost:9092"], read: false, write: false, env: false, sys: false }, rest: ["orders.toml"] }
 * ```
 */
export function takePermissionFlags(argv: readonly string[]): TakenFlags {
  const asked = new Map<FlagKind, Asked>();
  const rest: string[] = [];
  let everything = false;
  let sandbox = false;
  let anyAllow = false;
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at] as string;
    if (argument === "--") {
      rest.push(...argv.slice(at));
      break;
    }
    if (argument === "--no-prompt") continue;
    if (argument === "--sandbox") {
      sandbox = true;
      continue;
    }
    if (argument === "--allow-all") {
      everything = true;
      continue;
    }
    const flags = longFlag(argument) ?? shortFlags(argument);
    if (flags === undefined) {
      rest.push(argument);
      continue;
    }
    for (const flag of flags) {
      if (flag.kind === "all") {
        everything = true;
        continue;
      }
      anyAllow ||= flag.allow;
      take(askedFor(asked, flag.kind), flag, argument);
    }
  }
  refuseContradictions(everything, sandbox, asked);
  const others: Grant = everything ? true : sandbox || anyAllow ? false : "inherit";
  const grant = (kind: ListKind) => grantOf(kind, asked.get(kind), others);
  return {
    granted: {
      read: grant("read"),
      write: grant("write"),
      net: grant("net"),
      env: grant("env"),
      sys: grant("sys"),
    },
    rest,
  };
}

interface Flag {
  readonly kind: FlagKind | "all";
  readonly allow: boolean;
  readonly list: string | undefined;
}

function longFlag(argument: string): Flag[] | undefined {
  const [, verb, kind = "", list] = /^--(allow|deny)-([^=]*)(?:=(.*))?$/s.exec(argument) ?? [];
  if (verb === undefined) return undefined;
  if (!isFlagKind(kind)) {
    const nearest = closest(kind, [...LIST_KINDS, ...NEVER_KINDS, "all"]);
    const near = distance(kind, nearest) <= 2 ? nearest : undefined;
    throw invalid(
      `${argument} is not a permission flag`,
      near !== undefined
        ? `did you mean --${verb}-${near}?`
        : `the kinds are ${[...LIST_KINDS, ...NEVER_KINDS].join(", ")}`,
    );
  }
  return [{ kind, allow: verb === "allow", list }];
}

/** `-R`, `-R=LIST`, and several letters such as `-RN`; anything else is none of ours. */
function shortFlags(argument: string): Flag[] | undefined {
  const [, letters, list] = /^-([ARWNESI]+)(?:=(.*))?$/s.exec(argument) ?? [];
  if (letters === undefined) return undefined;
  if (list !== undefined && letters.length > 1) {
    throw invalid(`${argument} gives one list to several flags`, "give each flag its own list");
  }
  return [...letters].map((letter) => ({ kind: SHORT[letter] ?? "all", allow: true, list }));
}

function isFlagKind(kind: string): kind is FlagKind {
  return NEVER_KINDS.includes(kind) || LIST_KINDS.some((known) => known === kind);
}

function askedFor(asked: Map<FlagKind, Asked>, kind: FlagKind): Asked {
  const entry = asked.get(kind) ?? { allowAll: false, allow: [], denyAll: false, deny: [] };
  asked.set(kind, entry);
  return entry;
}

function take(entry: Asked, flag: Flag, argument: string): void {
  if (flag.list === undefined) {
    if (flag.allow) entry.allowAll = true;
    else entry.denyAll = true;
    return;
  }
  const items = splitList(flag.list);
  if (items.length === 0 || items.includes("")) {
    throw invalid(`${argument} has an empty entry`, "leave the `=` out to mean everything");
  }
  (flag.allow ? entry.allow : entry.deny).push(...items.map((item) => normalised(flag.kind, item)));
}

/** As in Deno, a comma that belongs to an entry is written twice. */
function splitList(list: string): string[] {
  return list.replaceAll(",,", "\0").split(",").map((item) => item.replaceAll("\0", ","));
}

function normalised(kind: Flag["kind"], item: string): string {
  if (kind === "net" && /^[a-z][a-z0-9+.-]*:\/\//i.test(item)) {
    throw invalid(
      `--allow-net and --deny-net take hosts, not the URL ${item}`,
      "HOST or HOST:PORT",
    );
  }
  if (kind !== "read" && kind !== "write") return item;
  const path = isAbsolute(item) ? normalize(item) : resolve(item);
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function refuseContradictions(
  everything: boolean,
  sandbox: boolean,
  asked: ReadonlyMap<FlagKind, Asked>,
): void {
  if (everything && sandbox) {
    throw invalid("--sandbox and --allow-all contradict one another", "leave one of them out");
  }
  for (const [kind, { allowAll, allow }] of asked) {
    // These grant nothing either way.
    if (NEVER_KINDS.includes(kind)) continue;
    if (everything && (allowAll || allow.length > 0)) {
      throw invalid(
        `--allow-all and --allow-${kind} contradict one another`,
        "leave --allow-all out and list what is needed",
      );
    }
    if (allowAll && allow.length > 0) {
      throw invalid(
        `--allow-${kind} stands there with a list and without`,
        "leave one of the two out",
      );
    }
  }
}

function grantOf(kind: ListKind, asked: Asked | undefined, others: Grant): Grant {
  if (asked === undefined) return others;
  if (asked.denyAll) return false;
  const allowed: Grant = asked.allowAll ? true : asked.allow.length > 0 ? asked.allow : others;
  if (asked.deny.length === 0 || allowed === false) return allowed;
  const difference: Denied = subtract(kind, allowed, asked.deny);
  if ("refused" in difference) throw invalid(difference.refused, difference.hint);
  return difference.allowed;
}

function invalid(message: string, hint: string): FlowError {
  return new FlowError(message, { code: "permission_flag_invalid", domain: "user", hint });
}
