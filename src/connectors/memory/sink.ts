import { type Batch, type RejectedRows, ROW_COLUMN } from "../../core/batch.ts";
import type { SinkRequest } from "../../core/connector.ts";
import type { DeadLetter } from "../../core/dead_letter.ts";
import { type OffsetMove, partitionKey, type StoredOffset } from "../../core/offset.ts";
import { quoteIdentifier, type TargetColumn } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { Sink, SinkContext } from "../../core/sink.ts";
import { jsonValue } from "../../formats/json_text.ts";
import { castExpression } from "../_sql/cast.ts";
import { mapColumns } from "../_sql/column_map.ts";
import { mergeKeys, newTableKeys } from "../_sql/merge_keys.ts";
import { assertUnfenced } from "../_sql/offset_fence.ts";
import { outOfOrder, TABLE_TRAITS } from "../_sql/epoch_table.ts";
import { writeFittingRows } from "../_sql/refusal.ts";
import { fitColumn, type FittedColumn, fittingRows } from "../_sql/row_fit.ts";
import {
  targetColumnUnknown,
  targetTableMissing,
  targetTypeMismatch,
} from "../_sql/target_error.ts";
import type { MemoryBroker, MemoryTable } from "./broker.ts";

const READ_ROWS = 10_000;

/** Tables of a {@link MemoryBroker}: transactional, with offsets, append and merge. */
export class MemorySink implements Sink {
  readonly targetId: string;
  readonly traits = TABLE_TRAITS;
  readonly #request: SinkRequest;
  readonly #broker: MemoryBroker;
  readonly #table: string;
  #context: SinkContext | undefined;
  /** The table as the epoch has changed it, `undefined` as long as it has not. */
  #changed: MemoryTable | undefined;
  #letters: { readonly table: string; readonly letter: DeadLetter }[] = [];
  #inEpoch = false;
  /** Rows of this pipeline are in the table: columns may be added from then on. */
  #hasWritten = false;

  constructor(request: SinkRequest, table: string, broker: MemoryBroker) {
    this.#request = request;
    this.#table = table;
    this.#broker = broker;
    this.targetId = `memory:${table}`;
  }

  async open(context: SinkContext, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#broker.pass("sink_open");
    this.#context = context;
  }

  columns(): Promise<readonly TargetColumn[] | undefined> {
    return Promise.resolve(this.#broker.tables.get(this.#table)?.columns);
  }

  storedOffsets(): Promise<readonly StoredOffset[]> {
    const { exactlyOnce, offsetName } = this.#opened();
    if (!exactlyOnce) return Promise.resolve([]);
    return offsetName.read("broker", (name) => Promise.resolve(this.#stored(name)));
  }

  async begin(_epoch: number): Promise<void> {
    await this.#broker.pass("begin");
    this.#inEpoch = true;
    this.#changed = undefined;
    this.#letters = [];
  }

  async write(
    batch: Batch,
    session: Session,
    signal: AbortSignal,
  ): Promise<RejectedRows | undefined> {
    signal.throwIfAborted();
    if (!this.#inEpoch) throw outOfOrder("memory", "no epoch has begun");
    await this.#broker.pass("write");
    const table = this.#tableFor(batch);
    const columns = this.#fit(batch, table);
    const { engine } = this.#opened();
    return await writeFittingRows(session, engine, batch, columns, async (relation) => {
      await this.#store(table, columns, relation, session);
      this.#changed = table;
      return [];
    });
  }

  writeDeadLetters(table: string, letters: readonly DeadLetter[]): Promise<void> {
    if (!this.#inEpoch) return Promise.reject(outOfOrder("memory", "no epoch has begun"));
    this.#letters.push(...letters.map((letter) => ({ table, letter })));
    return Promise.resolve();
  }

  async commit(moves: readonly OffsetMove[]): Promise<void> {
    if (!this.#inEpoch) throw outOfOrder("memory", "no epoch has begun");
    const { exactlyOnce, offsetName: { name } } = this.#opened();
    await this.#broker.pass("commit");
    if (exactlyOnce) {
      assertUnfenced(this.targetId, moves, this.#stored(name));
      let own = this.#broker.offsets.get(name);
      if (own === undefined) this.#broker.offsets.set(name, own = new Map());
      for (const move of moves) own.set(partitionKey(move), move.to);
    }
    if (this.#changed !== undefined) {
      this.#broker.tables.set(this.#table, this.#changed);
      this.#hasWritten = true;
    }
    for (const { table, letter } of this.#letters) {
      let letters = this.#broker.deadLetters.get(table);
      if (letters === undefined) this.#broker.deadLetters.set(table, letters = new Map());
      letters.set(letter.id, letter);
    }
    this.#forgetEpoch();
    await this.#broker.pass("committed");
  }

  abort(): Promise<void> {
    this.#forgetEpoch();
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.abort();
  }

  #opened(): SinkContext {
    if (this.#context !== undefined) return this.#context;
    throw outOfOrder("memory", "it is not open");
  }

  #forgetEpoch(): void {
    this.#inEpoch = false;
    this.#changed = undefined;
    this.#letters = [];
  }

  #stored(name: string): StoredOffset[] {
    const own = this.#broker.offsets.get(name) ?? new Map<string, string>();
    return [...own].map(([key, position]) => {
      const [sourceId = "", partition = ""] = key.split("\u0000");
      return { sourceId, partition, position };
    });
  }

  /** The table as this epoch sees it, with columns for all of the batch's; a copy, so that an abort leaves nothing. */
  #tableFor(batch: Batch): MemoryTable {
    const { create, mode, keys } = this.#request;
    const found = this.#changed ?? this.#broker.tables.get(this.#table);
    if (found === undefined) {
      if (!create) throw targetTableMissing(this.#table);
      return {
        columns: batch.columns.map(({ name, type }) => targetColumn(name, type)),
        keys: mode === "merge" ? newTableKeys(this.#table, keys, batch.columns) : [],
        rows: [],
      };
    }
    const table = {
      columns: [...found.columns],
      keys: found.keys,
      rows: found.rows.map((row) => [...row]),
    };
    const [unknown] = mapColumns(batch.columns, table.columns).unknown;
    if (unknown === undefined) return table;
    const known = this.#changed !== undefined || this.#hasWritten ||
      this.#stored(this.#opened().offsetName.name).length > 0;
    if (!known || !create) throw targetColumnUnknown(this.#table, unknown.name, table.columns);
    for (const { name, type } of mapColumns(batch.columns, table.columns).unknown) {
      table.columns.push(targetColumn(name, type));
    }
    return table;
  }

  #fit(batch: Batch, table: MemoryTable): FittedColumn[] {
    const { pairs } = mapColumns(batch.columns, table.columns);
    const keys = this.#keys(table, pairs.map(({ target }) => target.name));
    return pairs.map(({ column, target }) => {
      const cast = castExpression(quoteIdentifier(column.name), column.type, target.type);
      if (cast === undefined) {
        throw targetTypeMismatch(this.#table, column, target, "cast it with [transform] sql");
      }
      return fitColumn(column, target, cast, keys.includes(target.name));
    });
  }

  #keys(table: MemoryTable, written: readonly string[]): readonly string[] {
    if (this.#request.mode !== "merge") return [];
    return mergeKeys(
      {
        shown: this.#table,
        columns: table.columns,
        primaryKey: table.keys,
        uniqueKeys: [table.keys],
      },
      this.#request.keys,
      written,
    );
  }

  async #store(
    table: MemoryTable,
    columns: readonly FittedColumn[],
    relation: string,
    session: Session,
  ): Promise<void> {
    const places = columns.map(({ target }) => table.columns.indexOf(target));
    const keyPlaces = this.#keys(table, columns.map(({ target }) => target.name)).map((key) =>
      table.columns.findIndex(({ name }) => name === key)
    );
    const keyOf = (row: readonly (string | null)[]) =>
      JSON.stringify(keyPlaces.map((at) => row[at]));
    const byKey = new Map(
      keyPlaces.length === 0 ? [] : table.rows.map((row) => [keyOf(row), row] as const),
    );
    const list = columns.map(({ expr, target }, at) => `${jsonOf(expr, target.type)} AS c${at}`);
    const query = `SELECT ${list.join(", ")} FROM ${relation} WHERE ${fittingRows(columns)} ` +
      `ORDER BY ${ROW_COLUMN}`;
    for (let from = 0;; from += READ_ROWS) {
      const rows = await session.rows<Record<string, string | null>>(
        `${query} LIMIT ${READ_ROWS} OFFSET ${from}`,
      );
      for (const values of rows) {
        const row: (string | null)[] = table.columns.map(() => null);
        places.forEach((place, at) => row[place] = values[`c${at}`] ?? null);
        const existing = byKey.get(keyOf(row));
        if (existing !== undefined && keyPlaces.length > 0) {
          // Columns that the batch does not have keep their values.
          for (const place of places) existing[place] = row[place] ?? null;
          continue;
        }
        table.rows.push(row);
        if (keyPlaces.length > 0) byKey.set(keyOf(row), row);
      }
      if (rows.length < READ_ROWS) return;
    }
  }
}

function jsonOf(expr: string, type: string): string {
  return type === "NULL" ? "NULL::VARCHAR" : jsonValue(`(${expr})`, type);
}

function targetColumn(name: string, type: string): TargetColumn {
  // A column of nothing but NULL takes whatever comes later.
  const kept = /^(SQLNULL|"?NULL"?)$/.test(type) ? "VARCHAR" : type;
  return {
    name,
    type: kept,
    nativeType: kept,
    nullable: true,
    hasDefault: false,
    ...(kept === "JSON" ? { json: true } : {}),
  };
}
