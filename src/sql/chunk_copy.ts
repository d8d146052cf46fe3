import type { DuckDBDataChunk, DuckDBResult } from "@duckdb/node-api";
import type { RelationPiece } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import { type Column, quoteIdentifier } from "../core/schema.ts";
import type { Engine, Session, SqlValue } from "../core/session.ts";
import { bindValue, DuckdbSession } from "./session.ts";
import { toSqlError } from "./sql_error.ts";

/** What {@link copyInPieces} copies, and where to. */
export interface ChunkCopy {
  /** The connection that runs the query. Nothing else may run there until the pieces are through. */
  readonly from: Session;
  readonly query: string;
  readonly params: readonly SqlValue[];
  /** The query's columns as `describe` tells them. */
  readonly columns: readonly Column[];
  readonly engine: Engine;
  /** The engine's session that selects from the pieces; it drops them. */
  readonly engineSession: Session;
  readonly signal: AbortSignal;
  /** Size of a piece in bytes of values, about 8 MiB by default. */
  readonly pieceBytes?: number;
}

const PIECE_BYTES = 8 << 20;
/** Bytes that a value takes in a column of fixed width, or besides its text. */
const VALUE_BYTES = 16;
const SIZE_COLUMN = "__flow_size";
const FIXED_WIDTH =
  /^(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL.*|DATE|TIME.*|INTERVAL|UUID|ENUM\(.*)$/s;

/**
 * Copies a query's result from one DuckDB instance into tables of another, piece by piece: DuckDB's own vectors go from the one to the
 * other, so that every type arrives as it is and no value becomes a JavaScript object.
 *
 * @throws FlowError as {@link Session.run} does.
 */
export async function* copyInPieces(copy: ChunkCopy): AsyncGenerator<RelationPiece> {
  const { from, engine, columns } = copy;
  if (!(from instanceof DuckdbSession)) throw foreign();
  // A connection of its own: appending on one that runs a statement would block this thread until that is done.
  const into = await engine.connect();
  if (!(into instanceof DuckdbSession)) throw foreign();
  const sizes = columns.filter(({ type }) => !FIXED_WIDTH.test(type)).map(sizeOf);
  const query = sizes.length === 0
    ? copy.query
    : `SELECT *, CAST(${sizes.join(" + ")} AS INTEGER) AS ${SIZE_COLUMN} FROM (\n${copy.query}\n)`;
  const stored = sizes.length === 0
    ? columns
    : [...columns, { name: SIZE_COLUMN, type: "INTEGER" }];
  const rowBytes = columns.length * VALUE_BYTES;
  try {
    const statement = await from.connection.prepare(query);
    try {
      copy.params.forEach((value, at) => bindValue(statement, at + 1, value));
      const result = await statement.stream();
      let chunk = await nextChunk(result, copy.signal);
      while (chunk !== undefined) {
        const table = engine.newName("piece");
        await into.run(
          `CREATE TABLE ${quoteIdentifier(table)} (${
            stored.map((column) => `${quoteIdentifier(column.name)} ${column.type}`).join(", ")
          })`,
        );
        let rows = 0;
        try {
          const appender = await into.connection.createAppender(table);
          try {
            for (let bytes = 0; chunk !== undefined && bytes < (copy.pieceBytes ?? PIECE_BYTES);) {
              appender.appendDataChunk(chunk);
              rows += chunk.rowCount;
              bytes += chunk.rowCount * rowBytes + (sizes.length === 0 ? 0 : sumOfSizes(chunk));
              chunk = await nextChunk(result, copy.signal);
            }
          } finally {
            appender.closeSync();
          }
        } catch (error) {
          await into.run(`DROP TABLE IF EXISTS ${quoteIdentifier(table)}`);
          throw error;
        }
        yield pieceOf(table, rows, sizes.length > 0, copy.engineSession);
      }
    } finally {
      statement.destroySync();
    }
  } catch (error) {
    throw toSqlError(error, copy.query);
  } finally {
    await into.close();
  }
}

async function nextChunk(
  result: DuckDBResult,
  signal: AbortSignal,
): Promise<DuckDBDataChunk | undefined> {
  const chunk = await result.fetchChunk();
  // An interrupted query may end as if it were through.
  signal.throwIfAborted();
  return chunk === null || chunk.rowCount === 0 ? undefined : chunk;
}

function pieceOf(table: string, rows: number, sized: boolean, session: Session): RelationPiece {
  const name = quoteIdentifier(table);
  return {
    relation: sized ? `(SELECT * EXCLUDE (${SIZE_COLUMN}) FROM ${name})` : name,
    rows,
    release: () => session.run(`DROP TABLE IF EXISTS ${name}`),
  };
}

function sizeOf({ name, type }: Column): string {
  const value = quoteIdentifier(name);
  if (type === "VARCHAR" || type === "JSON") return `coalesce(strlen(${value}), 0)`;
  if (type === "BLOB") return `coalesce(octet_length(${value}), 0)`;
  return `coalesce(strlen(CAST(${value} AS VARCHAR)), 0)`;
}

/** The sum of the last column's numbers. */
function sumOfSizes(chunk: DuckDBDataChunk): number {
  // The vector's own buffer is private in the client's types, though it is the documented layout of every fixed-width vector;
  // item-wise access would make a number object per value.
  const { items } = chunk.getColumnVector(chunk.columnCount - 1) as unknown as {
    items: Int32Array;
  };
  let sum = 0;
  for (let row = 0; row < chunk.rowCount; row += 1) sum += items[row] ?? 0;
  return sum;
}

function foreign(): FlowError {
  return new FlowError("cannot copy rows: the session belongs to another engine", {
    code: "engine_session_foreign",
    domain: "internal",
  });
}
