import type { Observation } from "../core/observation.ts";
import type { CommandContext } from "./command.ts";
import { isNoteworthy, observationJson, observationText } from "./observation_text.ts";

/** Tells on standard error what happens while declared pipelines run; each notice once. */
export class RunNarrator {
  readonly #context: Pick<CommandContext, "flags" | "terminal" | "style">;
  readonly #told = new Set<string>();

  constructor(context: Pick<CommandContext, "flags" | "terminal" | "style">) {
    this.#context = context;
  }

  /** Takes an observation: notices and retries are told, with `-v` everything, with `-q` nothing. */
  observe(observation: Observation): void {
    const { verbose } = this.#context.flags;
    // The program itself tells the error that it ends with.
    if (observation.kind === "error") return;
    if (observation.kind === "notice") this.notice(observation.pipeline, observation.message);
    else if (verbose || isNoteworthy(observation)) this.#tell(observation);
  }

  /** A thing worth knowing that is no failure. */
  notice(pipeline: string, message: string): void {
    const key = `${pipeline}\0${message}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#tell({ kind: "notice", pipeline, message });
  }

  #tell(observation: Observation): void {
    const { flags, terminal, style } = this.#context;
    if (flags.quiet) return;
    terminal.error(
      flags.format === "json"
        ? `${JSON.stringify({ observation: observationJson(observation) })}\n`
        : `${style.bold(`${observation.pipeline}:`)} ${observationText(observation)}\n`,
    );
  }
}
