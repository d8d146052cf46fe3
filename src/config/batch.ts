import type { BatchConnection, BatchSource, BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import { batchConnection, DEFAULT_CONNECTION } from "./batch_connection.ts";
import { declaredPipeline, type PipelineShape, RETRY_DEFAULTS } from "./batch_schema.ts";
import { parameterValues } from "./batch_parameters.ts";
import { type RawTarget, rawTargets, resolvedTarget } from "./batch_target.ts";
import { addNameProblem } from "./declared_table.ts";
import type { ResolveContext } from "./endpoint.ts";
import { snakeName } from "./key_names.ts";
import { tableForm } from "./pipeline_schema.ts";
import { keyName, type KeyPath, type Place } from "./problem.ts";
import { restoreDataKeys } from "./schema_shape.ts";
import { scheduleProblem, timezoneProblem } from "./schedule_check.ts";
import { validate, validPart } from "./validate.ts";

/** A declared pipeline as it was written, not validated yet. */
export interface RawBatch {
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
  readonly place: Place;
}

/** The tables that a file declares, by the names that its pipelines use. */
export interface TableSet {
  readonly place: Place;
  readonly tables: Readonly<Record<string, unknown>>;
}

/** What resolving a declared pipeline needs besides its own definition. */
export interface BatchContext extends ResolveContext {
  /** Absent in modules, whose pipelines hold their tables themselves. */
  readonly tables?: TableSet | undefined;
}

/**
 * Validates a declared pipeline and resolves its connections. `undefined` after adding everything that is wrong with it to the
 * context's problems.
 */
export async function batchSpec(
  pipeline: RawBatch,
  context: BatchContext,
): Promise<BatchSpec | undefined> {
  const { problems } = context;
  const before = problems.count;
  const value = givenForm(pipeline);
  const shape = pipelineShape(pipeline, value, context);
  // Targets are looked into even when other keys are wrong, so that all problems are told at once.
  const known = shape ?? validPart(declaredPipeline.entries, value);
  const raws = rawTargets({ pipeline, value, shape: known, context });
  const { place } = pipeline;
  const connections: (BatchConnection | undefined)[] = [];
  for (const raw of raws) connections.push(await connectionOf(raw, known, place, context));
  const sourceConnection = await sourceOf(known, place, connections, context);
  const kind = sourceConnection?.kind;
  const targets = raws.map((raw, index) =>
    resolvedTarget(raw, { connection: connections[index], sourceKind: kind, problems })
  ).filter((target) => target !== undefined);
  if (value["source"] === undefined && value["source_table"] === undefined) {
    addNoSource(place, context);
  }
  checkSource(place, known, targets, context);
  const parameters = parameterValues(known, {
    place,
    problems,
    kind,
    given: value,
  });
  checkSchedule(place, known, context);
  checkUpstreams(place, known, context);
  if (problems.count > before || shape === undefined) return undefined;
  if (sourceConnection === undefined) throw new Error("a pipeline without problems has a source");
  const timezone = shape.timezone ?? "UTC";
  const retry = shape.retry ?? RETRY_DEFAULTS;
  const { schedule: cron, upstream_freshness_seconds: freshness } = shape;
  return {
    name: shape.name,
    origin: place.locate([]),
    sourceConnection,
    source: batchSource(shape),
    targets,
    parameters,
    sqlBefore: statements(shape.sql_before),
    sqlAfter: statements(shape.sql_after),
    ...(cron === undefined ? {} : { schedule: { cron: cron.trim(), timezone } }),
    timezone,
    dependsOn: shape.depends_on ?? [],
    ...(freshness === undefined ? {} : { upstreamFreshnessSeconds: freshness }),
    retry: {
      maxAttempts: retry.max_attempts,
      backoffSeconds: retry.backoff_seconds,
      backoffFactor: retry.backoff_factor,
    },
    continueOnFailure: shape.continue_on_failure ?? false,
  };
}

/** The definition with its user's own names as they are written, and tables in one form. */
function givenForm({ name, value, place }: RawBatch): Readonly<Record<string, unknown>> {
  const given: Record<string, unknown> = { ...value };
  if (value["source_table"] !== undefined) given["source_table"] = tableForm(value["source_table"]);
  if (place.spelling === "toml") return given;
  for (const key of ["parameters", "column_map"] as const) {
    if (value[key] === undefined) continue;
    given[key] = restoreDataKeys(declaredPipeline.entries[key], value[key]);
  }
  return { ...given, name };
}

function pipelineShape(
  { place }: RawBatch,
  value: Readonly<Record<string, unknown>>,
  { problems }: ResolveContext,
): PipelineShape | undefined {
  return validate(declaredPipeline, value, {
    problems,
    locate: (path) => ({ place, path: dataPath(path, place) }),
  });
}

/** Names of parameters and columns are the user's own data: messages show them as they are written. */
function dataPath(path: KeyPath, place: Place): KeyPath {
  const [key, name, ...rest] = path;
  const isData = key === "parameters" || key === "column_map";
  if (place.spelling === "toml" || !isData || typeof name !== "string") return path;
  return [key, snakeName(name), ...rest];
}

async function connectionOf(
  raw: RawTarget,
  shape: Partial<PipelineShape>,
  place: Place,
  context: BatchContext,
): Promise<BatchConnection | undefined> {
  const given = raw.connection ?? shape.target_connection;
  const path = raw.connection === undefined ? ["target_connection"] : [...raw.path, "connection"];
  return await batchConnection({
    value: given ?? DEFAULT_CONNECTION,
    place,
    path,
    isDefault: given === undefined,
  }, context);
}

/** The connection that is given, or that of the targets, `undefined` standing for one with problems. */
async function sourceOf(
  shape: Partial<PipelineShape>,
  place: Place,
  targets: readonly (BatchConnection | undefined)[],
  context: BatchContext,
): Promise<BatchConnection | undefined> {
  const { source_connection: value } = shape;
  if (value !== undefined) {
    return await batchConnection({ value, place, path: ["source_connection"] }, context);
  }
  const known = targets.filter((connection) => connection !== undefined);
  const [first, ...others] = known;
  const isOne = others.every((connection) => isSame(connection, first));
  if (!isOne && known.length === targets.length) {
    const key = keyName("source_connection", place.spelling);
    const message = "the targets have different connections: which of them is the source's?";
    context.problems.add(place, [], message, `give ${key}`);
  }
  return first;
}

function isSame(one: BatchConnection, other: BatchConnection | undefined): boolean {
  return one.name === other?.name && one.kind === other?.kind && one.shown === other.shown;
}

function batchSource(shape: PipelineShape): BatchSource {
  const { source, source_table: table, column_map: columnMap = {} } = shape;
  if (table === undefined) return { by: "query", sql: source ?? "" };
  const { schema, name } = table;
  return { by: "table", table: { name, ...(schema === undefined ? {} : { schema }) }, columnMap };
}

function addNoSource(place: Place, { problems }: ResolveContext): void {
  const [query, table] = ["source", "source_table"].map((name) => keyName(name, place.spelling));
  problems.add(
    place,
    [],
    `nothing says where rows come from: neither ${query} nor ${table}`,
    `give ${query} with a query, or ${table}`,
  );
}

function checkSource(
  place: Place,
  { source, source_table: table, column_map: columnMap }: Partial<PipelineShape>,
  targets: readonly BatchTarget[],
  { problems }: ResolveContext,
): void {
  const key = (name: string) => keyName(name, place.spelling);
  if (source !== undefined && table !== undefined) {
    const message = `${key("source")} is given too, and rows come from one of them`;
    problems.add(place, ["source_table"], message, "give one of them");
  }
  if (columnMap === undefined) return;
  if (table === undefined) {
    const message = `only applies with ${key("source_table")}`;
    problems.add(place, ["column_map"], message, "a query names its columns with AS");
  }
  for (const column of Object.keys(columnMap)) {
    for (const target of targets) {
      const path = dataPath(["column_map", column], place);
      addNameProblem(column, target.table.columns, { problems, place, path });
    }
  }
}

function checkSchedule(
  place: Place,
  { schedule, timezone }: Partial<PipelineShape>,
  { problems }: ResolveContext,
): void {
  const cron = schedule === undefined ? undefined : scheduleProblem(schedule);
  if (cron !== undefined) problems.add(place, ["schedule"], cron.message, cron.hint);
  const zone = timezone === undefined ? undefined : timezoneProblem(timezone);
  if (zone !== undefined) problems.add(place, ["timezone"], zone.message, zone.hint);
}

function checkUpstreams(
  place: Place,
  { depends_on: upstreams = [], upstream_freshness_seconds: freshness }: Partial<PipelineShape>,
  { problems }: ResolveContext,
): void {
  upstreams.forEach((name, index) => {
    if (upstreams.indexOf(name) === index) return;
    problems.add(place, ["depends_on", index], `'${name}' is given twice`);
  });
  if (freshness === undefined || upstreams.length > 0) return;
  const message = `only applies with ${keyName("depends_on", place.spelling)}`;
  problems.add(place, ["upstream_freshness_seconds"], message);
}

function statements(given: string | readonly string[] | undefined): readonly string[] {
  return given === undefined ? [] : typeof given === "string" ? [given] : given;
}
