/** Where `console` is used outside of the command line's own code, found by Deno's own lint rule. */

/** One use. */
export interface ConsoleUse {
  readonly path: string;
  readonly message: string;
}

/** Folders and files in which nothing writes to the console; `src/cli` is taken off. */
const SILENT = ["src", "tests", "main.ts"];
const LOUD = "src/cli/";

/** The part of `deno lint --json` that is read here. */
interface LintReport {
  readonly diagnostics: readonly {
    readonly filename: string;
    readonly code: string;
    readonly range: { readonly start: { readonly line: number } };
  }[];
  readonly errors: readonly { readonly file_path: string; readonly message: string }[];
}

/** Runs the rule over the project at `root` (with a slash at its end). */
export async function consoleUses(root: string): Promise<ConsoleUse[]> {
  const silent: string[] = [];
  for (const path of SILENT) {
    if (await Deno.stat(root + path).then(() => true, () => false)) silent.push(path);
  }
  if (silent.length === 0) return [];
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "lint",
      "--no-config",
      "--rules-tags=",
      "--rules-include=no-console",
      "--json",
      ...silent,
    ],
    cwd: root,
    stdin: "null",
  });
  const { stdout, stderr } = await command.output();
  const text = new TextDecoder().decode(stdout);
  if (!text.startsWith("{")) {
    throw new Error(`deno lint failed: ${new TextDecoder().decode(stderr)}`);
  }
  const report = JSON.parse(text) as LintReport;
  const relative = (file: string) =>
    decodeURIComponent(file.replace(`file://${root}`, "").replace(root, ""));
  return [
    ...report.diagnostics.filter(({ code }) => code === "no-console").map((
      { filename, range },
    ) => ({
      path: relative(filename),
      message: `line ${range.start.line}: console is for src/cli and scripts`,
    })),
    ...report.errors.map(({ file_path, message }) => ({ path: relative(file_path), message })),
  ].filter(({ path }) => !path.startsWith(LOUD));
}
