import { resolveKeys } from "../config/resolve_keys.ts";
import type { BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import type { DatabaseSession, DatabaseTable, Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { Column, TargetColumn } from "../core/schema.ts";
import type { DeclaredColumn } from "../core/table_spec.ts";
import { duckdbDialect } from "../sql/dialect.ts";
import { type BoundQuery, boundStatement } from "./binder.ts";
import { ColumnNames } from "./column_names.ts";
import type { ResolvedTarget } from "./load_context.ts";
import { metadataRef } from "./metadata.ts";
import { namedColumns } from "./named_columns.ts";
import { pairColumns, type ProjectedColumn } from "./projection.ts";
import {
  describableQuery,
  keepsWatermark,
  runQuery,
  sourceText,
  watermarkColumns,
} from "./source_query.ts";
import { isNumberType } from "./type_relation.ts";
import { augmentedColumns, planTable, shownTable, type TablePlan } from "./target_table.ts";
import { passesDirectly } from "./transfer.ts";
import { refuseEndingStatements } from "./user_statements.ts";
import { readWatermark, type WatermarkColumns } from "./watermark.ts";

/** Two sessions of one load; the same one when source and target are one database. */
export interface LoadSessions {
  readonly from: DatabaseSession;
  readonly to: DatabaseSession;
}

/** Everything that is known of a load before the first row moves. */
export interface PreparedLoad {
  readonly query: BoundQuery;
  /** The query as its author wrote it. */
  readonly text: string;
  /** What the query gives. */
  readonly queryColumns: readonly Column[];
  readonly pairs: readonly ProjectedColumn[];
  readonly target: ResolvedTarget;
  readonly keysReason: string;
  readonly valuesReason: string;
  readonly table: DatabaseTable | undefined;
  readonly plan: TablePlan;
  /** Set for loads that keep a watermark. */
  readonly watermark?: WatermarkColumns;
  readonly notices: readonly string[];
}

/** The name under which a target's history and watermark are kept: the pipeline's, with the table's added when there are several targets. */
export function loadName(spec: BatchSpec, target: BatchTarget): string {
  return spec.targets.length === 1 ? spec.name : `${spec.name}::${shownTable(target.table.ref)}`;
}

/**
 * Finds out what a load will do, and whether it can. Writes nothing.
 *
 * @throws FlowError `transaction_ended`, `query_invalid`, `query_column_missing`, `schema_drift`, `target_table_missing` and others
 */
export async function prepareLoad(
  spec: BatchSpec,
  given: BatchTarget,
  { from, to }: LoadSessions,
): Promise<PreparedLoad> {
  refuseEndingStatements(spec, to.dialect);
  const notices: string[] = [];
  const text = sourceText(spec, given, from.dialect);
  const { sql, params } = boundStatement(from.dialect, describableQuery(spec, text));
  const queryColumns = await from.describe(sql, params);
  refuseSameNames(spec.name, queryColumns, { from, to });
  const table = await to.table(given.table.ref);
  const declared = declaredColumns(
    given,
    givenColumns(given, queryColumns).map((column) => knownThere(column, { from, to })),
    new ColumnNames(to.dialect, table?.columns ?? []),
  );
  const target = namedColumns(spec.name, given, declared, to.dialect);
  const { pairs, ignored } = pairColumns(spec.name, declared, queryColumns);
  if (ignored.length > 0) {
    const reason = target.table.columns.length > 0
      ? "that the table does not declare"
      : "that flow fills itself";
    notices.push(`columns of the query ${reason} are left out: ${ignored.join(", ")}`);
  }
  if (table === undefined && target.table.columns.length === 0) {
    notices.push(...textNotices(queryColumns, declared, to.dialect.kind));
  }
  const resolved = resolveKeys(target);
  const needsKeys = target.mode === "merge" || target.mode === "scd2" ||
    target.mode === "incremental";
  const keys = needsKeys ? resolved.keys : [];
  if (needsKeys && resolved.warning !== undefined) {
    notices.push(`pipeline '${spec.name}': ${resolved.warning}`);
  }
  const plan = planTable(to.dialect, target, declared, keys, table);
  notices.push(...plan.notices);
  const written = pairs.filter(({ to: { name } }) => !plan.skipped.includes(name));
  const values = valueColumns(target, written, keys);
  return {
    query: runQuery(spec, target, from.dialect, text, queryColumns, undefined),
    text,
    queryColumns,
    pairs: written,
    target: {
      spec: target,
      table: to.dialect.tableName(target.table.ref),
      columns: written.map(({ to: { name, type, ownType } }) => ({
        name,
        type,
        ...(ownType === undefined ? {} : { ownType }),
      })),
      keys,
      keysAreUnique: hasUniqueKey(to.dialect, target, keys, table),
      valueColumns: values.names,
    },
    keysReason: needsKeys ? resolved.reason : `mode ${target.mode} needs none`,
    valuesReason: values.reason,
    table,
    plan,
    ...await watermarkPart(),
    notices,
  };

  async function watermarkPart() {
    if (!keepsWatermark(text, target, from.dialect)) return {};
    const watermark = watermarkColumns(spec, target, queryColumns);
    const kept = await to.table(metadataRef(to.dialect, "watermarks"));
    const before = kept === undefined
      ? undefined
      : await readWatermark(to, loadName(spec, target), watermark.column.name);
    const query = runQuery(spec, target, from.dialect, text, queryColumns, before);
    return { query, watermark };
  }
}

/** @throws FlowError `query_invalid` where the names of two columns are one to a database on the way. */
function refuseSameNames(
  pipeline: string,
  columns: readonly Column[],
  { from, to }: LoadSessions,
): void {
  const onTheWay = from === to || passesDirectly(from, to) ? [] : [duckdbDialect];
  for (const dialect of [from.dialect, to.dialect, ...onTheWay]) {
    const seen = new Set<string>();
    for (const { name } of columns) {
      const known = dialect.foldName(name);
      if (seen.has(known)) {
        throw new FlowError(
          `the query of pipeline '${pipeline}' gives two columns of the name "${name}"`,
          {
            code: "query_invalid",
            domain: "user",
            hint: `give each a name of its own: … AS ${
              name === "?column?" ? "first" : `${name}_2`
            }`,
            details: { pipeline, column: name },
          },
        );
      }
      seen.add(known);
    }
  }
}

/** The declared columns; without any, the query's, with the types that the table has already. */
function declaredColumns(
  target: BatchTarget,
  query: readonly Column[],
  inTable: ColumnNames<TargetColumn>,
): readonly DeclaredColumn[] {
  if (target.table.columns.length > 0) {
    return target.table.columns.map((column) => {
      const ownType = column.type === "VARCHAR" ? inTable.get(column.name)?.ownType : undefined;
      return ownType === undefined ? column : { ...column, ownType };
    });
  }
  const keys = new Set([...target.keys, ...target.table.primaryKey]);
  return query.map((column) => {
    const { name } = column;
    const there = inTable.get(name);
    const { type, ownType } = there ?? column;
    return {
      name,
      type,
      ...(ownType === undefined ? {} : { ownType }),
      nullable: there?.nullable ?? !keys.has(name),
      normalizers: [],
      ...(there?.maxLength === undefined ? {} : { maxLength: there.maxLength }),
    };
  });
}

/** Numbers that come to lie as texts in a table that the run makes: nothing of them is lost, but it is not what their users expect. */
function textNotices(
  query: readonly Column[],
  made: readonly DeclaredColumn[],
  kind: string,
): readonly string[] {
  return query.filter(({ name, ownType }) =>
    isNumberType(ownType) &&
    made.some((column) => column.name === name && column.ownType === undefined)
  ).map(({ name, ownType }) =>
    `column \`${name}\` is ${ownType?.name}, which ${kind} has no type for that holds every digit: the table is made with text; ` +
    "declare the column, or cast it in the query, such as to numeric(38, 10)"
  );
}

/** The query's columns without those that flow fills itself: a query of all columns of a table that flow made has them, too. */
function givenColumns(target: BatchTarget, query: readonly Column[]): readonly Column[] {
  const own = new Set(augmentedColumns(target.mode).map(({ name }) => name));
  return query.filter(({ name }) => !own.has(name.toLowerCase()));
}

/** The column with a type that the target's database has: without one of another database's own, and with documents for values made of others. */
function knownThere(column: Column, { from, to }: LoadSessions): Column {
  const { name, type, ownType } = column;
  const isSameKind = from.dialect === to.dialect;
  if (from === to || (isSameKind && ownType?.isLocal !== true)) return column;
  return { name, type: isSameKind ? type : to.dialect.keptType(type) };
}

/** A table that is made by the run gets an index over its keys. */
function hasUniqueKey(
  dialect: Dialect,
  { mode }: BatchTarget,
  keys: readonly string[],
  table: DatabaseTable | undefined,
): boolean {
  if (mode === "scd2" || keys.length === 0) return false;
  if (table === undefined) return true;
  const wanted = new Set(keys.map(dialect.foldName));
  return table.takesUpserts !== false &&
    table.uniqueKeys.some((group) =>
      group.length === wanted.size && group.every((name) => wanted.has(dialect.foldName(name)))
    );
}

/** merge: what is updated; scd2: what makes a new version. */
function valueColumns(
  { mode, compareColumns, updateColumns, eventTimestampColumn }: BatchTarget,
  pairs: readonly ProjectedColumn[],
  keys: readonly string[],
): { readonly names: readonly string[]; readonly reason: string } {
  const names = pairs.map(({ to }) => to.name).filter((name) => !keys.includes(name));
  if (mode === "scd2") {
    return compareColumns.length > 0
      ? { names: compareColumns, reason: "given as compareColumns" }
      : {
        names: names.filter((name) => name !== eventTimestampColumn),
        reason: "all columns but the keys and the event timestamp",
      };
  }
  if (mode !== "merge" && mode !== "incremental") {
    return { names: [], reason: `mode ${mode} needs none` };
  }
  return updateColumns.length > 0
    ? { names: updateColumns, reason: "given as updateColumns" }
    : { names, reason: "all columns but the keys" };
}
