/**
 * The repository's test of itself: `deno task tidy` prints what is out of order and ends with 1 when something is.
 * `tests/tidy_test.ts` calls the same functions.
 *
 *   size          no source file over 400 lines, no test over 600
 *   name          nothing called utils, helpers, common or manager
 *   unreferenced  every module is reached by imports: src from the entry points or a script, the rest also from a test
 *   mark          no marks for work left undone
 *   place         no host of a package registry, no path of the machine it was written on
 *   console       `console` only in src/cli, scripts and examples
 *
 * A file that must break a rule is on the dated list `EXCEPTIONS`, with the reason.
 */
import { MAIN, WORKERS } from "./compile.ts";
import { type ConsoleUse, consoleUses } from "./tidy/console.ts";
import { unreferenced } from "./tidy/references.ts";

/** One text file of the project. */
export interface ProjectFile {
  /** From the project's root: `src/core/error.ts`. */
  readonly path: string;
  readonly text: string;
}

/** One thing out of order. */
export interface Finding {
  readonly rule: "size" | "name" | "unreferenced" | "mark" | "place" | "console" | "exception";
  readonly path: string;
  readonly message: string;
}

/** A file that may break a rule until a day. */
export interface Exception {
  readonly rule: Finding["rule"];
  readonly path: string;
  /** The last day it holds, as `2026-12-31`. */
  readonly until: string;
  readonly why: string;
}

const EXCEPTIONS: readonly Exception[] = [];

const ROOT = new URL("..", import.meta.url).pathname;
const SOURCE_LINES = 400;
const TEST_LINES = 600;
const SKIPPED_FOLDERS = new Set([".git", "node_modules", "dist", ".services", ".flow"]);
const TEXT =
  /\.(?:ts|tsx|js|mjs|json|jsonc|toml|md|sh|bash|sql|yml|yaml|proto|avsc|html|css)$|(?:^|\/)\.ci\/run$/;
const MODULE = /\.(?:ts|tsx|js|mjs)$/;
const LAZY_NAME = /(?:^|[_.-])(?:utils?|helpers?|common|managers?)(?:[_.-]|$)/i;

// The classes of one letter keep these patterns from matching themselves.
const MARK = /\b(?:TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/;
const PLACES: readonly RegExp[] = [
  /\b(?:npm[j]s\.(?:org|com)|repo1?\.mav[e]n\.|mav[e]n\.org|pypi\.o[r]g|pythonh[o]sted\.org)/,
  /\b(?:(?:static\.)?crates\.i[o]\b|proxy\.g[o]lang\.org|(?:deb|security)\.deb[i]an\.org|\bj[s]r\.io)/,
  /(?<![\w.~$})-])\/(?:w[o]rk|ro[o]t|tm[p]|home\/\w+)\//,
  /\.librar[y]\//,
];

/** Everything that is out of order in the project at `root`, exceptions taken off. */
export async function tidy(root: string = ROOT, today: Date = new Date()): Promise<Finding[]> {
  const files = await projectFiles(root);
  const entries = [MAIN, "src/mod.ts", ...WORKERS];
  const findings = [
    ...checkSizes(files),
    ...checkNames(files),
    ...unreferenced(files, entries).map(({ path, message }): Finding => ({
      rule: "unreferenced",
      path,
      message,
    })),
    ...checkMarks(files),
    ...checkPlaces(files),
    ...(await consoleUses(root)).map((use: ConsoleUse): Finding => ({ rule: "console", ...use })),
  ];
  return applyExceptions(findings, EXCEPTIONS, today);
}

/** Files that grew too long. */
export function checkSizes(files: readonly ProjectFile[]): Finding[] {
  return files.filter(({ path }) => MODULE.test(path)).flatMap(({ path, text }) => {
    const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
    const limit = isTest(path) ? TEST_LINES : SOURCE_LINES;
    if (lines <= limit) return [];
    return [{ rule: "size", path, message: `${lines} lines, at most ${limit}: split it by job` }];
  });
}

/** Files and folders whose name says nothing. */
export function checkNames(files: readonly ProjectFile[]): Finding[] {
  return files.filter(({ path }) => path.split("/").some((part) => LAZY_NAME.test(part))).map((
    { path },
  ) => ({
    rule: "name",
    path,
    message: "the name does not say what it is for",
  }));
}

/** Marks for work left undone. */
export function checkMarks(files: readonly ProjectFile[]): Finding[] {
  return matchingLines(files, MARK).map(({ path, line, found }) => ({
    rule: "mark",
    path,
    message: `line ${line}: ${found}: do it, or open an issue`,
  }));
}

/** Hosts of package registries and paths of one machine. */
export function checkPlaces(files: readonly ProjectFile[]): Finding[] {
  return PLACES.flatMap((pattern) => matchingLines(files, pattern)).map((
    { path, line, found },
  ) => ({
    rule: "place",
    path,
    message: `line ${line}: "${found}" holds on one machine only`,
  }));
}

/** Takes off what the list allows, and adds exceptions that are over or that nothing needs. */
export function applyExceptions(
  findings: readonly Finding[],
  exceptions: readonly Exception[],
  today: Date,
): Finding[] {
  const day = today.toISOString().slice(0, 10);
  const covers = (exception: Exception, { rule, path }: Finding) =>
    exception.rule === rule && exception.path === path && exception.until >= day;
  const left = findings.filter((finding) =>
    !exceptions.some((exception) => covers(exception, finding))
  );
  const useless = exceptions.filter((exception) =>
    !findings.some((finding) => covers(exception, finding))
  );
  return [
    ...left,
    ...useless.map(({ rule, path, until }): Finding => ({
      rule: "exception",
      path,
      message: until < day
        ? `its exception from "${rule}" ended on ${until}`
        : `needs no exception from "${rule}"`,
    })),
  ];
}

/** All text files of the project, without what is installed or made. */
export async function projectFiles(root: string): Promise<ProjectFile[]> {
  const files: ProjectFile[] = [];
  const walk = async (folder: string): Promise<void> => {
    for await (const entry of Deno.readDir(root + folder)) {
      const path = folder + entry.name;
      if (entry.isDirectory && !SKIPPED_FOLDERS.has(entry.name)) await walk(`${path}/`);
      if (entry.isFile && TEXT.test(path)) {
        files.push({ path, text: await Deno.readTextFile(root + path) });
      }
    }
  };
  await walk("");
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Whether a file is a test or serves tests only. */
export function isTest(path: string): boolean {
  return path.startsWith("tests/") || /_test\.tsx?$/.test(path);
}

function matchingLines(
  files: readonly ProjectFile[],
  pattern: RegExp,
): { readonly path: string; readonly line: number; readonly found: string }[] {
  return files.flatMap(({ path, text }) =>
    text.split("\n").flatMap((content, i) => {
      const found = content.match(pattern)?.[0];
      return found === undefined ? [] : [{ path, line: i + 1, found }];
    })
  );
}

if (import.meta.main) {
  const findings = await tidy();
  for (const { rule, path, message } of findings) console.error(`${path}: ${rule}: ${message}`);
  console.error(findings.length === 0 ? "tidy" : `${findings.length} things out of order`);
  Deno.exit(findings.length === 0 ? 0 : 1);
}
