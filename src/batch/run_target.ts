import type { BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import type { DatabaseSession } from "../core/database.ts";
import { describeError, FlowError, toFlowError } from "../core/error.ts";
import { failpoint } from "../core/failpoint.ts";
import type { TargetOutcome } from "../core/run_log.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { loadRows } from "./load_rows.ts";
import type { LoadCounts } from "./load_context.ts";
import {
  ensureMetadata,
  finishHistory,
  isRecorded,
  metadataTables,
  startHistory,
} from "./metadata.ts";
import { loadName, type LoadSessions, type PreparedLoad, prepareLoad } from "./prepare_load.ts";
import type { LoadInDoubt, TargetRun } from "./run_progress.ts";
import { shownTable } from "./target_table.ts";
import { runUserStatements, type StatementList } from "./user_statements.ts";
import { watermarkText, writeWatermark } from "./watermark.ts";

/** How one target of a pipeline is run. */
export interface RunTargetOptions {
  /** Do everything, and roll it back. Leaves no trace in the target. */
  readonly dryRun: boolean;
  readonly restateFromMicros?: bigint;
  /** The run that this load is one part of, for pipelines with several targets. */
  readonly parentRunId?: string;
  /** `RunProgress.inDoubt`: read before the load, and written when its COMMIT cannot be resolved. */
  readonly inDoubt?: Map<string, LoadInDoubt>;
}

/** How long to wait for the lock when it has to be found out whether a COMMIT took place (ms). */
const RESOLVE_WITHIN_MS = 30_000;
const RESOLVE_PAUSE_MS = 250;

/** What is done with a target: a look writes nothing, a trial is rolled back, and neither makes the file of a database that is yet to come. */
export type Purpose = "look" | "trial" | "load";

/** Opens both ends of a load, does the work, and closes them. `from` and `to` are one session when both are the same database. */
export async function withSessions<T>(
  spec: BatchSpec,
  target: BatchTarget,
  deps: BatchDependencies,
  purpose: Purpose,
  work: (sessions: LoadSessions, path: TargetOutcome["path"]) => Promise<T>,
): Promise<T> {
  const toDatabase = deps.openDatabase(target.connection);
  const fromDatabase = deps.openDatabase(spec.sourceConnection);
  const to = await toDatabase.connect(deps.signal, {
    readOnly: purpose === "look",
    missingAsEmpty: purpose !== "load",
  });
  try {
    if (toDatabase.identity === fromDatabase.identity) {
      return await work({ from: to, to }, "same_db");
    }
    const from = await fromDatabase.connect(deps.signal, { readOnly: true });
    try {
      return await work({ from, to }, "cross_db");
    } finally {
      await from.close();
    }
  } finally {
    await to.close();
  }
}

/**
 * Loads one target: rows, watermark and history in one transaction. Whatever fails leaves the target as it was.
 *
 * @throws FlowError `pipeline_running` when another process runs it, `commit_unresolved` when nobody can tell whether its rows were committed,
 *   and whatever the load throws
 */
export async function runTarget(
  spec: BatchSpec,
  target: BatchTarget,
  deps: BatchDependencies,
  options: RunTargetOptions,
): Promise<TargetRun> {
  const purpose = options.dryRun ? "trial" : "load";
  return await withSessions(spec, target, deps, purpose, async (sessions, path) => {
    const run = new TargetLoad(spec, target, deps, options, sessions, path);
    return options.dryRun ? await run.tryOut() : await run.run();
  });
}

class TargetLoad {
  readonly #spec: BatchSpec;
  readonly #target: BatchTarget;
  readonly #deps: BatchDependencies;
  readonly #options: RunTargetOptions;
  readonly #sessions: LoadSessions;
  readonly #path: TargetOutcome["path"];
  readonly #name: string;
  readonly #runId: string;
  readonly #startedMicros: bigint;

  constructor(
    spec: BatchSpec,
    target: BatchTarget,
    deps: BatchDependencies,
    options: RunTargetOptions,
    sessions: LoadSessions,
    path: TargetOutcome["path"],
  ) {
    this.#spec = spec;
    this.#target = target;
    this.#deps = deps;
    this.#options = options;
    this.#sessions = sessions;
    this.#path = path;
    this.#name = loadName(spec, target);
    this.#runId = deps.pipelineRunId();
    this.#startedMicros = micros(deps);
  }

  async run(): Promise<TargetRun> {
    const { to } = this.#sessions;
    if (!(await to.lock(lockName(this.#name)))) throw alreadyRunning(this.#spec.name);
    const earlier = await this.#earlierLoad();
    if (earlier !== undefined) return earlier;
    await ensureMetadata(to);
    await startHistory(to, {
      runId: this.#runId,
      pipelineName: this.#name,
      target: this.#target.table.ref,
      mode: this.#target.mode,
      path: this.#path,
      startedMicros: this.#startedMicros,
      ...(this.#options.parentRunId === undefined
        ? {}
        : { parentRunId: this.#options.parentRunId }),
    });
    failpoint("batch_after_start");
    let done: TargetRun | undefined;
    try {
      const prepared = await prepareLoad(this.#spec, this.#target, this.#sessions);
      const { counts, watermark } = await this.#load(prepared, true);
      done = this.#told(prepared, counts, watermark);
      failpoint("batch_before_commit");
      await to.commit();
      failpoint("batch_after_commit");
      return done;
    } catch (thrown) {
      const error = toFlowError(thrown);
      if (done === undefined) await this.#recordFailure(to, error);
      else if (await this.#wasCommitted(done, error)) return done;
      throw thrown;
    } finally {
      await this.#endReading();
    }
  }

  async tryOut(): Promise<TargetRun> {
    const { to } = this.#sessions;
    try {
      const prepared = await prepareLoad(this.#spec, this.#target, this.#sessions);
      if (prepared.plan.ddl.length > 0 && !to.dialect.transactionalDdl) {
        throw new FlowError(
          `a dry run cannot change the table ${
            shownTable(this.#target.table.ref)
          }: this database commits DDL at once`,
          {
            code: "dry_run_unsupported",
            domain: "user",
            hint: `run it, or run this before: ${prepared.plan.ddl.join("; ")}`,
          },
        );
      }
      const { counts, watermark } = await this.#load(prepared, false);
      return this.#told(prepared, counts, watermark);
    } finally {
      await to.rollback();
      await this.#endReading();
    }
  }

  /** Everything up to the COMMIT. */
  async #load(
    prepared: PreparedLoad,
    keep: boolean,
  ): Promise<{ readonly counts: LoadCounts; readonly watermark: string | undefined }> {
    const { to, from } = this.#sessions;
    const { dialect } = to;
    if (!dialect.transactionalDdl) await runAll(to, prepared.plan.ddl);
    await to.begin();
    if (from !== to) await from.begin();
    if (dialect.transactionalDdl) await runAll(to, prepared.plan.ddl);
    failpoint("batch_after_ddl");
    await this.#runOwn("sqlBefore");
    const { counts, watermark } = await loadRows(prepared, {
      ...this.#sessions,
      deps: this.#deps,
      batchId: this.#runId,
      startedMicros: this.#startedMicros,
      pipeline: this.#spec.name,
      ...(this.#options.restateFromMicros === undefined
        ? {}
        : { restateFromMicros: this.#options.restateFromMicros }),
    });
    failpoint("batch_after_load");
    const column = prepared.watermark?.column.name;
    if (keep && watermark !== undefined && column !== undefined) {
      await writeWatermark(to, this.#name, column, watermark, micros(this.#deps));
    }
    await this.#runOwn("sqlAfter");
    if (keep) await this.#recordSuccess(counts);
    return { counts, watermark: watermark === undefined ? undefined : watermarkText(watermark) };
  }

  async #runOwn(list: StatementList): Promise<void> {
    await runUserStatements(this.#sessions.to, this.#spec, list, { dryRun: this.#options.dryRun });
  }

  async #recordSuccess(counts: LoadCounts): Promise<void> {
    const { rowsInserted, rowsUpdated, rowsUnchanged, rowsClosed, rowsDeleted } = counts;
    // The history of versions counts the closed ones as updated.
    const updated = rowsClosed ?? rowsUpdated;
    await finishHistory(this.#sessions.to, this.#runId, {
      status: "success",
      finishedMicros: micros(this.#deps),
      rowsInserted,
      ...(updated === undefined ? {} : { rowsUpdated: updated }),
      ...(rowsUnchanged === undefined ? {} : { rowsUnchanged }),
      metrics: definedCounts({
        rowsClosed,
        rowsDeleted,
        rowsCorrected: rowsClosed === undefined ? undefined : rowsUpdated,
      }),
    });
  }

  /** The failure itself is what counts: when it cannot be recorded, the run still fails with it. */
  async #recordFailure(session: DatabaseSession, error: FlowError): Promise<void> {
    try {
      await session.rollback();
      await finishHistory(session, this.#runId, {
        status: "failed",
        finishedMicros: micros(this.#deps),
        errorMessage: describeError(error),
      });
    } catch (thrown) {
      // A run that is stopped records nothing any more; the next one finds it and closes it.
      if (this.#deps.signal.aborted) return;
      this.#deps.observe({
        kind: "notice",
        pipeline: this.#spec.name,
        message: `the failure could not be recorded in the target: ${describeError(thrown)}`,
      });
    }
  }

  async #endReading(): Promise<void> {
    const { from, to } = this.#sessions;
    if (from !== to) await from.rollback().catch(() => {});
  }

  #told(prepared: PreparedLoad, counts: LoadCounts, watermark: string | undefined): TargetRun {
    return {
      outcome: {
        target: shownTable(this.#target.table.ref),
        mode: this.#target.mode,
        path: this.#path,
        ...counts,
        ...(watermark === undefined ? {} : { watermark }),
      },
      notices: prepared.notices,
    };
  }

  /** What an earlier attempt has loaded, whose COMMIT could not be resolved then. The lock, which this session has, shows that it has ended. */
  async #earlierLoad(): Promise<TargetRun | undefined> {
    const { inDoubt } = this.#options;
    const doubt = inDoubt?.get(this.#name);
    if (doubt === undefined) return undefined;
    const isThere = await isRecorded(this.#sessions.to, doubt.runId);
    inDoubt?.delete(this.#name);
    return isThere ? doubt.run : undefined;
  }

  /**
   * After a COMMIT that failed, or whose answer was lost: a new session finds out by the run's own row in the history, once the lock shows that the old one
   * has ended. That is closed first, also when it is alive: it holds the lock, and might see its own rows without their being committed. When they
   * are not there, the failure is recorded.
   *
   * @throws FlowError `commit_unresolved` (external, not retryable)
   */
  async #wasCommitted(run: TargetRun, error: FlowError): Promise<boolean> {
    const { clock, signal } = this.#deps;
    const { to } = this.#sessions;
    this.#options.inDoubt?.set(this.#name, { runId: this.#runId, run });
    await to.rollback().catch(() => {});
    await to.close().catch(() => {});
    const deadline = clock.monotonic() + RESOLVE_WITHIN_MS;
    for (;;) {
      let cause: unknown = error;
      try {
        const told = await this.#asked(error);
        if (told !== undefined) {
          this.#options.inDoubt?.delete(this.#name);
          return told;
        }
      } catch (thrown) {
        signal.throwIfAborted();
        cause = thrown;
      }
      if (clock.monotonic() > deadline) throw this.#unresolved(cause);
      await clock.sleep(RESOLVE_PAUSE_MS, signal);
    }
  }

  /** Whether the rows are there; undefined while the session that loaded them has the lock. */
  async #asked(error: FlowError): Promise<boolean | undefined> {
    const { openDatabase, signal } = this.#deps;
    const session = await openDatabase(this.#target.connection).connect(signal);
    try {
      if (!await session.lock(lockName(this.#name))) return undefined;
      const isThere = await isRecorded(session, this.#runId);
      if (!isThere) await this.#recordFailure(session, error);
      return isThere;
    } finally {
      await session.close();
    }
  }

  #unresolved(cause: unknown): FlowError {
    const { runHistory } = metadataTables(this.#sessions.to.dialect);
    return new FlowError(
      `whether the rows of '${this.#name}' were committed could not be found out in time`,
      {
        code: "commit_unresolved",
        domain: "external",
        hint: `look for run ${this.#runId} in ${runHistory}`,
        details: { run_id: this.#runId },
        cause,
      },
    );
  }
}

function micros({ clock }: BatchDependencies): bigint {
  return BigInt(Math.round(clock.now())) * 1000n;
}

function lockName(name: string): string {
  return `flow:${name}`;
}

async function runAll(session: DatabaseSession, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await session.run(statement);
}

function definedCounts(
  counts: Readonly<Record<string, number | undefined>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(counts).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );
}

function alreadyRunning(pipeline: string): FlowError {
  return new FlowError(`pipeline '${pipeline}' is being run by another process`, {
    code: "pipeline_running",
    domain: "external",
    retryable: true,
    hint: "wait until it has ended",
    details: { pipeline },
  });
}
