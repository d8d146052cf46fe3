import type { Batch, RejectedRows } from "../../core/batch.ts";
import { FlowError } from "../../core/error.ts";
import type { Column } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { ColumnMap } from "../_sql/column_map.ts";
import type { EpochTable } from "../_sql/epoch_table.ts";
import { type RefusedRow, writeFittingRows } from "../_sql/refusal.ts";
import { shapeTable } from "../_sql/table_shape.ts";
import { targetTypeMismatch } from "../_sql/target_error.ts";
import { doubtfulColumns, findWidenings, toldWidenings } from "../_sql/widening.ts";
import type { SqliteClient } from "./client.ts";
import { rowArrays } from "./lines.ts";
import type { RefusedLine } from "./protocol.ts";
import { insertStatement, linesQuery } from "./statements.ts";
import {
  addColumnStatement,
  createStatement,
  readTable,
  type SqliteColumn,
  type SqliteTable,
} from "./table.ts";
import { sqliteWidener, widenColumns } from "./widening.ts";
import { type WireColumn, wireColumn } from "./wire.ts";

/** What a {@link TableWriter} works with. */
export interface TableWriterOptions extends EpochTable {
  readonly client: SqliteClient;
  readonly table: string;
}

/** Writes batches into one table within one epoch. */
export class TableWriter {
  readonly #options: TableWriterOptions;
  #table: SqliteTable | undefined;
  #hasWritten = false;

  constructor(options: TableWriterOptions) {
    this.#options = options;
  }

  /** True when a batch has been written in this epoch. */
  get hasWritten(): boolean {
    return this.#hasWritten;
  }

  /** Writes what fits, returns what does not. The caller owns the returned table. */
  async write(
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    const { engine } = this.#options;
    const { map, keys } = await this.#shapeFor(batch, session);
    const columns = this.#wire(map, keys);
    return await writeFittingRows(session, engine, batch, columns, async (relation) => {
      const refused = await this.#send(session, relation, columns, keys, signal);
      this.#hasWritten = true;
      return refused;
    });
  }

  /** Makes the table, its columns and their types what the batch needs. */
  async #shapeFor(batch: Batch, session: Session) {
    const { client, table: name, create, exactlyOnce, notice } = this.#options;
    const shaped = await this.#shape(batch.columns);
    const known = async () => this.#hasWritten || !exactlyOnce || await this.#options.known();
    const widener = sqliteWidener(client, name, shaped.table);
    const doubts = create ? await doubtfulColumns(shaped, widener) : [];
    if (doubts.length === 0 || !(await known())) return shaped;
    const widenings = await findWidenings(session, batch, doubts, widener);
    if (widenings.length === 0) return shaped;
    await widenColumns(client, name, shaped.table, widenings);
    notice(toldWidenings(name, widenings));
    this.#table = undefined;
    return await this.#shape(batch.columns);
  }

  async #shape(columns: readonly Column[]) {
    const { client, table: name, mode, keys, create } = this.#options;
    const shaped = await shapeTable<SqliteColumn, SqliteTable>(
      {
        shown: name,
        mode,
        keys,
        create,
        known: async () => this.#hasWritten || await this.#options.known(),
        read: async () => {
          this.#table = await readTable(client, name);
          return this.#table;
        },
        makeTable: (all, primaryKey) => client.run(createStatement(name, all, primaryKey)),
        addColumns: async (added) => {
          for (const column of added) {
            await client.run(addColumnStatement(name, column, this.#table?.strict ?? false));
          }
        },
      },
      columns,
      this.#table,
    );
    this.#table = shaped.table;
    return shaped;
  }

  #wire(map: ColumnMap<SqliteColumn>, keys: readonly string[]): WireColumn[] {
    const { table } = this.#options;
    return map.pairs.map(({ column, target }) => {
      if (target.generated) {
        throw new FlowError(
          `column "${column.name}" cannot go into ${table}."${target.name}": SQLite generates that column`,
          {
            code: "target_column_generated",
            domain: "user",
            hint: "leave the column out with [transform] sql",
            details: { table, column: column.name },
          },
        );
      }
      const wire = wireColumn(column, target, keys.includes(target.name));
      if (wire !== undefined) return wire;
      throw targetTypeMismatch(
        table,
        column,
        target,
        "cast it with [transform] sql, or change the type of the table's column",
      );
    });
  }

  /** Sends the rows piece by piece; the engine renders the next while the Worker writes one. */
  async #send(
    session: Session,
    relation: string,
    columns: readonly WireColumn[],
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<RefusedRow[]> {
    const { client, table } = this.#options;
    const sql = insertStatement(table, columns, keys);
    const refused: RefusedRow[] = [];
    let writing: Promise<readonly RefusedLine[]> = Promise.resolve([]);
    const settle = async () => {
      for (const { row, error } of await writing) refused.push({ row: BigInt(row), error });
    };
    const text = session.exportText(linesQuery(relation, columns, keys), "ndjson");
    for await (const rows of rowArrays(text)) {
      await settle();
      signal.throwIfAborted();
      writing = client.call({ op: "insert", sql, rows });
      // It is awaited in the next round; a failure must not count as unhandled before.
      writing.catch(() => {});
    }
    await settle();
    return refused;
  }
}
