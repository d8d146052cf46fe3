import type { DefinitionInput } from "../core/request.ts";
import type { CommandContext } from "./command.ts";
import { definitionInput } from "./definition_input.ts";
import { usageError } from "./flags.ts";

/** Where a declared pipeline is defined, and which one is meant. */
export interface NamedPipeline {
  readonly input: DefinitionInput;
  /** Absent when the command line names none. */
  readonly pipeline?: string;
}

/**
 * The definitions and the pipeline's name of a command line: `FILE.toml [NAME]` in either order, or `--module M [NAME]`. The module is loaded
 * here.
 *
 * @throws FlowError `usage_invalid`, and those of the user's module.
 */
export async function namedPipeline(
  command: string,
  context: CommandContext,
): Promise<NamedPipeline> {
  const { words, flags } = context;
  const inModule = flags.module !== undefined;
  const files = words.filter(isFile);
  const names = words.filter((word) => !isFile(word));
  const [name, another] = names;
  if (another !== undefined) {
    throw usageError(
      `'flow ${command}' takes one pipeline, but ${names.length} are named: ${names.join(", ")}`,
      `start a flow ${command} for each`,
    );
  }
  const input = await definitionInput(context, files);
  if (input === undefined || (inModule && files.length > 0)) {
    throw usageError(
      name === undefined
        ? `'flow ${command}' needs a pipeline`
        : `where is the pipeline '${name}' defined?`,
      `flow ${command} FILE.toml ${name ?? "NAME"}, or flow ${command} --module M ${
        name ?? "NAME"
      }`,
    );
  }
  return { input, ...(name === undefined ? {} : { pipeline: name }) };
}

/**
 * The definitions of a command line for a command that is about all pipelines: `FILE.toml` or `--module M`; `undefined` for none.
 *
 * @throws FlowError `usage_invalid`, and those of the user's module.
 */
export async function allPipelines(
  context: CommandContext,
): Promise<DefinitionInput | undefined> {
  return await definitionInput(context, context.words);
}

/** The same for a command that cannot do without. */
export async function requiredPipelines(
  command: string,
  context: CommandContext,
): Promise<DefinitionInput> {
  const input = await allPipelines(context);
  if (input !== undefined) return input;
  throw usageError(
    `'flow ${command}' needs pipelines`,
    `flow ${command} FILE.toml, or flow ${command} --module M`,
  );
}

/** A word that names a file: by its ending, or because it is a path. */
function isFile(word: string): boolean {
  return /\.(toml|[cm]?[jt]sx?)$/i.test(word) || /[/\\]/.test(word);
}
