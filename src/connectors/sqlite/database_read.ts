import type { RelationPiece } from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Engine, Session } from "../../core/session.ts";
import { exactCast } from "../../sql/exact_cast.ts";
import { withoutStatement } from "../../sql/sql_error.ts";
import { removeFile } from "../../sql/remove_file.ts";
import type { SqliteClient } from "./client.ts";
import { numberedColumns } from "./database_columns.ts";
import type { SqliteValue } from "./protocol.ts";

/** What {@link readInPieces} reads, and where to. */
export interface SqliteRead {
  readonly client: SqliteClient;
  readonly query: string;
  readonly params: readonly SqliteValue[];
  readonly columns: readonly Column[];
  readonly engine: Engine;
  /** The engine's session that selects from the pieces; it drops them. */
  readonly engineSession: Session;
  readonly signal: AbortSignal;
  /** About 8 MiB by default. */
  readonly pieceBytes?: number;
}

const PIECE_BYTES = 8 << 20;
const CALL_BYTES = 1 << 20;
/** The engine's own limit of a line, in bytes, which is raised for pieces with longer ones. */
const LINE_BYTES = 2_097_152;

/**
 * Copies a query's result into tables of the engine, piece by piece: SQLite renders each row as a line of CSV, and the engine takes the
 * values out of the lines, exactly as the columns' types or not at all.
 */
export async function* readInPieces(read: SqliteRead): AsyncGenerator<RelationPiece> {
  const { client, engine, engineSession, signal } = read;
  const into = await engine.connect();
  const interrupt = () => into.interrupt();
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    await client.call({
      op: "read",
      sql: linesQuery(read.query, read.columns),
      params: read.params,
    });
    for (let done = false; !done;) {
      const path = `${engine.scratchDir}/${engine.newName("sqlite_rows")}.csv`;
      try {
        const lines = await writeLines(client, path, read.pieceBytes ?? PIECE_BYTES, signal);
        done = lines.done;
        if (lines.rows === 0) break;
        const table = quoteIdentifier(engine.newName("piece"));
        await into.run(tableOfLines(table, path, read.columns, lines.longest)).catch(unfit);
        yield {
          relation: table,
          rows: lines.rows,
          release: () => engineSession.run(`DROP TABLE IF EXISTS ${table}`),
        };
      } finally {
        await removeFile(path);
      }
    }
  } finally {
    signal.removeEventListener("abort", interrupt);
    await into.close();
    if (!signal.aborted) await client.call({ op: "end_read" });
  }
}

/** One line per row; NULL is `\N` without quotes. A BLOB is all that the driver hands over without looking into it. */
function linesQuery(query: string, columns: readonly Column[]): string {
  const fields = columns.map(({ type }, at) => field(`c${at}`, type));
  return `${numberedColumns(query, columns.length)} ` +
    `SELECT CAST(${fields.join(" || ',' || ")} || char(10) AS BLOB) AS line FROM flow_rows ` +
    // The row that says that there are no more.
    `UNION ALL SELECT zeroblob(0)`;
}

function field(value: string, type: string): string {
  // Not by `printf`, whose 17 digits older versions of SQLite get wrong.
  const real = `flow_real(${value})`;
  const blob = `'\\x' || hex(CAST(${value} AS BLOB))`;
  const text = type === "BLOB" ? blob : `'"' || replace(${value}, '"', '""') || '"'`;
  return `CASE typeof(${value}) WHEN 'null' THEN '\\N' WHEN 'text' THEN ${text} ` +
    `WHEN 'real' THEN ${real} WHEN 'blob' THEN ${blob} ELSE CAST(${value} AS TEXT) END`;
}

function tableOfLines(
  table: string,
  path: string,
  columns: readonly Column[],
  longest: number,
): string {
  // By their own names, which the engine tells of a value that it cannot cast.
  const values = columns.map(({ name, type }) => {
    const sql = quoteIdentifier(name);
    return `${exactCast({ sql, type: "VARCHAR" }, type, name)} AS ${sql}`;
  });
  const declared = columns.map(({ name }) => `${quoteLiteral(name)}: 'VARCHAR'`);
  const lineBytes = Math.max(LINE_BYTES, longest + 1);
  return `CREATE TABLE ${table} AS SELECT ${values.join(", ")} FROM read_csv(${
    quoteLiteral(path)
  }, auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', ` +
    `new_line = '\\n', nullstr = '\\N', allow_quoted_nulls = false, parallel = false, ` +
    `max_line_size = ${lineBytes}, buffer_size = ${lineBytes * 4}, columns = {${
      declared.join(", ")
    }})`;
}

async function writeLines(
  client: SqliteClient,
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<{ rows: number; longest: number; done: boolean }> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  let rows = 0;
  let longest = 0;
  for (let bytes = 0; bytes < maxBytes;) {
    signal.throwIfAborted();
    const lines = await client.call({ op: "lines", maxBytes: CALL_BYTES });
    for (let from = 0; from < lines.bytes.length;) {
      from += await file.write(lines.bytes.subarray(from));
    }
    bytes += lines.bytes.length;
    rows += lines.rows;
    longest = Math.max(longest, lines.longest);
    if (lines.done) return { rows, longest, done: true };
  }
  return { rows, longest, done: false };
}

function unfit(error: unknown): never {
  if (!(error instanceof FlowError) || !/^sql_(invalid|failed)$/.test(error.code)) throw error;
  throw new FlowError(
    `a value in SQLite is not of its column's type: ${withoutStatement(error.message)}`,
    {
      code: "query_invalid",
      domain: "user",
      hint: "cast the column in the query, for example CAST(price AS TEXT)",
      cause: error,
    },
  );
}
