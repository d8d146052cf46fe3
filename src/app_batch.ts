import { previewPipeline } from "./batch/preview.ts";
import { runPipeline } from "./batch/run_pipeline.ts";
import { RunProgress } from "./batch/run_progress.ts";
import { validatePipeline } from "./batch/validate_pipeline.ts";
import type { BatchDependencies } from "./batch/dependencies.ts";
import { type Definitions, loadDefinitions } from "./config/definitions.ts";
import { readVariable } from "./config/host.ts";
import { connectors } from "./connectors/mod.ts";
import type { BatchRequest, BatchResult, ValidationReport } from "./core/batch_request.ts";
import type { BatchConnection, BatchSpec } from "./core/batch_spec.ts";
import { type Clock, systemClock } from "./core/clock.ts";
import type { Database } from "./core/database.ts";
import { FlowError, toFlowError } from "./core/error.ts";
import type { RunHooks } from "./core/request.ts";
import type { RunLog, RunRecord } from "./core/run_log.ts";
import { runSql } from "./app_sql.ts";
import { asItStands, listAsTheyStand } from "./ops/abandoned_runs.ts";
import { type OpenRunLogContext, openRunLogToRead, openRunLogToRun } from "./ops/open_run_log.ts";
import { type AttemptOutcome, type Execute, runByHand } from "./ops/recorded_run.ts";
import { runDue } from "./ops/run_due.ts";
import { statusRows } from "./ops/status.ts";
import { createEngine } from "./sql/engine.ts";

type Request<Do extends BatchRequest["do"]> = Extract<BatchRequest, { readonly do: Do }>;

/** Runs in which `flow status` looks for pipelines when it is given no definitions. */
const STATUS_RUNS = 10_000;

/**
 * Does what one request about declared pipelines asks for: puts configuration, connectors, engine, batch runs and run log together.
 *
 * @throws FlowError for everything that can be foreseen; a failed run is a result, not an exception.
 */
export async function runBatchRequest(
  request: BatchRequest,
  hooks: RunHooks,
): Promise<BatchResult> {
  switch (request.do) {
    case "list": {
      const definitions = await loadDefinitions(request.input, { connectors });
      definitions.checkOrder();
      return { did: "list", definitions: definitions.listAll() };
    }
    case "run":
      return { did: "run", summary: await run(request, hooks) };
    case "run_due":
      return { did: "run_due", summary: await runDueNow(request, hooks) };
    case "status":
      return { did: "status", rows: await status(request, hooks) };
    case "preview": {
      const definitions = await loadDefinitions(request.input, { connectors });
      const spec = await definitions.batch(request.pipeline);
      tellNotices(definitions, spec.name, hooks);
      const { dryRun } = request;
      const preview = await previewPipeline(spec, dependencies(hooks), { dryRun });
      return { did: "preview", preview };
    }
    case "validate":
      return { did: "validate", reports: await validate(request, hooks) };
    case "runs_list": {
      const { pipeline, status, since, limit } = request;
      const filter = {
        limit,
        ...(pipeline === undefined ? {} : { pipeline }),
        ...(status === undefined ? {} : { status }),
        ...(since === undefined ? {} : { since }),
      };
      return await reading(request, hooks, async (runLog) => ({
        did: "runs_list",
        runs: await listAsTheyStand(runLog, filter, systemClock.now()),
      }));
    }
    case "runs_show":
      return await reading(request, hooks, async (runLog) => ({
        did: "runs_show",
        run: asItStands(await knownRun(runLog, request.runId), systemClock.now()),
      }));
    case "run_lines":
      return await reading(request, hooks, async (runLog) => {
        await knownRun(runLog, request.runId);
        return { did: "run_lines", lines: await runLog.lines(request.runId, request.tail) };
      });
    case "sql": {
      await runSql(request, hooks, await sqlDatabase(request, hooks));
      return { did: "sql" };
    }
  }
}

async function run(request: Request<"run">, hooks: RunHooks) {
  const definitions = await loadDefinitions(request.input, { connectors });
  const spec = await definitions.batch(request.pipeline);
  tellNotices(definitions, spec.name, hooks);
  const { restateFrom } = request;
  const execute = attemptsOf(
    spec,
    dependencies(hooks),
    restateFrom === undefined ? undefined : microsOf(restateFrom),
  );
  const { observe, now: signal } = hooks;
  const runLog = await openRunLogToRun(request.runLog, runLogContext(hooks));
  try {
    return await runByHand(spec, execute, { runLog, clock: systemClock, observe, signal });
  } finally {
    await runLog.close();
  }
}

async function runDueNow(request: Request<"run_due">, hooks: RunHooks) {
  const definitions = await loadDefinitions(request.input, { connectors });
  const { specs, broken } = await readablePipelines(definitions);
  tellNotices(definitions, "flow", hooks);
  const { observe, now: signal } = hooks;
  const runLog = await openRunLogToRun(request.runLog, runLogContext(hooks));
  const executions = new Map<string, Execute>();
  try {
    return await runDue(specs, {
      runLog,
      clock: systemClock,
      observe,
      signal,
      nowMs: request.now === undefined ? systemClock.now() : Date.parse(request.now),
      intervalSeconds: request.intervalSeconds,
      broken,
      execute(spec, attempt) {
        const execute = executions.get(spec.name) ?? attemptsOf(spec, dependencies(hooks));
        executions.set(spec.name, execute);
        return execute(attempt);
      },
    });
  } finally {
    await runLog.close();
  }
}

/** The attempts of one run: a later one goes on where an earlier one failed. */
function attemptsOf(
  spec: BatchSpec,
  deps: BatchDependencies,
  restateFromMicros?: bigint,
): Execute {
  const progress = new RunProgress();
  const { completed } = progress;
  return async (): Promise<AttemptOutcome> => {
    try {
      return await runPipeline(spec, deps, {
        progress,
        ...(restateFromMicros === undefined ? {} : { restateFromMicros }),
      });
    } catch (thrown) {
      if (completed.size === 0 || deps.signal.aborted) throw thrown;
      const runs = [...completed.values()];
      return {
        targets: runs.map(({ outcome }) => outcome),
        notices: [...new Set(runs.flatMap(({ notices }) => notices))],
        error: toFlowError(thrown),
      };
    }
  };
}

/** Every declared pipeline by itself, so that a broken one does not stop the others. */
async function readablePipelines(definitions: Definitions) {
  const specs: BatchSpec[] = [];
  const broken: { readonly name: string; readonly error: FlowError }[] = [];
  for (const name of declaredNames(definitions)) {
    try {
      specs.push(await definitions.batch(name));
    } catch (thrown) {
      broken.push({ name, error: toFlowError(thrown) });
    }
  }
  return { specs, broken };
}

function declaredNames(definitions: Definitions): ReadonlySet<string> {
  const declared = definitions.listAll().filter(({ kind }) => kind === "pipeline");
  return new Set(declared.map(({ name }) => name));
}

async function status(request: Request<"status">, hooks: RunHooks) {
  const definitions = request.input === undefined
    ? undefined
    : await loadDefinitions(request.input, { connectors });
  const declared = await definitions?.batchAll();
  const runLog = await openRunLogToRead(request.runLog, runLogContext(hooks));
  try {
    const context = { runLog, nowMs: systemClock.now() };
    return await statusRows(declared ?? await recordedPipelines(runLog), context);
  } finally {
    await runLog.close();
  }
}

/** The pipelines that have runs, by name; of their definitions nothing is known. */
async function recordedPipelines(runLog: RunLog) {
  const runs = await runLog.list({ limit: STATUS_RUNS });
  const names = [...new Set(runs.map(({ pipeline }) => pipeline))].sort();
  return names.map((name) => ({
    name,
    timezone: "UTC",
    dependsOn: [],
    retry: { maxAttempts: 1, backoffSeconds: 0, backoffFactor: 1 },
  }));
}

async function validate(
  request: Request<"validate">,
  hooks: RunHooks,
): Promise<ValidationReport[]> {
  const definitions = await loadDefinitions(request.input, { connectors });
  const names = request.pipeline === undefined ? declaredNames(definitions) : [request.pipeline];
  const deps = dependencies(hooks);
  const reports: ValidationReport[] = [];
  const rings = new Map<string, string>();
  for (const pipeline of names) {
    try {
      const spec = await definitions.batch(pipeline);
      reports.push({ pipeline, problems: await validatePipeline(spec, deps) });
    } catch (thrown) {
      if (!(thrown instanceof FlowError) || !DEFINITION_CODES.has(thrown.code)) throw thrown;
      const { message, hint } = thrown;
      const told = thrown.code === "dependency_cycle" ? rings.get(message) : undefined;
      const problem = told !== undefined
        ? `it waits for the ring of pipelines that is told at '${told}'`
        : hint === undefined
        ? message
        : `${message} (${hint})`;
      reports.push({ pipeline, problems: [problem] });
      rings.set(message, told ?? pipeline);
    }
  }
  tellNotices(definitions, "flow", hooks);
  return reports;
}

/** Errors that are a problem of one pipeline, and no reason not to look at the others. */
const DEFINITION_CODES: ReadonlySet<string> = new Set([
  "definition_invalid",
  "connection_not_found",
  "connection_unsupported",
  "dependency_cycle",
]);

async function reading<T>(
  { runLog: choice }: { readonly runLog: Request<"runs_list">["runLog"] },
  hooks: RunHooks,
  work: (runLog: RunLog) => Promise<T>,
): Promise<T> {
  const runLog = await openRunLogToRead(choice, runLogContext(hooks));
  try {
    return await work(runLog);
  } finally {
    await runLog.close();
  }
}

function runLogContext({ observe, now }: RunHooks): OpenRunLogContext {
  return {
    connectors,
    variable: readVariable,
    isReadable: (variable) =>
      Deno.permissions.querySync({ name: "env", variable }).state === "granted",
    clock: systemClock,
    observe,
    signal: now,
  };
}

/**
 * The engine between two databases holds a few pieces of 8 MiB at a time, one after the other: more threads would wait for one another, and more memory would
 * only be kept (10 M rows stay under 500 MB in all).
 */
const LOAD_ENGINE = { memoryLimitMiB: 96, threads: 1 } as const;

function dependencies(hooks: RunHooks, clock: Clock = systemClock): BatchDependencies {
  const { scratchDir, observe, now: signal } = hooks;
  return {
    openDatabase: (connection) => openDatabase(connection, scratchDir, clock),
    createEngine: () => createEngine({ scratchDir, ...LOAD_ENGINE }),
    clock,
    observe,
    signal,
    pipelineRunId: () => crypto.randomUUID(),
  };
}

function openDatabase(
  { name, kind, options }: BatchConnection,
  scratchDir: string,
  clock: Clock,
): Database {
  const connector = connectors.find((candidate) => candidate.kind === kind);
  if (connector?.openDatabase === undefined) {
    const kinds = connectors.filter(({ openDatabase }) => openDatabase !== undefined)
      .map((candidate) => candidate.kind);
    throw new FlowError(
      `${name === undefined ? "a connection" : `connection '${name}'`} of kind='${kind}' ` +
        "is no database that SQL can be run on",
      {
        code: "connection_unsupported",
        domain: "user",
        hint: `use a connection of kind ${kinds.join(", ")}`,
      },
    );
  }
  return connector.openDatabase(options, { scratchDir, clock });
}

async function sqlDatabase(
  request: Request<"sql">,
  hooks: RunHooks,
): Promise<Database | undefined> {
  if (request.connection === undefined) return undefined;
  const definitions = await loadDefinitions(request.input, { connectors });
  const connection = await definitions.connection(request.connection);
  tellNotices(definitions, "flow", hooks);
  return openDatabase(connection, hooks.scratchDir, systemClock);
}

function tellNotices(definitions: Definitions, pipeline: string, { observe }: RunHooks): void {
  for (const message of definitions.notices) observe({ kind: "notice", pipeline, message });
}

/** Microseconds since the epoch of an ISO-8601 time with a zone. */
function microsOf(iso: string): bigint {
  const [, fraction = ""] = /\.(\d{1,6})/.exec(iso) ?? [];
  const wholeMs = Date.parse(iso.replace(/\.\d+/, ""));
  return BigInt(wholeMs) * 1000n + BigInt(fraction.padEnd(6, "0"));
}

async function knownRun(runLog: RunLog, runId: string): Promise<RunRecord> {
  const run = await runLog.show(runId);
  if (run !== undefined) return run;
  throw new FlowError(`the run log knows no run '${runId}'`, {
    code: "run_unknown",
    domain: "user",
    hint: "the runs are shown by: flow runs list; another log is given with --run-log",
    details: { run_id: runId },
  });
}
