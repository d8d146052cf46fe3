import type { DefinitionInput } from "../core/request.ts";
import { loadUserModule } from "../sandbox/user_host.ts";
import type { CommandContext } from "./command.ts";
import { usageError } from "./flags.ts";

/**
 * Where the command line says that the definitions are: `--module M` or `FILE.toml`; `undefined` when it says neither. A module is
 * loaded here, in an isolate of its own; a file is read by the engine.
 *
 * @throws FlowError `usage_invalid`, and those of the user's module.
 */
export async function definitionInput(
  { flags, permissions }: CommandContext,
  words: readonly string[],
  signal: AbortSignal = new AbortController().signal,
): Promise<DefinitionInput | undefined> {
  const [path, extra] = words;
  if (extra !== undefined) {
    throw usageError(`'${extra}' is one word too many`, "give one FILE.toml, and each flag once");
  }
  if (flags.module !== undefined) {
    if (path !== undefined) {
      throw usageError(
        `both --module ${flags.module} and '${path}' are given`,
        "give either --module M or FILE.toml",
      );
    }
    if (/\.toml$/i.test(flags.module)) {
      throw usageError(
        `'${flags.module}' is a TOML file, not a module`,
        "give it by itself, without --module",
      );
    }
    const definitions = await loadUserModule(flags.module, permissions, { signal });
    return { from: "module", module: flags.module, definitions };
  }
  if (path === undefined) return undefined;
  if (/\.[cm]?[jt]sx?$/i.test(path)) {
    throw usageError(`'${path}' is a module, not a TOML file`, `give it as --module ${path}`);
  }
  return { from: "toml_file", path };
}
