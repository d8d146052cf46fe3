import { FlowError } from "../core/error.ts";
import type { Origin } from "../core/spec.ts";
import { camelName } from "./key_names.ts";

/** Where a value stands within a definition: names of keys, and numbers of array items from 0. */
export type KeyPath = readonly (string | number)[];

/** A definition as its author wrote it: how keys are spelled there, and where each stands. */
export interface Place {
  /** `toml` names keys in snake_case, `module` in camelCase. */
  readonly spelling: "toml" | "module";
  /** The place of a key, or of the nearest thing around it that has one. */
  locate(path: KeyPath): Origin;
}

interface Problem {
  readonly origin: Origin;
  readonly text: string;
  readonly hint: string | undefined;
}

/** Collects everything that is wrong with a definition, so that its author sees all of it at once. */
export class ProblemList {
  readonly #problems: Problem[] = [];

  /** How many problems there are. */
  get count(): number {
    return this.#problems.length;
  }

  /** Adds one: `message` says what was expected and what came, never a credential. */
  add(place: Place, path: KeyPath, message: string, hint?: string): void {
    const name = pathName(path, place.spelling);
    const problem: Problem = {
      origin: place.locate(path),
      text: name === "" ? message : `${name}: ${message}`,
      hint,
    };
    const same = (other: Problem) =>
      other.text === problem.text && originText(other.origin) === originText(problem.origin);
    if (!this.#problems.some(same)) this.#problems.push(problem);
  }

  /** Throws one {@link FlowError} of code `definition_invalid` with all problems, in the order of the file; does nothing without any. */
  throwIfAny(): void {
    const problems = this.#problems.toSorted((a, b) =>
      a.origin.file === b.origin.file
        ? (a.origin.line ?? 0) - (b.origin.line ?? 0) ||
          (a.origin.column ?? 0) - (b.origin.column ?? 0)
        : 0
    );
    const [first] = problems;
    if (first === undefined) return;
    const details = {
      problems: problems.length,
      file: first.origin.file,
      ...(first.origin.line === undefined ? {} : { line: first.origin.line }),
      ...(first.origin.column === undefined ? {} : { column: first.origin.column }),
    };
    const line = (problem: Problem) => `${originText(problem.origin)}: ${problem.text}`;
    if (problems.length === 1) {
      throw new FlowError(line(first), {
        code: "definition_invalid",
        domain: "user",
        details,
        ...(first.hint === undefined ? {} : { hint: first.hint }),
      });
    }
    const lines = problems.map((problem) =>
      `  ${line(problem)}${problem.hint === undefined ? "" : ` (${problem.hint})`}`
    );
    throw new FlowError(`the definition has ${problems.length} problems:\n${lines.join("\n")}`, {
      code: "definition_invalid",
      domain: "user",
      hint: "correct these places and start again",
      details,
    });
  }
}

/** `pipeline.toml:3:1`. */
export function originText(origin: Origin): string {
  if (origin.line === undefined) return origin.file;
  const line = `${origin.file}:${origin.line}`;
  return origin.column === undefined ? line : `${line}:${origin.column}`;
}

/** `targets[0].table.name`, in the author's spelling. */
export function pathName(path: KeyPath, spelling: Place["spelling"]): string {
  let name = "";
  for (const segment of path) {
    if (typeof segment === "number") name += `[${segment}]`;
    else name += (name === "" ? "" : ".") + keyName(segment, spelling);
  }
  return name;
}

/** One key in the author's spelling. */
export function keyName(key: string, spelling: Place["spelling"]): string {
  return spelling === "module" ? camelName(key) : key;
}

/** A place that is known only as a whole: a module's call, an environment variable. */
export function wholePlace(origin: Origin, spelling: Place["spelling"]): Place {
  return { spelling, locate: () => origin };
}
