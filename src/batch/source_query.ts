import { findParameters } from "../config/sql_parameters.ts";
import type { BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import type { Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { Column } from "../core/schema.ts";
import type { Binder, BoundQuery, BoundValue } from "./binder.ts";
import { missingColumnHint } from "./named_columns.ts";
import { isNumberType } from "./type_relation.ts";
import { sortableColumn, type StoredWatermark, type WatermarkColumns } from "./watermark.ts";

/** The parameter that stands for the highest value that earlier runs have read. */
export const WATERMARK = "watermark";

/** The source's query as the definition gives it: its SQL, or a selection of its table with the mapped names. */
export function sourceText(spec: BatchSpec, target: BatchTarget, dialect: Dialect): string {
  const { source } = spec;
  if (source.by === "query") return source.sql.replace(/(\s|;)+$/, "");
  const from = dialect.tableName(source.table);
  const mapped = Object.entries(source.columnMap);
  if (mapped.length === 0) return `SELECT * FROM ${from}`;
  const declared = target.table.columns.map(({ name }) => name);
  const names = declared.length > 0 ? declared : mapped.map(([name]) => name);
  const selected = names.map((name) => {
    const read = source.columnMap[name] ?? name;
    return `${dialect.quote(read)} AS ${dialect.quote(name)}`;
  });
  return `SELECT ${selected.join(", ")} FROM ${from}`;
}

/** True when the query names `$watermark`. */
export function namesWatermark(text: string, dialect: Dialect): boolean {
  return findParameters(text, dialect.kind).some(({ name }) => name === WATERMARK);
}

/** True when runs of the target keep a watermark. */
export function keepsWatermark(text: string, target: BatchTarget, dialect: Dialect): boolean {
  return target.mode === "incremental" || namesWatermark(text, dialect);
}

/** The query with the user's own parameters, and NULL for `$watermark`: good for finding out its columns. */
export function describableQuery(spec: BatchSpec, text: string): BoundQuery {
  return { text, values: { ...userValues(spec), [WATERMARK]: { value: null } } };
}

/**
 * The query that one run reads: bound to the watermark, and under mode incremental limited to the rows above it (ties and late commits
 * included, as the definition says). On a first run everything is read.
 *
 * @throws FlowError `incremental_column_missing` when the query does not give the column.
 */
export function runQuery(
  spec: BatchSpec,
  target: BatchTarget,
  dialect: Dialect,
  text: string,
  columns: readonly Column[],
  watermark: StoredWatermark | undefined,
): BoundQuery {
  const values: Record<string, BoundValue> = { ...userValues(spec) };
  if (!keepsWatermark(text, target, dialect)) return { text, values };
  const { column, tieBreak } = watermarkColumns(spec, target, columns);
  const low = watermark?.value ?? dialect.lowestValue(orderedType(column));
  // Where values have no form of their own, the query compares with the value as it was found.
  values[WATERMARK] = dialect.sortable === undefined
    ? { value: low, type: column.type }
    : { value: low };
  if (target.mode !== "incremental" || watermark === undefined) return { text, values };
  return { text, values, where: (bind) => above(bind, watermark) };

  function above(bind: Binder, { value, tie }: StoredWatermark): string {
    const name = sortableColumn(dialect, column);
    const { overlapSeconds } = target;
    if (tieBreak !== undefined && tie !== undefined) {
      return `${name} > ${bind.value(value, column.type)} OR (${name} = ` +
        `${bind.value(value, column.type)} AND ${dialect.quote(tieBreak.name)} > ` +
        `${bind.value(tie, tieBreak.type)})`;
    }
    const low = bind.value(value, column.type);
    if (overlapSeconds === 0 || !isTime(column.type)) return `${name} >= ${low}`;
    const from = dialect.addSeconds({ sql: low, type: column.type }, `-${overlapSeconds}`);
    return `${name} >= ${from}`;
  }
}

/** The column whose highest value is kept, and under mode incremental the one that orders its ties, where one is given. */
export function watermarkColumns(
  spec: BatchSpec,
  target: BatchTarget,
  columns: readonly Column[],
): WatermarkColumns {
  if (target.incrementalColumn === undefined) {
    throw new FlowError(
      `pipeline '${spec.name}' uses $watermark, but does not say of which column`,
      {
        code: "incremental_column_missing",
        domain: "user",
        hint: "give incrementalColumn, a column of the query that rises with every new row",
      },
    );
  }
  const column = columnNamed(spec, columns, target.incrementalColumn);
  const { tieBreakColumn, mode } = target;
  return mode !== "incremental" || tieBreakColumn === undefined
    ? { column }
    : { column, tieBreak: columnNamed(spec, columns, tieBreakColumn) };
}

function columnNamed(spec: BatchSpec, columns: readonly Column[], name: string): Column {
  const found = columns.find((column) => column.name === name);
  if (found !== undefined) return found;
  throw new FlowError(`the query of pipeline '${spec.name}' gives no column '${name}'`, {
    code: "incremental_column_missing",
    domain: "user",
    hint: missingColumnHint(name, columns),
    details: { pipeline: spec.name, column: name },
  });
}

function userValues(spec: BatchSpec): Record<string, BoundValue> {
  return Object.fromEntries(
    Object.entries(spec.parameters).map(([name, value]) => [name, { value }]),
  );
}

/** Numbers are in the order of numbers, also where the engine has them as texts. */
function orderedType({ type, ownType }: Column): string {
  return isNumberType(ownType) ? ownType.name : type;
}

function isTime(type: string): boolean {
  return /^(TIMESTAMP|DATE)/.test(type);
}
