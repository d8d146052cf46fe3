import type { TableRef } from "../core/connector.ts";
import type { Dialect } from "../core/database.ts";
import { appendStatement } from "./append.ts";
import { Binder, type BoundQuery, type Statement } from "./binder.ts";
import type { LoadContext, ResolvedTarget } from "./load_context.ts";
import type { LoadSessions, PreparedLoad } from "./prepare_load.ts";
import { type ProjectedColumn, projection } from "./projection.ts";
import { limitedTo, type StoredWatermark } from "./watermark.ts";

/** Rows of another database, which come by the bulk way of the target's. */
export interface BulkLoad {
  readonly bulk: BoundQuery;
  /** Of the table or stage, as SQL takes it. */
  readonly into: string;
}

/** A stage and what fills it. */
export interface StagePlan {
  readonly create: string;
  readonly fill: Statement | BulkLoad;
  /** Tells the planner of the database about it, where that is needed. */
  readonly refresh: string | undefined;
}

/** How rows come into the target. Decided once: a run executes it, a preview prints it. */
export type LoadPlan =
  | {
    readonly by: "append";
    /** Set where the query reads the table that is emptied. */
    readonly stage: StagePlan | undefined;
    /** Empties the table before. */
    readonly empty: string | undefined;
    readonly insert: Statement | BulkLoad;
  }
  | {
    readonly by: "merge" | "scd2";
    /** Undefined where the query itself can stand in every statement. */
    readonly stage: StagePlan | undefined;
    readonly context: LoadContext;
  };

/** Which run it is. */
export interface LoadIdentity {
  /** UUID of the run; stages are called by its beginning, since sessions may be shared, and stages live as long as they do. */
  readonly batchId: string;
  readonly startedMicros: bigint;
}

/** The query that is loaded, when the highest watermark among its rows was `highest`. */
export function loadedQuery(
  { query, watermark }: PreparedLoad,
  { from, to }: LoadSessions,
  highest: StoredWatermark | undefined,
): BoundQuery {
  // Where a writing statement may see rows that the reading one did not, they wait for the next run.
  const isMoving = from === to && !from.dialect.stableReads;
  return watermark !== undefined && isMoving
    ? limitedTo(from.dialect, query, watermark, highest)
    : query;
}

/** Decides how the rows of a query come into the target by its mode. */
export function planLoad(
  prepared: PreparedLoad,
  query: BoundQuery,
  { from, to }: LoadSessions,
  { batchId, startedMicros }: LoadIdentity,
): LoadPlan {
  const { target, pairs } = prepared;
  const { dialect } = to;
  const { mode } = target.spec;
  const isSameDatabase = from === to;
  const isKeyless = mode === "incremental" && target.keys.length === 0;
  let stages = 0;
  const newStage = () => `flow_stage_${batchId.slice(0, 8)}_${stages += 1}`;
  const inside = isSameDatabase ? projected(prepared, query, dialect) : undefined;
  const readsTarget = mentionsTable(query.text, target.spec.table.ref);
  if (mode === "append" || mode === "truncate" || isKeyless) {
    const empty = mode === "truncate" ? dialect.emptyTable(target.table) : undefined;
    const appended = { target, query, pairs, batchId, startedMicros };
    if (inside === undefined) {
      return { by: "append", stage: undefined, empty, insert: { bulk: query, into: target.table } };
    }
    if (empty === undefined || !readsTarget) {
      const insert = appendStatement(dialect, appended);
      return { by: "append", stage: undefined, empty, insert };
    }
    const { stage, relation } = staged(newStage(), []);
    const rows = { text: `SELECT * FROM ${relation}`, values: {} };
    const insert = appendStatement(dialect, { ...appended, query: rows, pairs: asStaged(target) });
    return { by: "append", stage, empty, insert };
  }
  const by = mode === "scd2" ? "scd2" : "merge";
  const context = { session: to, target, batchId, startedMicros, newStage };
  const isStable = dialect.stableReads && !readsTarget;
  if (inside !== undefined && isStable && inside.params.length === 0) {
    return { by, stage: undefined, context: { ...context, relation: `(${inside.sql})` } };
  }
  const { stage, relation } = staged(newStage(), target.keys);
  return { by, stage, context: { ...context, relation } };

  function staged(name: string, keys: readonly string[]) {
    const relation = dialect.stageName(name);
    const columns = target.columns.map((column) => dialect.quote(column.name)).join(", ");
    const stage: StagePlan = {
      create: dialect.createStage(name, target.columns, keys),
      fill: inside === undefined
        ? { bulk: query, into: relation }
        : { ...inside, sql: `INSERT INTO ${relation} (${columns}) ${inside.sql}` },
      refresh: dialect.refreshStatistics?.(relation),
    };
    return { stage, relation };
  }
}

/**
 * True when the text has the name of the table as a word, whatever its case, and not behind the name of another schema. What only looks like it costs a
 * stage; a query that reads the table while its rows change would lose rows.
 */
function mentionsTable(text: string, { schema, name }: TableRef): boolean {
  const word = `(?<![\\p{L}\\p{N}_])${RegExp.escape(name)}(?![\\p{L}\\p{N}_])`;
  const qualified = new RegExp(`(?:([\\p{L}\\p{N}_$]+)["\`]?\\s*\\.\\s*["\`]?)?${word}`, "giu");
  return [...text.matchAll(qualified)].some(([, qualifier]) =>
    qualifier === undefined || schema === undefined ||
    qualifier.toLowerCase() === schema.toLowerCase()
  );
}

/** Rows of a stage have the target's types already. */
function asStaged({ columns }: ResolvedTarget): readonly ProjectedColumn[] {
  return columns.map((column) => ({
    from: column,
    to: { ...column, nullable: true, normalizers: [] },
  }));
}

/** The query with the target's columns, for statements within its database. */
function projected({ pairs }: PreparedLoad, query: BoundQuery, dialect: Dialect): Statement {
  const bind = new Binder(dialect);
  return { sql: projection(dialect, pairs, `(${bind.query(query)}\n)`), params: bind.params };
}
