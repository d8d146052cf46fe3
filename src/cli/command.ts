import type { GrantedPermissions } from "../sandbox/permissions.ts";
import type { FlagName, FlagValues, Format } from "./flags.ts";
import type { Style, Terminal } from "./terminal.ts";

/** What a subcommand gets to work with. */
export interface CommandContext {
  readonly flags: FlagValues;
  /** The words after the command's name. */
  readonly words: readonly string[];
  readonly permissions: GrantedPermissions;
  readonly terminal: Terminal;
  readonly style: Style;
}

/** One subcommand: its help text and what it does. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `flow NAME --help` prints, examples first. */
  readonly help: string;
  /** The flags it takes besides those that every command takes. */
  readonly flags: readonly FlagName[];
  /** What `--format` can be, the default first; text and json unless given. */
  readonly formats?: readonly Format[];
  /** Does the work; returns the exit code. Throws a FlowError for everything else. */
  readonly run: (context: CommandContext) => Promise<number>;
}
