import { FlowError } from "../../core/error.ts";

/** What a source's query means: where to look below the base directory, and which files there are meant. */
export interface FilePattern {
  /** Folder below the base without wildcards, "" for the base itself. */
  readonly folder: string;
  /** True for relative paths that are meant. */
  matches(path: string): boolean;
}

const WILDCARD = /[*?[{]/;

/**
 * Takes a query apart. With wildcards it is a glob over paths relative to the base (`*` and `?` within a name, `**` across folders,
 * `[a-z]`, `{csv,json}`); without, a file, or a folder with everything below it. An empty query means everything.
 *
 * @throws FlowError `definition_invalid` for a query that leaves the base.
 */
export function parsePattern(query: string): FilePattern {
  const clean = query.replace(/^(\.\/)+/, "").replace(/^\.$/, "").replaceAll(/\/{2,}/g, "/");
  if (clean.startsWith("/") || clean.split("/").includes("..")) {
    throw new FlowError(`cannot read '${query}': a query is relative to the connection's path`, {
      code: "definition_invalid",
      domain: "user",
      hint: "give a glob such as raw/*.json or a folder such as events/",
    });
  }
  if (!WILDCARD.test(clean)) {
    const folder = clean.replace(/\/$/, "");
    return {
      folder,
      matches: (path) => folder === "" || path === folder || path.startsWith(`${folder}/`),
    };
  }
  const segments = clean.split("/");
  const fixed = segments.slice(0, segments.findIndex((segment) => WILDCARD.test(segment)));
  const regex = globRegex(clean);
  return { folder: fixed.join("/"), matches: (path) => regex.test(path) };
}

function globRegex(glob: string): RegExp {
  let source = "";
  let depth = 0;
  for (let at = 0; at < glob.length; at += 1) {
    const character = glob[at] ?? "";
    if (glob.startsWith("**/", at)) {
      source += "(?:.*/)?";
      at += 2;
    } else if (glob.startsWith("**", at)) {
      source += ".*";
      at += 1;
    } else if (character === "*") source += "[^/]*";
    else if (character === "?") source += "[^/]";
    else if (character === "[" && glob.indexOf("]", at + 2) !== -1) {
      const end = glob.indexOf("]", at + 2);
      const set = glob.slice(at + 1, end).replace(/^!/, "^").replaceAll("\\", "\\\\");
      source += `[${set}]`;
      at = end;
    } else if (character === "{") {
      source += "(?:";
      depth += 1;
    } else if (character === "}" && depth > 0) {
      source += ")";
      depth -= 1;
    } else if (character === "," && depth > 0) source += "|";
    else source += character.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  }
  if (depth > 0) {
    throw new FlowError(`cannot read '${glob}': a { is not closed`, {
      code: "definition_invalid",
      domain: "user",
      hint: "write {csv,json}",
    });
  }
  return new RegExp(`^${source}$`, "u");
}
