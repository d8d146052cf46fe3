import type { Table } from "apache-arrow";
import { arrowColumns } from "./app_export.ts";
import { registerFile } from "./app_files.ts";
import type { FileFormat } from "./connectors/object_store_local/file_format.ts";
import type { Column } from "./core/schema.ts";
import type { Engine, Session, SqlValue } from "./core/session.ts";
import type { SqlResult, SqlSession } from "./session.ts";
import { createEngine } from "./sql/engine.ts";
import { queryText } from "./sql/query_text.ts";
import { type ResultSample, resultTable, sampleRows } from "./sql/result_table.ts";

/** Rows that a printed result shows. */
const SHOWN_ROWS = 20;

/** Opens the session of `src/session.ts` over a new engine; closing it removes the directory. */
export async function openSession(scratchDir: string): Promise<SqlSession> {
  const engine = await createEngine({ scratchDir });
  try {
    return new EngineSession(engine, await engine.connect());
  } catch (error) {
    await engine.close();
    throw error;
  }
}

class EngineSession implements SqlSession {
  readonly #engine: Engine;
  readonly #session: Session;
  #closed: Promise<void> | undefined;

  constructor(engine: Engine, session: Session) {
    this.#engine = engine;
    this.#session = session;
  }

  registerParquet(name: string, path: string): Promise<void> {
    return this.#register(name, path, "parquet");
  }

  registerCsv(name: string, path: string): Promise<void> {
    return this.#register(name, path, "csv");
  }

  registerJson(name: string, path: string): Promise<void> {
    return this.#register(name, path, "json");
  }

  async sql(query: string): Promise<SqlResult> {
    const wrapped = `SELECT * FROM (\n${queryText(query)}\n)`;
    const columns = await this.#session.describe(wrapped);
    const table = this.#engine.newName("result");
    await this.#session.run(`CREATE TABLE ${table} AS ${wrapped}`);
    const all = `SELECT * FROM ${table}`;
    const [count] = await this.#session.rows<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`);
    const sample = await sampleRows(this.#session, all, columns, SHOWN_ROWS);
    return new TableResult(this.#session, table, columns, Number(count?.n ?? 0n), sample);
  }

  run(statements: string): Promise<void> {
    return this.#session.run(statements);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #register(name: string, path: string, format: FileFormat): Promise<void> {
    await registerFile(this.#engine, this.#session, { name, path, format });
  }

  async #close(): Promise<void> {
    await this.#engine.close();
    await Deno.remove(this.#engine.scratchDir, { recursive: true });
  }
}

/** A result that stands in a table of the engine. */
class TableResult implements SqlResult {
  readonly columns: readonly Column[];
  readonly rowCount: number;
  readonly #session: Session;
  readonly #table: string;
  readonly #sample: ResultSample;

  constructor(
    session: Session,
    table: string,
    columns: readonly Column[],
    rowCount: number,
    sample: ResultSample,
  ) {
    this.#session = session;
    this.#table = table;
    this.columns = columns;
    this.rowCount = rowCount;
    this.#sample = sample;
  }

  rows<Row = Record<string, SqlValue>>(): Promise<Row[]> {
    return this.#session.rows<Row>(`SELECT * FROM ${this.#table}`);
  }

  async toArrow(): Promise<Table> {
    const { ArrowStream } = await import("./sql/arrow_export.ts");
    const { tableFromIPC } = await import("apache-arrow");
    const pieces: Uint8Array[] = [];
    const query = `SELECT * FROM ${this.#table}`;
    const stream = new ArrowStream(await arrowColumns(this.#session, query, this.columns));
    for await (const piece of stream.rows(this.#session, query)) pieces.push(piece);
    pieces.push(stream.end());
    return tableFromIPC(pieces);
  }

  toString(): string {
    return resultTable(this.columns, this.#sample, this.rowCount);
  }

  [Symbol.for("Deno.customInspect")](): string {
    return this.toString().trimEnd();
  }

  async close(): Promise<void> {
    await this.#session.run(`DROP TABLE IF EXISTS ${this.#table}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
