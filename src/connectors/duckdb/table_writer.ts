import type { Batch, RejectedRows } from "../../core/batch.ts";
import type { Column } from "../../core/schema.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import type { ColumnMap } from "../_sql/column_map.ts";
import type { EpochTable } from "../_sql/epoch_table.ts";
import { type RefusedRow, writeFittingRows } from "../_sql/refusal.ts";
import { fitColumn, type FittedColumn } from "../_sql/row_fit.ts";
import { type ShapedTable, shapeTable, type TableShaper } from "../_sql/table_shape.ts";
import { targetTypeMismatch } from "../_sql/target_error.ts";
import {
  changedValues,
  doubtfulColumns,
  findWidenings,
  toldWidenings,
  type Widener,
} from "../_sql/widening.ts";
import { duckdbCast, grownType, markedDuckdbCast } from "./cast.ts";
import { breaksConstraint, type Epoch } from "./epoch.ts";
import { type Stage, STAGED_ROW, stageRows, writeStatement } from "./stage.ts";
import {
  addColumnStatements,
  createStatements,
  creationFailure,
  type DuckdbColumn,
  type DuckdbTable,
  type DuckdbTableName,
  readTable,
} from "./table.ts";
import { type BrokenRow, findBroken, writeByHalves } from "./violations.ts";

/** What a {@link TableWriter} works with. */
export interface TableWriterOptions extends EpochTable {
  readonly epoch: Epoch;
  readonly table: DuckdbTableName;
}

/** Writes batches into one table within one epoch. */
export class TableWriter {
  readonly #options: TableWriterOptions;
  #table: DuckdbTable | undefined;
  #hasWritten = false;

  constructor(options: TableWriterOptions) {
    this.#options = options;
  }

  /** True when a batch has been written in this epoch. */
  get hasWritten(): boolean {
    return this.#hasWritten;
  }

  /** Writes what fits, returns what does not. The caller owns the returned table. */
  async write(batch: Batch, session: Session): Promise<RejectedRows | undefined> {
    const { engine, mode, epoch } = this.#options;
    const { table, map, keys } = await this.#shape(batch, session);
    const fitted = await this.#fit(session, map, keys);
    return await writeFittingRows(session, engine, batch, fitted, async (relation, checked) => {
      let refused: readonly RefusedRow[] = [];
      if (checked < batch.rows) {
        const stage = await stageRows(session, engine, relation, fitted, mode, keys);
        await epoch.attach(stage.name, stage.path);
        refused = await this.#writeStage(table, stage);
      }
      this.#hasWritten = true;
      return refused;
    });
  }

  /** Makes the table, its columns, their types and the fields of its structs what the batch needs. */
  async #shape(batch: Batch, session: Session): Promise<ShapedTable<DuckdbColumn, DuckdbTable>> {
    const { columns } = batch;
    const { epoch, table: name, mode, keys, create } = this.#options;
    const known = async () => this.#hasWritten || await this.#options.known();
    const shaper: TableShaper<DuckdbColumn, DuckdbTable> = {
      shown: name.shown,
      mode,
      keys,
      create,
      known,
      read: () => readTable(epoch.session, name),
      makeTable: (all, primaryKey) => this.#alter(createStatements(name, all, primaryKey), all),
      addColumns: (added) =>
        this.#alter(added.flatMap((column) => addColumnStatements(name, column)), added),
    };
    const shaped = await shapeTable(shaper, columns, this.#table);
    this.#table = shaped.table;
    const grown = shaped.map.pairs.flatMap(({ column, target }) => {
      const type = grownType(target.type, column.type);
      return type === undefined ? [] : [
        `ALTER TABLE ${name.sql} ALTER COLUMN ${quoteIdentifier(target.name)} TYPE ${type}`,
      ];
    });
    const again = async () => {
      const fresh = await shapeTable(shaper, columns, undefined);
      this.#table = fresh.table;
      return fresh;
    };
    const isKnown = await known();
    if (grown.length > 0 && isKnown) await this.#alter(grown, columns);
    const current = grown.length > 0 && isKnown ? await again() : shaped;
    const mayWiden = create && (isKnown || !this.#options.exactlyOnce);
    return mayWiden && await this.#widened(current, batch, session) ? await again() : current;
  }

  /** Gives columns that flow made the wider types that the batch needs; true when there were some. */
  async #widened(
    shaped: ShapedTable<DuckdbColumn, DuckdbTable>,
    batch: Batch,
    session: Session,
  ): Promise<boolean> {
    const { epoch, table: name } = this.#options;
    const widener: Widener<DuckdbColumn> = {
      stored: (type) => type,
      cast: (column, to) => markedDuckdbCast(session, column, to),
      holds: async (target, type) => {
        const column = { name: target.name, type: target.type };
        const changed = changedValues(column, type, await markedDuckdbCast(session, column, type));
        if (changed === undefined) return true;
        const found = await epoch.session.rows(
          `SELECT 1 FROM ${name.sql} WHERE ${changed} LIMIT 1`,
        );
        return found.length === 0;
      },
    };
    const doubts = await doubtfulColumns(shaped, widener);
    const widenings = await findWidenings(session, batch, doubts, widener);
    if (widenings.length === 0) return false;
    for (const { target, type } of widenings) {
      const column = quoteIdentifier(target.name);
      const cast = await markedDuckdbCast(session, { name: target.name, type: target.type }, type);
      const using = cast?.expr ?? column;
      await epoch.apply((file) =>
        file.run(`ALTER TABLE ${name.sql} ALTER COLUMN ${column} TYPE ${type} USING ${using}`)
      );
    }
    this.#options.notice(toldWidenings(name.shown, widenings));
    return true;
  }

  async #alter(statements: readonly string[], columns: readonly Column[]): Promise<void> {
    const { epoch, table: name } = this.#options;
    try {
      for (const statement of statements) {
        await epoch.apply((session) => session.run(statement));
      }
    } catch (error) {
      throw creationFailure(error, name, columns);
    }
  }

  async #fit(
    session: Session,
    map: ColumnMap<DuckdbColumn>,
    keys: readonly string[],
  ): Promise<FittedColumn[]> {
    const fitted: FittedColumn[] = [];
    for (const { column, target } of map.pairs) {
      const castOf = target.widens ? markedDuckdbCast : duckdbCast;
      const cast = await castOf(session, column, target.type);
      if (cast === undefined) {
        throw targetTypeMismatch(
          this.#options.table.shown,
          column,
          target,
          "cast it with [transform] sql, or change the type of the table's column",
        );
      }
      fitted.push(fitColumn(column, target, cast, keys.includes(target.name)));
    }
    return fitted;
  }

  /** Writes the staged rows; when some break a rule of the table, finds them and writes the others. */
  async #writeStage(table: DuckdbTable, stage: Stage): Promise<RefusedRow[]> {
    const { epoch, table: name } = this.#options;
    const write = (condition: string) => (session: Session) =>
      session.run(writeStatement(name.sql, stage, condition));
    try {
      await epoch.apply(write("true"));
      return [];
    } catch (error) {
      if (!breaksConstraint(error)) throw error;
    }
    const broken = await findBroken(epoch.session, name, table, stage);
    const others = `rowid NOT IN (SELECT unnest(from_json('${
      JSON.stringify(broken.map((row) => Number(row.rowId)))
    }', '["BIGINT"]')))`;
    try {
      await epoch.apply(write(others));
    } catch (error) {
      if (!breaksConstraint(error)) throw error;
      const [counted] = await epoch.session.rows<{ n: bigint }>(
        `SELECT count(*) AS n FROM ${stage.sql}`,
      );
      broken.push(
        ...await writeByHalves(
          epoch,
          0n,
          counted?.n ?? 0n,
          (session, from, to) => write(`${others} AND rowid >= ${from} AND rowid < ${to}`)(session),
        ),
      );
    }
    return await this.#rowNumbers(stage, broken);
  }

  async #rowNumbers(stage: Stage, broken: readonly BrokenRow[]): Promise<RefusedRow[]> {
    const errors = new Map(broken.map((row) => [row.rowId, row.error]));
    const rows = await this.#options.epoch.session.rows<{ id: bigint; row: bigint }>(
      `SELECT rowid AS id, ${STAGED_ROW} AS row FROM ${stage.sql} WHERE rowid IN ` +
        `(SELECT unnest(from_json($1, '["BIGINT"]'))) ORDER BY rowid`,
      [JSON.stringify([...errors.keys()].map(Number))],
    );
    return rows.map(({ id, row }) => ({ row, error: errors.get(id) ?? "breaks a constraint" }));
  }
}
