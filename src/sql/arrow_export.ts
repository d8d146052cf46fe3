import * as arrow from "apache-arrow";
import { FlowError } from "../core/error.ts";
import type { Column } from "../core/schema.ts";
import type { Session } from "../core/session.ts";
import { type ArrowColumn, arrowMapping } from "./arrow_columns.ts";
import { DuckdbSession } from "./session.ts";
import { toSqlError } from "./sql_error.ts";

/** A record batch is written when it has so many rows or bytes. */
const BATCH_ROWS = 65_536;
const BATCH_BYTES = 8 << 20;

/**
 * Writes results of queries that all have the same columns as one stream of Arrow IPC: the schema, record batches of at most 65,536 rows (or about
 * 8 MiB), the end. Nothing but the batch at hand is kept.
 *
 * @example
 * ```ts ignore
 * const stream = new ArrowStream(await session.describe(query));
 * for await (const piece of stream.rows(session, query)) await write(piece);
 * await write(stream.end());
 * ```
 */
export class ArrowStream {
  readonly #names: readonly string[];
  readonly #select: string;
  readonly #columns: readonly ArrowColumn[];
  readonly #schema: arrow.Schema;
  readonly #collected = new CollectedBytes();
  readonly #writer = new arrow.RecordBatchStreamWriter();
  #rows = 0;

  constructor(columns: readonly Column[]) {
    const mappings = columns.map(({ type }) => arrowMapping(type));
    this.#names = columns.map((_, i) => `c${i}`);
    this.#select = mappings.map(({ select }, i) => select(`c${i}`)).join(", ");
    this.#columns = mappings.map(({ create }) => create());
    this.#schema = new arrow.Schema(
      columns.map(({ name }, i) => arrow.Field.new(name, this.#column(i).type, true)),
    );
    this.#writer.reset(this.#collected, this.#schema);
  }

  /**
   * The bytes of the rows of one query. The session must be used for nothing else meanwhile.
   *
   * @throws FlowError `sql_invalid`, `sql_failed`, `sql_denied`, `sql_interrupted`.
   */
  async *rows(session: Session, query: string): AsyncIterable<Uint8Array<ArrayBuffer>> {
    if (!(session instanceof DuckdbSession)) {
      throw new FlowError("cannot export rows: the session belongs to another engine", {
        code: "engine_session_foreign",
        domain: "internal",
      });
    }
    const sql = `SELECT ${this.#select} FROM (${query}\n) AS flow_rows(${this.#names.join(", ")})`;
    try {
      const result = await session.connection.stream(sql);
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) break;
        this.#columns.forEach((column, i) => {
          column.append(chunk.getColumnVector(i), chunk.rowCount);
        });
        this.#rows += chunk.rowCount;
        const bytes = this.#columns.reduce((sum, column) => sum + column.bytes, 0);
        if (this.#rows >= BATCH_ROWS || bytes >= BATCH_BYTES) yield this.#batch();
      }
    } catch (error) {
      throw toSqlError(error, query);
    }
  }

  /** What is left, and the end of the stream. */
  end(): Uint8Array<ArrayBuffer> {
    if (this.#rows > 0) this.#write();
    this.#writer.finish();
    return this.#collected.take();
  }

  #batch(): Uint8Array<ArrayBuffer> {
    this.#write();
    return this.#collected.take();
  }

  #write(): void {
    const length = this.#rows;
    this.#rows = 0;
    const data = arrow.makeData({
      type: new arrow.Struct(this.#schema.fields),
      length,
      nullCount: 0,
      children: this.#columns.map((column) => column.take()),
    });
    this.#writer.write(new arrow.RecordBatch(this.#schema, data));
  }

  #column(at: number): ArrowColumn {
    const column = this.#columns[at];
    if (column === undefined) throw new RangeError(`there is no column ${at}`);
    return column;
  }
}

/** Where the writer of Arrow's library puts its bytes; its own queue could be read only asynchronously. */
class CollectedBytes extends arrow.AsyncByteQueue {
  #pieces: Uint8Array[] = [];

  override write(value: Uint8Array): void {
    this.#pieces.push(value);
  }

  take(): Uint8Array<ArrayBuffer> {
    const length = this.#pieces.reduce((sum, piece) => sum + piece.length, 0);
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    return bytes;
  }
}
