import type { PipelinePreview, TargetPreview } from "../core/batch_request.ts";
import type { BatchConnection, BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import type { Dialect } from "../core/database.ts";
import { toFlowError } from "../core/error.ts";
import type { TargetOutcome } from "../core/run_log.ts";
import { appendStatement } from "./append.ts";
import { Binder } from "./binder.ts";
import type { BatchDependencies } from "./dependencies.ts";
import type { LoadContext } from "./load_context.ts";
import { deleteStatement, insertStatement, updateStatement, upsertStatement } from "./merge.ts";
import { type LoadSessions, type PreparedLoad, prepareLoad } from "./prepare_load.ts";
import { projection } from "./projection.ts";
import { censusSql } from "./row_keys.ts";
import { runTarget, withSessions } from "./run_target.ts";
import { scd2Statements } from "./scd2.ts";
import { sourceText } from "./source_query.ts";
import { augmentedColumns, shownTable } from "./target_table.ts";

/**
 * Tells what a run would do: columns, keys, path and statements. A dry run also does it, in transactions that are rolled back.
 * What is wrong with one target stands in its `error`.
 */
export async function previewPipeline(
  spec: BatchSpec,
  deps: BatchDependencies,
  options: { readonly dryRun: boolean },
): Promise<PipelinePreview> {
  const notes = new Set<string>();
  const targets: TargetPreview[] = [];
  for (const target of spec.targets) {
    targets.push(await previewTarget(spec, target, deps, options, notes));
  }
  const { dialect } = deps.openDatabase(spec.sourceConnection);
  const [first] = spec.targets;
  return {
    pipeline: spec.name,
    ...(spec.schedule === undefined ? {} : { schedule: spec.schedule.cron }),
    source: {
      connection: nameOf(spec.sourceConnection),
      shown: spec.sourceConnection.shown,
      sql: first === undefined ? "" : sourceText(spec, first, dialect),
    },
    targets,
    isDryRun: options.dryRun,
    notes: [...notes],
  };
}

async function previewTarget(
  spec: BatchSpec,
  target: BatchTarget,
  deps: BatchDependencies,
  { dryRun }: { readonly dryRun: boolean },
  notes: Set<string>,
): Promise<TargetPreview> {
  const base = {
    target: shownTable(target.table.ref),
    connection: nameOf(target.connection),
    shown: target.connection.shown,
    mode: target.mode,
    declaredColumns: target.table.columns.map(({ name, type }) => ({ name, type })),
    augmentedColumns: augmentedColumns(target.mode).map(({ name }) => name),
  };
  const path = pathOf(spec, target, deps);
  let known: TargetPreview = {
    ...base,
    path,
    pathReason: PATH_REASONS[path],
    keys: [],
    keysReason: "not known",
    compareColumns: [],
    compareColumnsReason: "not known",
    planSql: [],
  };
  try {
    known = await withSessions(spec, target, deps, "look", async (sessions) => {
      const prepared = await prepareLoad(spec, target, sessions);
      for (const notice of prepared.notices) notes.add(notice);
      return {
        ...base,
        path,
        pathReason: PATH_REASONS[path],
        keys: prepared.target.keys,
        keysReason: prepared.keysReason,
        compareColumns: prepared.target.valueColumns,
        compareColumnsReason: prepared.valuesReason,
        planSql: planStatements(spec, prepared, sessions, path),
      };
    });
    if (!dryRun) return known;
    const { outcome } = await runTarget(spec, target, deps, { dryRun: true });
    return { ...known, outcome };
  } catch (thrown) {
    if (deps.signal.aborted) throw thrown;
    return { ...known, error: toFlowError(thrown).toData() };
  }
}

const PATH_REASONS: Readonly<Record<TargetOutcome["path"], string>> = {
  same_db: "source and target are one database",
  cross_db: "source and target are two databases",
};

function pathOf(
  spec: BatchSpec,
  target: BatchTarget,
  deps: BatchDependencies,
): TargetOutcome["path"] {
  const from = deps.openDatabase(spec.sourceConnection);
  const to = deps.openDatabase(target.connection);
  return from.identity === to.identity ? "same_db" : "cross_db";
}

/** The statements of a load in their order, with the placeholders of their values. */
function planStatements(
  spec: BatchSpec,
  prepared: PreparedLoad,
  { from, to }: LoadSessions,
  path: TargetOutcome["path"],
): readonly string[] {
  const { target } = prepared;
  const { mode } = target.spec;
  const direct = mode === "append" || mode === "truncate" || target.keys.length === 0;
  return [
    ...prepared.plan.ddl,
    ...spec.sqlBefore,
    ...(direct
      ? directStatements(prepared, from.dialect, to.dialect, path)
      : stagedStatements(prepared, { from, to }, path)),
    ...spec.sqlAfter,
  ];
}

function directStatements(
  { target, query, pairs }: PreparedLoad,
  from: Dialect,
  to: Dialect,
  path: TargetOutcome["path"],
): readonly string[] {
  const load = path === "same_db"
    ? appendStatement(to, { target, query, pairs, batchId: "", startedMicros: 0n }).sql
    : bulkLoad(from, query, target.table);
  return [...(target.spec.mode === "truncate" ? [to.emptyTable(target.table)] : []), load];
}

function stagedStatements(
  prepared: PreparedLoad,
  { from, to }: LoadSessions,
  path: TargetOutcome["path"],
): readonly string[] {
  const { dialect } = to;
  const { target, query, pairs } = prepared;
  const bind = new Binder(dialect);
  const select = projection(dialect, pairs, `(${bind.query(query)}\n)`);
  const inPlace = path === "same_db" && dialect.stableReads && bind.params.length === 0;
  const stage = dialect.stageName("flow_stage_1");
  const filled = path === "same_db"
    ? `INSERT INTO ${stage} ${select}`
    : bulkLoad(from.dialect, query, stage);
  let stages = 1;
  const context: LoadContext = {
    session: to,
    target,
    relation: inPlace ? `(${select})` : stage,
    batchId: "",
    startedMicros: 0n,
    newStage: () => `flow_stage_${stages += 1}`,
  };
  const staging = inPlace
    ? []
    : [dialect.createStage("flow_stage_1", target.columns, target.keys), filled];
  if (target.spec.mode === "scd2") {
    return [
      ...staging,
      ...scd2Statements(context, {}).map(({ sql }) => sql),
    ];
  }
  const upsert = upsertStatement(context);
  const update = updateStatement(context);
  return [
    ...staging,
    censusSql(context),
    ...(upsert !== undefined
      ? [upsert.sql]
      : [...(update === undefined ? [] : [update.sql]), insertStatement(context).sql]),
    ...(target.spec.handleDeletes === "hard" ? [deleteStatement(context).sql] : []),
  ];
}

function bulkLoad(dialect: Dialect, query: PreparedLoad["query"], into: string): string {
  return `-- rows of this query are loaded into ${into} in bulk\n${
    new Binder(dialect).query(query)
  }`;
}

function nameOf(connection: BatchConnection): string {
  return connection.name ?? connection.kind;
}
