import { toFlowError } from "../core/error.ts";
import { takePermissionFlags } from "../sandbox/permissions.ts";
import { Stopped } from "./engine_request.ts";
import { EXIT_CODES, exitCodeOf } from "./exit_code.ts";
import { parseArguments, requireTaken, usageError } from "./flags.ts";
import { commandNamed, overview } from "./help.ts";
import { reportError } from "./report.ts";
import { createStyle, mayColor, Terminal } from "./terminal.ts";

/**
 * The whole command line program: runs what `argv` asks for and returns the exit code. Never throws.
 *
 * @param prepare done before everything else; what it throws is told like an error of the command
 *
 * @example
 * ```ts
 * Deno.exit(await runProgram(Deno.args, "1.0.0"));
 * ```
 */
export async function runProgram(
  argv: readonly string[],
  version: string,
  prepare?: () => Promise<void>,
): Promise<number> {
  const terminal = new Terminal();
  try {
    await prepare?.();
    return await runCommand(argv, version, terminal);
  } catch (thrown) {
    if (thrown instanceof Stopped) return thrown.exitCode;
    const error = toFlowError(thrown);
    terminal.error(reportError(error, reportOptions(argv)));
    return exitCodeOf(error);
  }
}

async function runCommand(
  argv: readonly string[],
  version: string,
  terminal: Terminal,
): Promise<number> {
  const { granted, rest } = takePermissionFlags(argv);
  const parsed = parseArguments(rest);
  const { flags, words } = parsed;
  const [name, ...others] = words;
  if (flags.version) {
    terminal.out(
      `flow ${version} (deno ${Deno.version.deno}, ${Deno.build.os} ${Deno.build.arch})\n`,
    );
    return EXIT_CODES.done;
  }
  if (name === undefined) {
    if (!flags.help) {
      throw usageError("no command is given", "the commands are shown by: flow help");
    }
    terminal.out(overview());
    return EXIT_CODES.done;
  }
  const command = commandNamed(name);
  if (flags.help) {
    terminal.out(command.help);
    return EXIT_CODES.done;
  }
  const taken = requireTaken(command, parsed);
  if (flags.quiet && flags.verbose) {
    throw usageError("--quiet and --verbose contradict one another", "leave one of them out");
  }
  return await command.run({
    flags: taken,
    words: others,
    permissions: granted,
    terminal,
    style: createStyle(mayColor(flags.color)),
  });
}

/** How an error is told, found without parsing: the command line itself may be what is wrong. */
function reportOptions(argv: readonly string[]): Parameters<typeof reportError>[1] {
  const own = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  const format = own.findLast((word, i) => word === "--format=json" || own[i - 1] === "--format");
  return {
    format: format === "json" || format === "--format=json" ? "json" : "text",
    verbose: own.some((word) => word === "--verbose" || /^-[a-z]*v[a-z]*$/.test(word)),
    style: createStyle(mayColor(!own.includes("--no-color"))),
  };
}
