import type { PipelinePreview, TargetPreview } from "../core/batch_request.ts";
import type { BatchConnection, BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import type { Dialect } from "../core/database.ts";
import { toFlowError } from "../core/error.ts";
import type { TargetOutcome } from "../core/run_log.ts";
import { Binder, type Statement } from "./binder.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { type BulkLoad, loadedQuery, type LoadPlan, planLoad } from "./load_plan.ts";
import { mergeStatements } from "./merge.ts";
import { type LoadSessions, type PreparedLoad, prepareLoad } from "./prepare_load.ts";
import { runTarget, withSessions } from "./run_target.ts";
import { scd2Statements } from "./scd2.ts";
import { sourceText } from "./source_query.ts";
import { augmentedColumns, shownTable } from "./target_table.ts";
import { watermarkStatements } from "./watermark.ts";

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
        planSql: runStatements(spec, prepared, sessions),
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
function runStatements(
  spec: BatchSpec,
  prepared: PreparedLoad,
  sessions: LoadSessions,
): readonly string[] {
  const { watermark, query, target } = prepared;
  const asFound = target.spec.mode !== "incremental";
  // The values are the run's; here are only their places.
  const highest = watermark?.tieBreak === undefined ? { value: "" } : { value: "", tie: "" };
  const plan = planLoad(prepared, loadedQuery(prepared, sessions, highest), sessions, {
    batchId: "preview",
    startedMicros: 0n,
  });
  return [
    ...prepared.plan.ddl,
    ...spec.sqlBefore,
    ...(watermark === undefined
      ? []
      : watermarkStatements(sessions.from.dialect, query, watermark, { asFound })
        .map(({ sql }) => sql)),
    ...planStatements(plan, sessions.from.dialect),
    ...spec.sqlAfter,
  ];
}

function planStatements(plan: LoadPlan, from: Dialect): readonly string[] {
  const loaded = (load: Statement | BulkLoad) => "bulk" in load ? bulkText(load, from) : load.sql;
  const { stage } = plan;
  const staging = stage === undefined
    ? []
    : [stage.create, loaded(stage.fill), ...(stage.refresh === undefined ? [] : [stage.refresh])];
  if (plan.by === "append") {
    return [
      ...staging,
      ...(plan.empty === undefined ? [] : [plan.empty]),
      loaded(plan.insert),
    ];
  }
  const { context } = plan;
  if (plan.by === "scd2") {
    return [...staging, ...scd2Statements(context, {}).map(({ sql }) => sql)];
  }
  const { census, change, remove } = mergeStatements(context);
  const changes = "upsert" in change ? [change.upsert] : [change.update, change.insert];
  return [
    ...staging,
    census,
    ...[...changes, remove].filter((one) => one !== undefined).map(({ sql }) => sql),
  ];
}

function bulkText({ bulk, into }: BulkLoad, dialect: Dialect): string {
  return `-- rows of this query are loaded into ${into} in bulk\n${
    new Binder(dialect).query(bulk)
  }`;
}

function nameOf(connection: BatchConnection): string {
  return connection.name ?? connection.kind;
}
