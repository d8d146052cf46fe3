import { denoHost } from "../config/host.ts";
import type { RegisteredFile, SqlFormat } from "../core/batch_request.ts";
import { FlowError } from "../core/error.ts";
import type { Command, CommandContext } from "./command.ts";
import { definitionInput } from "./definition_input.ts";
import { ask } from "./engine_request.ts";
import { EXIT_CODES } from "./exit_code.ts";
import { type FlagValues, type Format, usageError } from "./flags.ts";
import { RunNarrator } from "./run_narrator.ts";

const DEFAULT_TABLE_ROWS = 100;
const FORMATS = ["table", "json", "csv", "arrow", "parquet"] as const satisfies readonly (
  & Format
  & SqlFormat
)[];
/** Formats that are nothing for the eyes. */
const BINARY: readonly Format[] = ["arrow", "parquet"];

const HELP = `flow sql: run one query and print the result

Examples:
  flow sql "SELECT 42 AS answer"
  flow sql "SELECT * FROM orders" --connection warehouse
  flow sql "SELECT customer, sum(total) FROM orders GROUP BY ALL" --register orders=orders.parquet
  flow sql --file report.sql --connection warehouse --format parquet > report.parquet
  echo "SELECT * FROM orders" | flow sql - --connection warehouse --format json | jq .id

Usage:
  flow sql QUERY [FILE.toml | --module M] [flags]
  flow sql - [flags]                 the query comes from standard input

Without a connection the query runs in the engine of pipelines, which reads no files by itself;
--register makes files relations. With a connection it runs on that database, in its dialect, in a
transaction that is rolled back; there SHOW, DESCRIBE, EXPLAIN and PRAGMA work too, as far as the
database has them. A slow reader slows the query down; memory does not grow with the result, except
that the engine keeps parts of it on disk.

Formats:
  table              for people: the first ${DEFAULT_TABLE_ROWS} rows, or --limit N
  json               one object per line (NDJSON), as jq reads it
  csv                with a header; NULL is empty, an empty text is ""
  arrow              a stream of Arrow IPC
  parquet            a Parquet file; with a connection the rows wait in the engine until the end

Flags:
  --connection NAME  a configured connection to Postgres, MySQL, SQLite or DuckDB
  --module M         the module that defines it; a TOML file that does is given as a word. Neither
                     is needed for connections of the environment and of connections.toml
  --register N=PATH  a Parquet, CSV or JSON file as the relation N; may be given several times.
                     Naming the file is leave to read it
  --file PATH        the query stands in this file
  --limit N          rows that a table shows
  --format FORMAT    table (default), json, csv, arrow or parquet
  -h, --help         this text
Permission flags: flow help permissions. Exit codes: flow help exit-codes.
`;

/** `flow sql`. */
export const sql: Command = {
  name: "sql",
  summary: "run one query and print the result",
  help: HELP,
  flags: ["connection", "module", "register", "file", "limit"],
  formats: FORMATS,
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { flags, terminal } = context;
  const format = FORMATS.find((known) => known === flags.format) ?? "table";
  refuseIdle(context, format);
  // A query that is a file's name is none: definitions are meant.
  const files = context.words.filter((word) => /^\S+\.toml$/i.test(word));
  const text = await queryOf(context.words.filter((word) => !files.includes(word)), flags);
  const register = flags.register.map(registered);
  const input = await definitionInput(context, files);
  if (input !== undefined && flags.connection === undefined) {
    throw usageError("definitions have no effect without --connection", "add --connection NAME");
  }
  const narrator = new RunNarrator(context);
  const closed = new AbortController();
  terminal.onClosed(() => closed.abort());
  try {
    await ask(
      context,
      {
        do: "sql",
        sql: text,
        format,
        tableRows: flags.limit ?? DEFAULT_TABLE_ROWS,
        register,
        ...(input === undefined ? {} : { input }),
        ...(flags.connection === undefined ? {} : { connection: flags.connection }),
      },
      "sql",
      {
        observe: (observation) => narrator.observe(observation),
        output: (bytes) => terminal.outBytes(bytes),
        stop: closed.signal,
      },
    );
  } catch (error) {
    // Whoever read the output has seen enough: `flow sql … | head`.
    if (!closed.signal.aborted) throw error;
  }
  return EXIT_CODES.done;
}

function refuseIdle({ flags }: CommandContext, format: SqlFormat): void {
  if (flags.limit !== undefined && format !== "table") {
    throw usageError(
      `--limit has no effect with --format ${format}`,
      "write LIMIT into the query",
    );
  }
  if (flags.register.length > 0 && flags.connection !== undefined) {
    throw usageError(
      "--register is for the embedded engine, not for a connection",
      "leave --connection or --register out",
    );
  }
  if (BINARY.includes(format) && Deno.stdout.isTerminal()) {
    throw usageError(
      `--format ${format} is not for a terminal`,
      `send it into a file: > result.${format}`,
    );
  }
}

/** The query: the word, standard input for `-`, or a file. */
async function queryOf(words: readonly string[], flags: FlagValues): Promise<string> {
  const [word, extra] = words;
  if (extra !== undefined) {
    throw usageError(
      `'flow sql' takes one query, but there are ${words.length} words`,
      "put the query into quotes",
    );
  }
  if (flags.file !== undefined) {
    if (word !== undefined) {
      throw usageError("both --file and a query are given", "leave one of them out");
    }
    return nonEmpty(await textOf(flags.file), `the file ${flags.file}`);
  }
  if (word === "-" || (word === undefined && !Deno.stdin.isTerminal())) {
    return nonEmpty(await new Response(Deno.stdin.readable).text(), "standard input");
  }
  if (word === undefined) {
    throw usageError("'flow sql' needs a query", 'flow sql "SELECT …", or flow sql --file PATH');
  }
  return nonEmpty(word, "the command line");
}

async function textOf(path: string): Promise<string> {
  const text = await denoHost.readFile(path);
  if (text !== undefined) return text;
  throw new FlowError(`cannot read ${path}: there is no such file`, {
    code: "file_unreadable",
    domain: "user",
    hint: "give the path of a file with one query",
    details: { file: path },
  });
}

function nonEmpty(text: string, from: string): string {
  if (text.trim() !== "") return text;
  throw usageError(`there is no query in ${from}`, 'flow sql "SELECT …", or flow sql --file PATH');
}

function registered(text: string): RegisteredFile {
  const [, name = "", path = ""] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name !== "") return { name, path };
  throw usageError(
    `--register is '${text}', but takes NAME=PATH`,
    "for example --register orders=orders.parquet",
  );
}
