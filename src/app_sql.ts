import type { BatchRequest } from "./core/batch_request.ts";
import type { Database, DatabaseSession } from "./core/database.ts";
import { FlowError } from "./core/error.ts";
import type { RunHooks } from "./core/request.ts";
import { type Column, quoteIdentifier } from "./core/schema.ts";
import type { Engine, Session } from "./core/session.ts";
import { arrowColumns, hasWideIntegers, parquetExport } from "./app_export.ts";
import { registerFile } from "./app_files.ts";
import { jsonRow } from "./formats/json_text.ts";
import { createEngine } from "./sql/engine.ts";
import { queryError } from "./sql/query_error.ts";
import { firstWord, isSeveralQueries, queryText } from "./sql/query_text.ts";
import { type ResultSample, resultTable, sampleRows } from "./sql/result_table.ts";
import { splitLines, tableOfRows } from "./sql/rows_table.ts";

type SqlRequest = BatchRequest & { readonly do: "sql" };
type Output = NonNullable<RunHooks["output"]>;

/** A result that comes in pieces which the engine can select from. */
interface QueryResult {
  readonly columns: readonly Column[];
  /** Queries of the engine, one after the other; each is good until the next is asked for. */
  readonly pieces: AsyncIterable<string>;
  /** There is one piece, which is the whole result. */
  readonly isWhole: boolean;
  /** Cells of a table for people are cut to so many characters. */
  readonly maxCell?: number;
}

const COPY_BYTES = 1 << 20;
/**
 * What a database tells about itself by such a statement, it gives to no query: there are few rows. A transaction that is rolled back surrounds what
 * `PRAGMA` and `EXPLAIN ANALYZE` can do.
 */
const TELLING = new Set(["EXPLAIN", "SHOW", "DESCRIBE", "DESC", "SUMMARIZE", "PRAGMA"]);
/** Lines of plans are long. */
const MAX_TOLD_CELL = 1000;

/**
 * Answers `flow sql`: runs the query in the embedded engine, or on the database of a connection in a transaction that is rolled back, and
 * writes the result to `hooks.output` piece by piece.
 *
 * @param database the database of the connection that the request names
 * @throws FlowError `sql_…` of the engine; those of the database; those of files to register.
 */
export async function runSql(
  request: SqlRequest,
  hooks: RunHooks,
  database: Database | undefined,
): Promise<void> {
  const engine = await createEngine({ scratchDir: hooks.scratchDir });
  const sessions = { read: await engine.connect(), render: await engine.connect() };
  const interrupt = () => Object.values(sessions).forEach((session) => session.interrupt());
  hooks.now.addEventListener("abort", interrupt, { once: true });
  const output: Output = hooks.output ?? (() => Promise.resolve());
  const query = queryText(request.sql);
  try {
    for (const file of request.register) await registerFile(engine, sessions.render, file);
    if (database === undefined) {
      // As queryError wants it.
      const wrapped = `SELECT * FROM (\n${query}\n)`;
      const columns = await sessions.render.describe(wrapped);
      const result = { columns, pieces: only(wrapped), isWhole: true };
      await render(request, result, sessions.render, engine, output);
      return;
    }
    await withTransaction(database, hooks.now, async (connected) => {
      const result = TELLING.has(firstWord(query))
        ? await told(connected, query, engine, sessions.render, request.format)
        : {
          columns: await connected.describe(query),
          pieces: piecesOf(connected, query, engine, sessions.read),
          isWhole: false,
        };
      await render(request, result, sessions.render, engine, output);
    });
  } catch (error) {
    throw withAdvice(error, request);
  } finally {
    hooks.now.removeEventListener("abort", interrupt);
    await engine.close();
  }
}

/** The engine's own advice is about transforms. */
function withAdvice(error: unknown, { connection, register, sql }: SqlRequest): unknown {
  if (!(error instanceof FlowError)) return error;
  if (error.code === "query_invalid" && isSeveralQueries(sql)) {
    const { code, domain, message, details } = error;
    const hint = "give one query; for several, call flow sql for each";
    return new FlowError(message, { code, domain, hint, details, cause: error });
  }
  if (error.code !== "sql_denied") {
    // What a database says of a query has its own advice.
    return connection === undefined ? queryError(error, register.map(({ name }) => name)) : error;
  }
  return new FlowError(error.message, {
    code: error.code,
    domain: error.domain,
    hint: "SQL itself reaches no files, network or settings; give files with --register NAME=PATH",
    cause: error.cause,
  });
}

/** A look at a database changes nothing there, locks nobody out, and all of it sees one state. */
async function withTransaction(
  database: Database,
  signal: AbortSignal,
  work: (session: DatabaseSession) => Promise<void>,
): Promise<void> {
  const session = await database.connect(signal, { readOnly: true });
  try {
    await session.begin();
    await work(session);
    await session.rollback();
  } finally {
    await session.close();
  }
}

async function* only(query: string): AsyncIterable<string> {
  yield query;
}

/** The answer to a statement of {@link TELLING}. */
async function told(
  connected: DatabaseSession,
  statement: string,
  engine: Engine,
  session: Session,
  format: SqlRequest["format"],
): Promise<QueryResult> {
  const rows = await connected.rows(statement);
  const shown = format === "table" ? splitLines(rows) : rows;
  const { table, columns } = await tableOfRows(shown, engine, session);
  return { columns, pieces: only(`SELECT * FROM ${table}`), isWhole: true, maxCell: MAX_TOLD_CELL };
}

async function* piecesOf(
  connected: DatabaseSession,
  query: string,
  engine: Engine,
  session: Session,
): AsyncIterable<string> {
  for await (const piece of connected.read(query, [], engine, session)) {
    try {
      yield `SELECT * FROM ${piece.relation}`;
    } finally {
      await piece.release();
    }
  }
}

async function render(
  request: SqlRequest,
  result: QueryResult,
  session: Session,
  engine: Engine,
  output: Output,
): Promise<void> {
  switch (request.format) {
    case "table":
      return await renderTable(result, session, request.tableRows, output);
    case "json":
      return await renderJson(result, session, output);
    case "csv":
      return await renderCsv(result, session, output);
    case "arrow":
      return await renderArrow(result, session, engine, output);
    case "parquet":
      return await renderParquet(result, session, engine, output);
  }
}

async function renderTable(
  { columns, pieces, maxCell }: QueryResult,
  session: Session,
  maxRows: number,
  output: Output,
): Promise<void> {
  let sample: ResultSample = { rows: [], hasMore: false };
  for await (const piece of pieces) {
    const { rows, hasMore } = await sampleRows(
      session,
      piece,
      columns,
      maxRows - sample.rows.length,
    );
    sample = { rows: [...sample.rows, ...rows], hasMore };
    if (hasMore) break;
  }
  await output(new TextEncoder().encode(resultTable(columns, sample, undefined, maxCell)));
}

async function renderJson(
  { columns, pieces }: QueryResult,
  session: Session,
  output: Output,
): Promise<void> {
  for await (const piece of pieces) {
    const lines = `SELECT ${jsonRow(columns)} FROM (${piece})`;
    for await (const bytes of session.exportText(lines, "ndjson")) await output(bytes.slice());
  }
}

async function renderCsv(
  { columns, pieces }: QueryResult,
  session: Session,
  output: Output,
): Promise<void> {
  const add = async (query: string, header: boolean) => {
    for await (const bytes of session.exportText(query, "csv", { header })) {
      await output(bytes.slice());
    }
  };
  await add(emptyRows(columns), true);
  for await (const piece of pieces) await add(piece, false);
}

async function renderArrow(
  result: QueryResult,
  session: Session,
  engine: Engine,
  output: Output,
): Promise<void> {
  // A large library, loaded only for this.
  const { ArrowStream } = await import("./sql/arrow_export.ts");
  const write = async (columns: readonly Column[], pieces: AsyncIterable<string>) => {
    const stream = new ArrowStream(columns);
    for await (const piece of pieces) {
      for await (const bytes of stream.rows(session, piece)) await output(bytes);
    }
    await output(stream.end());
  };
  if (!hasWideIntegers(result.columns)) return await write(result.columns, result.pieces);
  const all = await collected(result, session, engine);
  await write(await arrowColumns(session, all, result.columns), only(all));
}

async function renderParquet(
  result: QueryResult,
  session: Session,
  engine: Engine,
  output: Output,
): Promise<void> {
  const { columns, pieces, isWhole } = result;
  // A Parquet file ends with the index of all its parts.
  const whole = isWhole && !hasWideIntegers(columns)
    ? pieces
    : only(await collected(result, session, engine));
  for await (const piece of whole) {
    await copyParquet(session, await parquetExport(session, piece, columns), output);
  }
}

/** A query of all rows, which wait in a table: the engine keeps it on disk when it grows. */
async function collected(
  { columns, pieces }: QueryResult,
  session: Session,
  engine: Engine,
): Promise<string> {
  const table = engine.newName("result");
  const numbered = columns.map(({ type }, at) => ({ name: `c${at}`, type }));
  await session.run(`CREATE TABLE ${table} AS ${emptyRows(numbered)}`);
  for await (const piece of pieces) await session.run(`INSERT INTO ${table} ${piece}`);
  return `SELECT * FROM ${table}`;
}

async function copyParquet(session: Session, query: string, output: Output): Promise<void> {
  const path = await session.exportParquet(query, "zstd");
  try {
    using file = await Deno.open(path, { read: true });
    for (;;) {
      const piece = new Uint8Array(COPY_BYTES);
      const length = await file.read(piece);
      if (length === null) return;
      await output(length === piece.length ? piece : piece.slice(0, length));
    }
  } finally {
    await Deno.remove(path);
  }
}

/** A query without rows that has these columns. */
function emptyRows(columns: readonly Column[]): string {
  const nulls = columns.map(({ name, type }) =>
    `CAST(NULL AS ${type === '"NULL"' ? "INTEGER" : type}) AS ${quoteIdentifier(name)}`
  );
  return `SELECT ${nulls.join(", ")} WHERE false`;
}
