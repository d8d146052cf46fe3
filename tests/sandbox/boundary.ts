/** Files for the tests of the boundary, and where the program under test keeps its embedded library. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { type Ended, flow, type Program } from "../cli/flow_program.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** A directory with files at any depth, below another one that tests may not reach; both are removed after `work`. */
export async function inProject(
  files: Readonly<Record<string, string>>,
  work: (project: string, outside: string) => Promise<void>,
): Promise<void> {
  const outside = await Deno.realPath(await Deno.makeTempDir({ prefix: "flow-boundary-" }));
  try {
    const project = `${outside}/project`;
    await Deno.mkdir(project);
    for (const [name, text] of Object.entries(files)) {
      const path = `${project}/${name}`;
      await Deno.mkdir(dirname(path), { recursive: true });
      await Deno.writeTextFile(path, text);
    }
    await work(project, outside);
  } finally {
    await Deno.remove(outside, { recursive: true });
  }
}

/** The error that `--format json` puts on standard output or standard error. */
export interface ReportedError {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, string | number>>;
  readonly cause?: string;
}

/** Runs flow, which must fail, and returns its error. */
export async function failure(
  program: Program,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly error: ReportedError; readonly ended: Ended }> {
  const ended = await flow(program, [...args, "--format", "json"], { cwd, env });
  assert.notEqual(ended.code, 0, `${ended.stdout}${ended.stderr}`);
  for (const line of `${ended.stderr}\n${ended.stdout}`.split("\n")) {
    if (!line.startsWith('{"error"')) continue;
    return { error: (JSON.parse(line) as { error: ReportedError }).error, ended };
  }
  assert.fail(`no error was reported:\n${ended.stdout}${ended.stderr}`);
}

/** The SQL engine's own library as this program has it: embedded and unpacked, or installed. */
export async function embeddedLibrary(program: Program): Promise<string> {
  const folder = program.name === "source"
    ? `${ROOT}node_modules/.deno`
    : `${dirname(program.command)}/.flow`;
  const found = await find(folder, /^libduckdb\.(so|dylib)$/);
  assert.ok(found, `no library of the engine below ${folder}`);
  return found;
}

async function find(folder: string, name: RegExp): Promise<string | undefined> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isFile && name.test(entry.name)) return path;
    if (!entry.isDirectory) continue;
    const below = await find(path, name);
    if (below !== undefined) return below;
  }
  return undefined;
}
