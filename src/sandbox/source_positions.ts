/**
 * From places in the code that runs back to places in the user's own files: first over the edits made in the JavaScript (specifiers,
 * `import.meta`), then over the source map of the TypeScript transformation. Plain data in, so that it crosses isolates.
 */

/** An edit within one line of the code that runs. Columns count from 0. */
export interface LineEdit {
  /** Line of the code that runs, from 0. */
  readonly line: number;
  /** Where the new text begins in the code that runs. */
  readonly column: number;
  readonly newLength: number;
  readonly oldLength: number;
}

/** A module as it runs, and what leads back to the user's file. */
export interface ModulePositions {
  /** The URL of the code that runs. */
  readonly url: string;
  /** The user's own file. */
  readonly file: string;
  /** Ordered by line and column. */
  readonly edits: readonly LineEdit[];
  /** The `mappings` of the source map, absent for a file that was JavaScript already. */
  readonly mappings?: string;
}

/** A place in a user's file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `file:line:column`. */
export function showPlace(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`;
}

/** The mapping of all modules that were loaded. */
export class SourcePositions {
  readonly #modules: ReadonlyMap<string, ModulePositions>;
  readonly #maps = new Map<string, SourceMap>();

  constructor(modules: readonly ModulePositions[]) {
    this.#modules = new Map(modules.map((module) => [module.url, module]));
  }

  /** The user's own files. */
  get files(): ReadonlySet<string> {
    return new Set([...this.#modules.values()].map(({ file }) => file));
  }

  /** The user's place for one in the code that runs (both from 1); `undefined` when the URL is none of the user's modules. */
  locate(url: string, line: number, column: number): Place | undefined {
    const module = this.#modules.get(url);
    if (module === undefined) return undefined;
    const before = beforeEdits(module.edits, line - 1, column - 1);
    if (module.mappings === undefined) return { file: module.file, line, column: before + 1 };
    let map = this.#maps.get(url);
    if (map === undefined) this.#maps.set(url, map = decodeMappings(module.mappings));
    const original = originalPlace(map, line - 1, before);
    return { file: module.file, line: original.line + 1, column: original.column + 1 };
  }

  /** The text with every place of running code (`URL:line:column`, as in stacks and syntax errors) replaced by the user's. */
  translate(text: string): string {
    return text.replace(
      /(file:\/\/[^\s()'"]+?)(?::(\d+):(\d+))?(?=[\s()'",]|$)/g,
      (all, url, line, column) => {
        const module = this.#modules.get(url);
        if (module === undefined) return all;
        if (line === undefined) return module.file;
        const place = this.locate(url, Number(line), Number(column));
        return place === undefined ? all : showPlace(place);
      },
    );
  }
}

/** The column before the edits; inside a replaced text it is that text's beginning. */
export function beforeEdits(edits: readonly LineEdit[], line: number, column: number): number {
  let grown = 0;
  for (const edit of edits) {
    if (edit.line !== line || edit.column > column) continue;
    if (column < edit.column + edit.newLength) return edit.column - grown;
    grown += edit.newLength - edit.oldLength;
  }
  return column - grown;
}

/** A mapped point of one generated line; numbers from 0. */
interface Segment {
  readonly generated: number;
  readonly line: number;
  readonly column: number;
}

/** The segments of every generated line, ordered by column. */
export type SourceMap = readonly (readonly Segment[])[];

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Decodes the `mappings` of a source map with one source. */
export function decodeMappings(mappings: string): SourceMap {
  let line = 0;
  let column = 0;
  return mappings.split(";").map((text) => {
    let generated = 0;
    const segments: Segment[] = [];
    for (const part of text === "" ? [] : text.split(",")) {
      const [toColumn = 0, , toLine, toSourceColumn] = decodeNumbers(part);
      generated += toColumn;
      if (toLine === undefined || toSourceColumn === undefined) continue;
      line += toLine;
      column += toSourceColumn;
      segments.push({ generated, line, column });
    }
    return segments;
  });
}

function decodeNumbers(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const character of text) {
    const digit = DIGITS.indexOf(character);
    value += (digit & 31) << shift;
    if ((digit & 32) !== 0) {
      shift += 5;
      continue;
    }
    numbers.push((value & 1) === 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}

/** The original place of a generated one (numbers from 0): the nearest mapped point at or before it. */
export function originalPlace(
  map: SourceMap,
  line: number,
  column: number,
): { readonly line: number; readonly column: number } {
  const here = map[line] ?? [];
  const at = here.findLast((segment) => segment.generated <= column);
  if (at !== undefined) return { line: at.line, column: at.column };
  for (let above = line - 1; above >= 0; above -= 1) {
    const last = map[above]?.at(-1);
    if (last !== undefined) return { line: last.line, column: last.column };
  }
  return here[0] ?? { line: 0, column: 0 };
}
