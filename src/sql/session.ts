import {
  DuckDBBlobValue,
  type DuckDBConnection,
  type DuckDBPreparedStatement,
  DuckDBTypeId,
  type DuckDBValue,
} from "@duckdb/node-api";
import { FlowError } from "../core/error.ts";
import { type Column, quoteLiteral } from "../core/schema.ts";
import type { Session, SqlValue } from "../core/session.ts";
import { doubleText, floatText } from "./number_text.ts";
import { removeFile } from "./remove_file.ts";
import { toSqlError } from "./sql_error.ts";

const READ_PIECE_BYTES = 1 << 20;
let exports = 0;

/** A {@link Session} on one DuckDB connection. */
export class DuckdbSession implements Session {
  readonly connection: DuckDBConnection;
  readonly #scratchDir: string;
  readonly #onClose: () => void;
  /** DuckDB serialises statements of a connection by a lock that blocks a pool thread; a queue here does not. */
  #tail: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(connection: DuckDBConnection, scratchDir: string, onClose: () => void) {
    this.connection = connection;
    this.#scratchDir = scratchDir;
    this.#onClose = onClose;
  }

  run(sql: string, params?: readonly SqlValue[]): Promise<void> {
    return this.#queued(sql, async () => {
      if (params === undefined) {
        await this.connection.run(sql);
        return;
      }
      await this.#prepared(sql, params, (statement) => statement.run());
    });
  }

  rows<Row = Record<string, SqlValue>>(sql: string, params?: readonly SqlValue[]): Promise<Row[]> {
    return this.#queued(sql, async () => {
      const reader = params === undefined
        ? await this.connection.runAndReadAll(sql)
        : await this.#prepared(sql, params, (statement) => statement.runAndReadAll());
      return reader.getRowObjects().map((row) => {
        const plain: Record<string, SqlValue> = {};
        for (const [name, value] of Object.entries(row)) plain[name] = toSqlValue(value);
        return plain as Row;
      });
    });
  }

  /** Runs one statement; returns how many rows it inserted, updated or deleted. */
  change(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return this.#queued(sql, async () => {
      const result = await this.#prepared(sql, params, (statement) => statement.run());
      return result.rowsChanged;
    });
  }

  /** Like {@link rows}, but every integer is a bigint, and every other number is the text that DuckDB writes. */
  exactRows(sql: string, params: readonly SqlValue[] = []): Promise<Record<string, SqlValue>[]> {
    return this.#queued(sql, async () => {
      const reader = await this.#prepared(sql, params, (statement) => statement.runAndReadAll());
      const types = reader.columnTypes().map((type) => type.typeId);
      return reader.getRows().map((row) => {
        const values = row.map((value, at) => exactValue(toSqlValue(value), types[at]));
        return Object.fromEntries(values.map((value, at) => [reader.columnName(at), value]));
      });
    });
  }

  async describe(query: string): Promise<Column[]> {
    // The prepared statement would tell the types too, but the client's type texts drop the alias JSON.
    const rows = await this.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${query}`);
    return rows.map(({ column_name: name, column_type: type }) => ({ name, type }));
  }

  /** Has a statement parsed and bound, and does not run it. */
  prepare(sql: string): Promise<void> {
    return this.#queued(sql, async () => (await this.connection.prepare(sql)).destroySync());
  }

  async *exportText(
    queries: string | readonly string[],
    format: "csv" | "ndjson",
    options: { readonly header?: boolean; readonly delimiter?: string } = {},
  ): AsyncIterable<Uint8Array> {
    const waiting = typeof queries === "string" ? [queries] : [...queries];
    const render = () => {
      const query = waiting.shift();
      if (query === undefined) return undefined;
      const path = this.#newFile("txt");
      const rendered = this.#renderText(query, path, format, options);
      // It is awaited when its turn comes; until then its failure must not count as unhandled.
      rendered.catch(() => {});
      return { path, rendered };
    };
    let current = render();
    try {
      while (current !== undefined) {
        await current.rendered;
        const next = render();
        try {
          yield* readPieces(current.path);
        } finally {
          await removeFile(current.path);
          current = next;
        }
      }
    } finally {
      if (current !== undefined) {
        await current.rendered.catch(() => {});
        await removeFile(current.path);
      }
    }
  }

  #renderText(
    query: string,
    path: string,
    format: "csv" | "ndjson",
    options: { readonly header?: boolean; readonly delimiter?: string },
  ): Promise<void> {
    // Lines of JSON are written as they are: no quoting, and a delimiter that JSON text cannot hold.
    const dialect = format === "csv"
      ? `HEADER ${options.header ?? false}, DELIMITER ${quoteLiteral(options.delimiter ?? ",")}`
      : `HEADER false, DELIMITER '\x1f', QUOTE '', ESCAPE ''`;
    return this.run(`COPY (${query}) TO ${quoteLiteral(path)} (FORMAT csv, ${dialect})`);
  }

  async exportParquet(
    query: string,
    compression: "uncompressed" | "snappy" | "gzip" | "zstd",
  ): Promise<string> {
    const path = this.#newFile("parquet");
    try {
      await this.run(
        `COPY (${query}) TO ${quoteLiteral(path)} (FORMAT parquet, COMPRESSION ${compression})`,
      );
    } catch (error) {
      await removeFile(path);
      throw error;
    }
    return path;
  }

  interrupt(): void {
    if (!this.#closed) this.connection.interrupt();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.interrupt();
    await this.#tail.catch(() => {});
    this.connection.closeSync();
    this.#onClose();
  }

  #newFile(extension: string): string {
    exports += 1;
    return `${this.#scratchDir}/export_${exports}.${extension}`;
  }

  #queued<T>(sql: string, work: () => Promise<T>): Promise<T> {
    if (this.#closed) {
      return Promise.reject(
        new FlowError("cannot run a statement: the session is closed", {
          code: "engine_closed",
          domain: "internal",
        }),
      );
    }
    const result = this.#tail.then(work).catch((error: unknown) => {
      throw toSqlError(error, sql);
    });
    this.#tail = result.catch(() => {});
    return result;
  }

  async #prepared<T>(
    sql: string,
    params: readonly SqlValue[],
    work: (statement: DuckDBPreparedStatement) => Promise<T>,
  ): Promise<T> {
    const statement = await this.connection.prepare(sql);
    try {
      params.forEach((value, at) => bindValue(statement, at + 1, value));
      return await work(statement);
    } finally {
      statement.destroySync();
    }
  }
}

/** Binds a parameter of a prepared statement; `index` counts from 1. */
export function bindValue(
  statement: DuckDBPreparedStatement,
  index: number,
  value: SqlValue,
): void {
  if (value === null) statement.bindNull(index);
  else if (typeof value === "string") statement.bindVarchar(index, value);
  else if (typeof value === "bigint") {
    if (BigInt.asIntN(64, value) === value) statement.bindBigInt(index, value);
    else statement.bindHugeInt(index, value);
  } else if (typeof value === "boolean") statement.bindBoolean(index, value);
  else if (typeof value === "number") statement.bindDouble(index, value);
  else statement.bindBlob(index, value);
}

function toSqlValue(value: DuckDBValue): SqlValue {
  if (value === null || typeof value !== "object") return value as SqlValue;
  if (value instanceof DuckDBBlobValue) return value.bytes;
  return String(value);
}

function exactValue(value: SqlValue, type: DuckDBTypeId | undefined): SqlValue {
  if (typeof value !== "number") return value;
  if (type === DuckDBTypeId.DOUBLE) return doubleText(value);
  if (type === DuckDBTypeId.FLOAT) return floatText(value);
  return BigInt(value);
}

async function* readPieces(path: string): AsyncIterable<Uint8Array> {
  using file = await Deno.open(path, { read: true });
  const piece = new Uint8Array(READ_PIECE_BYTES);
  for (;;) {
    const length = await file.read(piece);
    if (length === null) return;
    yield piece.subarray(0, length);
  }
}
