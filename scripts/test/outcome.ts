/** What a run of `deno test` came to, read from what its default reporter printed. */

/** Counted tests; steps are part of their test. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** Each ignored test as `./file_test.ts: its name`; those left out by a filter are not among them. */
  readonly skipped: readonly string[];
}

const SUMMARY = /^(?:ok|FAILED) \| (?<passed>\d+) passed(?: \([^)]*\))? \| (?<failed>\d+) failed/;
const FILE = /^running \d+ tests? from (?<file>.+)$/;
const IGNORED = /^(?<name>\S.*) \.\.\. ignored(?: \([^)]*\))?$/;

// deno-lint-ignore no-control-regex -- the escape character is what is looked for
const COLOURS = /\x1b\[[0-9;]*m/g;

/** Reads the reporter's lines, with or without colours. A run that failed without naming a failed test (a type error, say) has one failure. */
export function readOutcome(lines: readonly string[], success: boolean): Outcome {
  let file = "";
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const coloured of lines) {
    const line = coloured.replace(COLOURS, "");
    file = line.match(FILE)?.groups?.["file"] ?? file;
    const ignored = line.match(IGNORED)?.groups?.["name"];
    if (ignored !== undefined) skipped.push(`${file}: ${ignored}`);
    // The last such line counts: a test may print what looks like one.
    const summary = line.match(SUMMARY)?.groups;
    if (summary !== undefined) {
      [passed, failed] = [Number(summary["passed"]), Number(summary["failed"])];
    }
  }
  if (!success && failed === 0) failed = 1;
  return { passed, failed, skipped };
}

/** Makes lines of chunks of bytes. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  readonly #lines: string[] = [];
  #open = "";

  push(chunk: Uint8Array): void {
    const parts = (this.#open + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#open = parts.pop() ?? "";
    this.#lines.push(...parts);
  }

  /** All lines, with what stands behind the last line end. */
  end(): readonly string[] {
    return this.#open === "" ? this.#lines : [...this.#lines, this.#open];
  }
}
