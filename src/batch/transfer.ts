import type { DatabaseSession, Dialect, LoadTarget } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { Column } from "../core/schema.ts";
import type { Engine, Session, SqlValue } from "../core/session.ts";
import { Binder, type BoundQuery } from "./binder.ts";
import { type ProjectedColumn, projection, withoutOwnTypes } from "./projection.ts";

/** Columns with one value for all rows of a load, such as the run's id. */
export interface ConstantColumn {
  readonly column: Column;
  /** The value in a database's own form. */
  readonly valueFor: (dialect: Dialect) => SqlValue;
}

/** Rows from a query of one database into a table or stage of another. */
export interface Transfer {
  readonly from: DatabaseSession;
  readonly query: BoundQuery;
  readonly pairs: readonly ProjectedColumn[];
  readonly constants: readonly ConstantColumn[];
  readonly to: DatabaseSession;
  readonly into: LoadTarget;
  /** Makes the engine; asked for only where rows have to go through it. */
  readonly engine: () => Promise<Engine>;
  /** How the engine speaks. */
  readonly engineDialect: Dialect;
  /** Called with the rows loaded so far. */
  readonly onProgress: (rows: number) => void;
}

/**
 * Moves the rows; returns how many. Two databases of one kind with a bulk format of their own pass it from one to the other; all others meet in the
 * engine, piece by piece: the next piece is read while this one is loaded, and at most three lie on disk.
 */
export async function transferRows(transfer: Transfer): Promise<number> {
  const { from, to } = transfer;
  const direct = directWay(from, to);
  if (direct !== undefined) {
    const bind = new Binder(from.dialect);
    // The constants stand before the query in the text, and so are bound before it.
    const constants = constantValues(transfer, bind);
    const relation = `(${bind.query(transfer.query)}\n)`;
    const sql = projection(from.dialect, withoutOwnTypes(transfer.pairs), relation, constants);
    const { into } = transfer;
    const rows = await direct.to.loadIn(
      into,
      await direct.from.readOut(sql, bind.params, into),
    );
    transfer.onProgress(rows);
    return rows;
  }
  return await throughEngine(transfer, await transfer.engine());
}

/** True where rows go from one database to the other without the engine between them. */
export function passesDirectly(from: DatabaseSession, to: DatabaseSession): boolean {
  return directWay(from, to) !== undefined;
}

function directWay(from: DatabaseSession, to: DatabaseSession) {
  if (from.native === undefined || to.native === undefined) return undefined;
  return from.dialect === to.dialect ? { from: from.native, to: to.native } : undefined;
}

function constantValues({ from, constants }: Transfer, bind: Binder): readonly string[] {
  // A subquery of its own is worked out once instead of once a row.
  return constants.map(({ column, valueFor }) =>
    `(SELECT ${bind.value(valueFor(from.dialect), column.type)}) AS ${
      from.dialect.quote(column.name)
    }`
  );
}

async function throughEngine(transfer: Transfer, engine: Engine): Promise<number> {
  const { from, to, engineDialect } = transfer;
  const reading = await engine.connect();
  let loading: Session | undefined;
  try {
    loading = await engine.connect();
    const constants = await engineConstants(transfer, loading);
    const bind = new Binder(from.dialect);
    const sql = bind.query(transfer.query);
    let rows = 0;
    for await (const piece of readAhead(from.read(sql, bind.params, engine, reading))) {
      try {
        const query = projection(engineDialect, transfer.pairs, piece.relation, constants);
        rows += await to.load(transfer.into, query, loading).catch((error: unknown) => {
          throw withoutPiece(error);
        });
        transfer.onProgress(rows);
      } finally {
        await piece.release();
      }
    }
    return rows;
  } finally {
    await loading?.close();
    await reading.close();
  }
}

/** A value of a piece that the engine cannot read as its column's type, such as a date of year 0. */
const UNREADABLE =
  /CSV Error on Line[^]*Error when converting column "(.*)"\. Could not convert string "([^]*?)" to '(.*)'/;
const SHOWN_CHARACTERS = 80;

/** The engine tells of such a value with the whole row, the piece's path, and advice about files. */
function withoutPiece(error: unknown): unknown {
  const found = error instanceof FlowError ? UNREADABLE.exec(error.message) : null;
  if (found === null) return error;
  const [, column = "", value = "", type = ""] = found;
  return new FlowError(
    `column "${column}" of the query: the value '${
      value.slice(0, SHOWN_CHARACTERS)
    }' does not fit ${type}`,
    {
      code: "load_rejected",
      domain: "user",
      hint: "correct the value with SQL in the query, or cast the column to text there",
      details: { column },
    },
  );
}

/** A query that is exported takes no parameters: the engine keeps the constants in a small table of its own. */
async function engineConstants(
  { constants, engineDialect }: Transfer,
  session: Session,
): Promise<readonly string[]> {
  if (constants.length === 0) return [];
  const table = "flow_load_constants";
  const definitions = constants.map(({ column }) =>
    `${engineDialect.quote(column.name)} ${column.type}`
  );
  await session.run(`CREATE OR REPLACE TABLE ${table} (${definitions.join(", ")})`);
  const bind = new Binder(engineDialect);
  const values = constants.map(({ column, valueFor }) =>
    bind.value(valueFor(engineDialect), column.type)
  );
  await session.run(`INSERT INTO ${table} VALUES (${values.join(", ")})`, bind.params);
  return constants.map(({ column: { name } }) =>
    `(SELECT ${engineDialect.quote(name)} FROM ${table}) AS ${engineDialect.quote(name)}`
  );
}

/** Asks for the next item while the last one is worked on. Items that nobody takes are released. */
async function* readAhead<T extends { release(): Promise<void> }>(
  items: AsyncIterable<T>,
): AsyncIterable<T> {
  const iterator = items[Symbol.asyncIterator]();
  let next = iterator.next();
  next.catch(() => {});
  try {
    for (;;) {
      const current = await next;
      if (current.done === true) return;
      next = iterator.next();
      next.catch(() => {});
      yield current.value;
    }
  } finally {
    const left = await next.catch(() => undefined);
    if (left !== undefined && left.done !== true) await left.value.release();
    await iterator.return?.();
  }
}
