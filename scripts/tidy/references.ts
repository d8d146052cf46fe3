/** Modules that nothing imports. */
import type { ProjectFile } from "../tidy.ts";

/** A module that is out of reach. */
export interface Unreferenced {
  readonly path: string;
  readonly message: string;
}

const MODULE = /\.(?:ts|tsx|js|mjs)$/;
const TEST = /_test\.tsx?$/;

/** What names another module: imports, re-exports, literal `import()`, and `new URL` for Workers and files. */
const REFERENCE = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)(["'])(?<specifier>[^"'\n]+)\1/g;

/** Modules of `src` that are there for the tests beside them say so in their names. */
const FOR_TESTS = /\/((test|fake)_\w+|\w+_fixtures?)\.ts$/;

/**
 * The modules of the project that nothing reaches. Modules of `src` must be reached from `entries`, from a script or
 * from an example: one that only tests reach does no work. Modules elsewhere may be reached from a test too.
 */
export function unreferenced(
  files: readonly ProjectFile[],
  entries: readonly string[],
): Unreferenced[] {
  const modules = new Map(
    files.filter(({ path }) => MODULE.test(path)).map(({ path, text }) => [path, text]),
  );
  const paths = [...modules.keys()];
  const tests = paths.filter((path) => TEST.test(path));
  const scripts = paths.filter((path) => /^scripts\/[^/]+$/.test(path) && !TEST.test(path));
  const examples = paths.filter((path) => path.startsWith("examples/"));
  const working = reach(modules, [...entries, ...scripts, ...examples]);
  const all = reach(modules, [...working, ...tests]);
  return paths.flatMap((path) => {
    if (working.has(path) || TEST.test(path)) return [];
    if (!all.has(path)) return [{ path, message: "nothing imports it" }];
    return path.startsWith("src/") && !FOR_TESTS.test(path)
      ? [{ path, message: "only tests import it" }]
      : [];
  });
}

function reach(modules: ReadonlyMap<string, string>, from: Iterable<string>): Set<string> {
  const reached = new Set<string>();
  const queue = [...from];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const text = modules.get(path);
    if (text === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const { groups } of text.matchAll(REFERENCE)) {
      const specifier = groups?.["specifier"] ?? "";
      if (specifier === "flow") queue.push("src/mod.ts");
      if (specifier.startsWith(".")) {
        queue.push(new URL(specifier, `file:///${path}`).pathname.slice(1));
      }
    }
  }
  return reached;
}
