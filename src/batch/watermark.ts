import type { DatabaseSession, Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { Column } from "../core/schema.ts";
import type { SqlValue } from "../core/session.ts";
import { Binder, type BoundQuery, type Statement } from "./binder.ts";
import { metadataTables } from "./metadata.ts";
import { timestampOf } from "./time_value.ts";

/** Up to where earlier runs have read: the value as the source database prints it, so that no digit is lost. */
export interface StoredWatermark {
  readonly value: string;
  /** Under a tie-break column: its highest value among the rows with `value`. */
  readonly tie?: string;
}

/** The watermark of a pipeline's target; undefined before the first run. */
export async function readWatermark(
  session: DatabaseSession,
  pipelineName: string,
  column: string,
): Promise<StoredWatermark | undefined> {
  const { dialect } = session;
  const bind = new Binder(dialect);
  const [row] = await session.rows<{ column_name: string; last_value: string }>(
    `SELECT ${dialect.quote("column_name")} AS column_name, ${
      dialect.quote("last_value")
    } AS last_value FROM ${metadataTables(dialect).watermarks} WHERE ${
      dialect.quote("pipeline_name")
    } = ${bind.value(pipelineName, "VARCHAR")}`,
    bind.params,
  );
  if (row === undefined) return undefined;
  if (row.column_name !== column) {
    throw new FlowError(
      `the watermark of '${pipelineName}' was kept for column '${row.column_name}', not for '${column}'`,
      {
        code: "watermark_column_changed",
        domain: "user",
        hint: `delete the row of '${pipelineName}' in ${
          metadataTables(dialect).watermarks
        } to read everything anew`,
        details: { pipeline: pipelineName, column },
      },
    );
  }
  return parseWatermark(row.last_value);
}

/** Keeps the watermark, in the load's own transaction. */
export async function writeWatermark(
  session: DatabaseSession,
  pipelineName: string,
  column: string,
  watermark: StoredWatermark,
  nowMicros: bigint,
): Promise<void> {
  const { dialect } = session;
  const { watermarks } = metadataTables(dialect);
  const update = new Binder(dialect);
  const changed = await session.run(
    `UPDATE ${watermarks} SET ${dialect.quote("last_value")} = ${
      update.value(watermarkText(watermark), "VARCHAR")
    }, ${dialect.quote("updated_at")} = ${timestampOf(update, dialect, nowMicros)} WHERE ${
      dialect.quote("pipeline_name")
    } = ${update.value(pipelineName, "VARCHAR")}`,
    update.params,
  );
  if (changed > 0) return;
  const insert = new Binder(dialect);
  const names = ["pipeline_name", "column_name", "last_value", "updated_at"].map((name) =>
    dialect.quote(name)
  );
  await session.run(
    `INSERT INTO ${watermarks} (${names.join(", ")}) VALUES (${
      insert.value(pipelineName, "VARCHAR")
    }, ${insert.value(column, "VARCHAR")}, ${insert.value(watermarkText(watermark), "VARCHAR")}, ${
      timestampOf(insert, dialect, nowMicros)
    })`,
    insert.params,
  );
}

/** A watermark as it is kept and shown: the value, or with a tie-break column a JSON list of both. */
export function watermarkText({ value, tie }: StoredWatermark): string {
  return tie === undefined ? value : JSON.stringify([value, tie]);
}

function parseWatermark(text: string): StoredWatermark {
  if (!text.startsWith('["')) return { value: text };
  try {
    const [value, tie] = JSON.parse(text) as readonly unknown[];
    return typeof value === "string" && typeof tie === "string" ? { value, tie } : { value: text };
  } catch {
    return { value: text };
  }
}

/** The column in a form that sorts as its type does. */
export function sortableColumn(dialect: Dialect, { name, type }: Column): string {
  const sql = dialect.quote(name);
  return dialect.sortable?.({ sql, type }) ?? sql;
}

/** The columns by which a load keeps its watermark. */
export interface WatermarkColumns {
  readonly column: Column;
  readonly tieBreak?: Column;
}

/**
 * The highest value (and its tie-break) among the rows that a query gives now; undefined when there are none.
 *
 * @param asFound take values as they are, for queries that compare with `$watermark` themselves
 */
export async function highestWatermark(
  session: DatabaseSession,
  query: BoundQuery,
  columns: WatermarkColumns,
  { asFound }: { readonly asFound: boolean },
): Promise<StoredWatermark | undefined> {
  const { dialect } = session;
  const highest = highestStatement(dialect, query, columns, asFound);
  const [row] = await session.rows<{ high: SqlValue }>(highest.sql, highest.params);
  if (row === undefined || row.high === null) return undefined;
  const value = String(row.high);
  const tied = tieStatement(dialect, query, columns, asFound, value);
  if (tied === undefined) return { value };
  const [top] = await session.rows<{ tie: SqlValue }>(tied.sql, tied.params);
  return top === undefined || top.tie === null ? { value } : { value, tie: String(top.tie) };
}

/** What {@link highestWatermark} asks, for previews. */
export function watermarkStatements(
  dialect: Dialect,
  query: BoundQuery,
  columns: WatermarkColumns,
  { asFound }: { readonly asFound: boolean },
): readonly Statement[] {
  const tied = tieStatement(dialect, query, columns, asFound, "");
  return [highestStatement(dialect, query, columns, asFound), ...tied === undefined ? [] : [tied]];
}

function highestStatement(
  dialect: Dialect,
  query: BoundQuery,
  { column }: WatermarkColumns,
  asFound: boolean,
): Statement {
  const bind = new Binder(dialect);
  const name = watermarkValue(dialect, column, asFound);
  const sql = `SELECT max(${name}) AS high FROM (${bind.query(query)}\n) AS q`;
  return { sql, params: bind.params };
}

/** The highest tie-break among the rows of a value. */
function tieStatement(
  dialect: Dialect,
  query: BoundQuery,
  { column, tieBreak }: WatermarkColumns,
  asFound: boolean,
  value: string,
): Statement | undefined {
  if (tieBreak === undefined) return undefined;
  const bind = new Binder(dialect);
  const name = watermarkValue(dialect, column, asFound);
  const sql = `SELECT max(${dialect.quote(tieBreak.name)}) AS tie FROM (${
    bind.query(query)
  }\n) AS q WHERE ${name} = ${bind.value(value, column.type)}`;
  return { sql, params: bind.params };
}

function watermarkValue(dialect: Dialect, column: Column, asFound: boolean): string {
  return asFound ? dialect.quote(column.name) : sortableColumn(dialect, column);
}

/** The query without the rows above the highest watermark (without any, when there is none): those that the next run reads. */
export function limitedTo(
  dialect: Dialect,
  query: BoundQuery,
  { column, tieBreak }: WatermarkColumns,
  highest: StoredWatermark | undefined,
): BoundQuery {
  const name = sortableColumn(dialect, column);
  const inner = query.where;
  return {
    ...query,
    where: (bind) => {
      const first = inner === undefined ? "" : `(${inner(bind)}) AND `;
      const upTo = highest === undefined ? "" : ` OR ${below(bind, highest)}`;
      return `${first}(${name} IS NULL${upTo})`;
    },
  };

  function below(bind: Binder, { value, tie }: StoredWatermark): string {
    if (tieBreak === undefined || tie === undefined) {
      return `${name} <= ${bind.value(value, column.type)}`;
    }
    const tieName = dialect.quote(tieBreak.name);
    return `${name} < ${bind.value(value, column.type)} OR (${name} = ` +
      `${bind.value(value, column.type)} AND (${tieName} IS NULL OR ${tieName} <= ` +
      `${bind.value(tie, tieBreak.type)}))`;
  }
}
