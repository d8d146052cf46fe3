import { FlowError } from "../core/error.ts";

/** Lines that stand before a person's query in the statements that {@link queryError} is about. */
const LINES_BEFORE = 1;

/** Where the engine points to, in a person's own lines; both count from 1. */
interface Place {
  readonly line: number;
  /** Absent where the engine shows only a part of the line, or its characters are of different widths. */
  readonly column?: number;
}

/**
 * What to tell the person whose query failed, when the engine got it as `SELECT * FROM (`, the query from the next line on, and `)`: the line is
 * counted in the query itself, and a hint says where to look, or which tables there are.
 *
 * @param tables the relations that the query can name
 */
export function queryError(error: FlowError, tables: readonly string[]): FlowError {
  if (error.code !== "sql_invalid" && error.code !== "sql_failed") return error;
  const { code, domain, retryable, cause, details } = error;
  const message = error.message.replace(
    /\nLINE (\d+): (?=[^\n]*\n *\^\s*$)/,
    (_, line: string) => `\nLINE ${Math.max(1, Number(line) - LINES_BEFORE)}: `,
  );
  const hint = hintFor(message, placeIn(message), tables);
  return new FlowError(message, { code, domain, retryable, hint, details, cause });
}

function placeIn(message: string): Place | undefined {
  const [, head = "", line, excerpt = "", spaces = ""] =
    /\n(LINE (\d+): )([^\n]*)\n( *)\^\s*$/.exec(message) ?? [];
  if (line === undefined) return undefined;
  const isWhole = /^(?!\.\.\.)[\x20-\x7e]*$/.test(excerpt);
  return {
    line: Number(line),
    ...(isWhole ? { column: spaces.length - head.length + 1 } : {}),
  };
}

function hintFor(message: string, place: Place | undefined, tables: readonly string[]): string {
  if (/^Catalog Error: Table with name/.test(message)) return tablesHint(tables);
  const at = place === undefined ? "the query" : placeText(place);
  if (/^Conversion Error/.test(message)) {
    return `correct ${at}; TRY_CAST makes NULL of what does not fit`;
  }
  if (!message.startsWith("Parser Error")) return `correct ${at}`;
  if (/at end of input/.test(message)) {
    return "the query ends too early: see whether a bracket is still open, or something is missing";
  }
  if (/^Parser Error: unterminated/.test(message)) {
    return `close what begins at ${at}`;
  }
  if (/at or near ";"/.test(message)) return "give one query; for several, call flow sql for each";
  const isStatement = place?.line === 1 && place.column === 1;
  return isStatement
    ? "flow sql only reads: give one query, for example SELECT …"
    : `correct ${at}: what stands before it cannot go on like this`;
}

function placeText({ line, column }: Place): string {
  return column === undefined
    ? `line ${line} of the query`
    : `line ${line}, column ${column} of the query`;
}

function tablesHint(tables: readonly string[]): string {
  return tables.length === 0
    ? "there are no tables here: give files with --register NAME=PATH, or a database with --connection NAME"
    : `the tables are ${
      tables.join(", ")
    }; more are given with --register NAME=PATH, those of a database with --connection NAME`;
}
