import type { RelationPiece } from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Engine, SqlValue } from "../../core/session.ts";
import { removeFile } from "../../sql/remove_file.ts";
import type { MysqlConnection, RowStream } from "./connection.ts";
import { mysqlDialect } from "./dialect.ts";

const PIECE_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
/** Bytes that wait to be written; beyond it the socket is paused. */
const WAITING_BYTES = 4 * CHUNK_BYTES;
/** What the engine takes for the longest line unless told. */
const USUAL_LINE_BYTES = 2_000_000;
const NEWLINE = 10;
/**
 * The quote of the CSV is a control character that texts hardly hold: the server takes quadratic time to double many quotes in one
 * long text, as JSON has them.
 */
const QUOTE = "_utf8mb4 X'01'";
const TWO_QUOTES = "_utf8mb4 X'0101'";

/** What {@link readPieces} needs. */
export interface ReadRequest {
  readonly connection: MysqlConnection;
  /** Without a semicolon at its end. */
  readonly query: string;
  readonly params: readonly SqlValue[];
  readonly columns: readonly Column[];
  readonly engine: Engine;
  readonly signal: AbortSignal;
}

/**
 * Streams a query as CSV files of about 8 MiB in the engine's scratch directory. The server renders each row as one line, so that no value
 * becomes an object here; the socket stands still while nobody asks for the next piece.
 */
export async function* readPieces(request: ReadRequest): AsyncGenerator<RelationPiece> {
  const { connection, engine, columns, signal } = request;
  const lines = new LineQueue();
  const stream = connection.stream(
    `SELECT ${renderedLine(columns)} AS line FROM (\n${request.query}\n) AS q`,
    request.params,
    (cell) => lines.add(cell),
  );
  lines.attach(stream);
  const stop = () => stream.resume();
  signal.addEventListener("abort", stop, { once: true });
  const finished = connection.cancellable(stream.finished, signal);
  finished.catch(() => {});
  let complete = false;
  try {
    for (;;) {
      const path = `${engine.scratchDir}/mysql_${crypto.randomUUID()}.csv`;
      const piece = await writePiece(lines, path, signal);
      if (piece === undefined) break;
      yield {
        relation: relationOf(path, columns, piece.longest),
        rows: piece.rows,
        release: () => removeFile(path),
      };
    }
    await finished;
    complete = true;
  } finally {
    signal.removeEventListener("abort", stop);
    if (!complete) await abandon(connection, stream, lines);
  }
}

/** Ends a query whose rest nobody wants. */
async function abandon(
  connection: MysqlConnection,
  stream: RowStream,
  lines: LineQueue,
): Promise<void> {
  lines.discard();
  if (!connection.lost && !lines.ended) await connection.kill();
  stream.resume();
  await connection.cancellable(stream.finished.catch(() => {}), AbortSignal.timeout(5_000))
    .catch(() => connection.drop());
}

async function writePiece(
  lines: LineQueue,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly rows: number; readonly longest: number } | undefined> {
  let chunk = await lines.next();
  signal.throwIfAborted();
  if (chunk === undefined) return undefined;
  using file = await Deno.open(path, { write: true, createNew: true });
  let bytes = 0;
  let rows = 0;
  let longest = 0;
  try {
    for (;;) {
      await writeAll(file, chunk.bytes);
      bytes += chunk.bytes.length;
      rows += chunk.rows;
      longest = Math.max(longest, chunk.longest);
      if (bytes >= PIECE_BYTES) break;
      chunk = await lines.next();
      signal.throwIfAborted();
      if (chunk === undefined) break;
    }
  } catch (error) {
    await removeFile(path);
    throw error;
  }
  return { rows, longest };
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly longest: number;
}

/** Lines on their way from the socket to the file, in chunks of whole lines. */
class LineQueue {
  #stream: RowStream | undefined;
  #current = new Uint8Array(CHUNK_BYTES);
  #length = 0;
  #rows = 0;
  #longest = 0;
  readonly #waiting: Chunk[] = [];
  #waitingBytes = 0;
  #paused = false;
  #ended = false;
  #discarding = false;
  #failure: unknown;
  #wake: (() => void) | undefined;

  attach(stream: RowStream): void {
    this.#stream = stream;
    stream.finished.then(() => this.#end(undefined), (error) => this.#end(error));
  }

  get ended(): boolean {
    return this.#ended;
  }

  add(cell: Uint8Array | null): void {
    if (this.#discarding) return;
    if (cell === null) {
      // CONCAT gives NULL for a text longer than the server's max_allowed_packet.
      this.#failure ??= new FlowError(
        "cannot read a row from mysql: it is larger than the server's max_allowed_packet",
        {
          code: "mysql_row_too_large",
          domain: "user",
          hint: "raise max_allowed_packet on the server, or leave out the large column",
        },
      );
      this.#wake?.();
      return;
    }
    const needed = cell.length + 1;
    if (this.#length + needed > this.#current.length) this.#push(Math.max(CHUNK_BYTES, needed));
    this.#current.set(cell, this.#length);
    this.#length += needed;
    this.#current[this.#length - 1] = NEWLINE;
    this.#rows += 1;
    this.#longest = Math.max(this.#longest, needed);
  }

  /** Drops everything, now and later. */
  discard(): void {
    this.#discarding = true;
    this.#waiting.length = 0;
  }

  async next(): Promise<Chunk | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        this.#waitingBytes -= chunk.bytes.length;
        if (this.#paused && this.#waitingBytes < WAITING_BYTES / 2) {
          this.#paused = false;
          this.#stream?.resume();
        }
        return chunk;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
  }

  #push(nextBytes: number): void {
    if (this.#rows > 0) {
      const bytes = this.#current.subarray(0, this.#length);
      this.#waiting.push({ bytes, rows: this.#rows, longest: this.#longest });
      this.#waitingBytes += bytes.length;
      if (this.#waitingBytes >= WAITING_BYTES && !this.#paused && !this.#ended) {
        this.#paused = true;
        this.#stream?.pause();
      }
    }
    this.#current = new Uint8Array(nextBytes);
    this.#length = 0;
    this.#rows = 0;
    this.#longest = 0;
    this.#wake?.();
  }

  #end(error: unknown): void {
    this.#ended = true;
    this.#failure ??= error;
    this.#push(0);
  }
}

/** The row as a CSV line. A NULL in the result would mean that the row is too large, for every cell that is NULL is an empty text. */
function renderedLine(columns: readonly Column[]): string {
  const cells = columns.map((column) =>
    renderedCell(`q.${mysqlDialect.quote(column.name)}`, column.type)
  );
  // A line that is quite empty would be no row.
  if (cells.length === 1) cells.push("'1'");
  return `CAST(CONCAT(${cells.join(", ',', ")}) AS BINARY)`;
}

function renderedCell(value: string, type: string): string {
  switch (type) {
    case "VARCHAR":
    case "JSON": {
      const text = `CONVERT(${value} USING utf8mb4)`;
      return `IF(${value} IS NULL, '', CONCAT(${QUOTE}, REPLACE(${text}, ${QUOTE}, ${TWO_QUOTES}), ${QUOTE}))`;
    }
    case "BLOB":
      return `IF(${value} IS NULL, '', CONCAT(${QUOTE}, HEX(${value}), ${QUOTE}))`;
    case "BOOLEAN":
      // TINYINT(1) holds more than these two: another value is told rather than made true.
      return `CASE WHEN ${value} IS NULL THEN '' WHEN ${value} = 1 THEN 'true' ` +
        `WHEN ${value} = 0 THEN 'false' ELSE CAST(${value} + 0 AS CHAR) END`;
    case "FLOAT":
      // As text the server shows six digits of it at most.
      return `COALESCE(CAST(CAST(${value} AS DOUBLE) AS CHAR), '')`;
    case "UBIGINT":
      return `COALESCE(CAST(${value} + 0 AS CHAR), '')`;
    case "TIMESTAMP WITH TIME ZONE":
      return `IF(${value} IS NULL, '', CONCAT(CAST(${value} AS CHAR), '+00'))`;
    default:
      return `COALESCE(CAST(${value} AS CHAR), '')`;
  }
}

function relationOf(path: string, columns: readonly Column[], longest: number): string {
  // By their own names, which the engine tells of a value that it cannot read.
  const types = columns.map(({ name, type }) => {
    const read = type === "BLOB" || type === "JSON" ? "VARCHAR" : type;
    return `${quoteLiteral(name)}: ${quoteLiteral(read)}`;
  });
  if (columns.length === 1) types.push("'_flow_filler': 'VARCHAR'");
  const items = columns.map(({ name, type }) => {
    const read = quoteIdentifier(name);
    const value = type === "BLOB"
      ? `unhex(${read})`
      : type === "JSON"
      ? `CAST(${read} AS JSON)`
      : read;
    return `${value} AS ${read}`;
  });
  const lines = longest <= USUAL_LINE_BYTES
    ? ""
    : `, max_line_size = ${longest + 16}, buffer_size = ${2 * longest + 1024}`;
  return `(SELECT ${items.join(", ")} FROM read_csv(${quoteLiteral(path)}, header = false, ` +
    `auto_detect = false, delim = ',', quote = '\x01', escape = '\x01', nullstr = '', ` +
    `allow_quoted_nulls = false, new_line = '\\n', strict_mode = true, parallel = false${lines}, ` +
    `columns = {${types.join(", ")}}))`;
}
