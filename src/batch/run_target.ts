import type { BatchSpec, BatchTarget } from "../core/batch_spec.ts";
import type { Database, DatabaseSession } from "../core/database.ts";
import { describeError, FlowError, toFlowError } from "../core/error.ts";
import { failpoint } from "../core/failpoint.ts";
import type { TargetOutcome } from "../core/run_log.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { loadRows } from "./load_rows.ts";
import type { LoadCounts } from "./load_context.ts";
import { ensureMetadata, finishHistory, metadataTables, startHistory } from "./metadata.ts";
import { Binder } from "./binder.ts";
import { loadName, type LoadSessions, type PreparedLoad, prepareLoad } from "./prepare_load.ts";
import { shownTable } from "./target_table.ts";
import { watermarkText, writeWatermark } from "./watermark.ts";

/** How one target of a pipeline is run. */
export interface RunTargetOptions {
  /** Do everything, and roll it back. Leaves no trace in the target. */
  readonly dryRun: boolean;
  readonly restateFromMicros?: bigint;
  /** The run that this load is one part of, for pipelines with several targets. */
  readonly parentRunId?: string;
}

/** What one target got, and what is worth telling about it. */
export interface TargetRun {
  readonly outcome: TargetOutcome;
  readonly notices: readonly string[];
}

/** How long to wait for the lock when it has to be found out whether a COMMIT took place (ms). */
const RESOLVE_WITHIN_MS = 30_000;
const RESOLVE_PAUSE_MS = 250;

/** Opens both ends of a load, does the work, and closes them. `from` and `to` are one session when both are the same database. */
export async function withSessions<T>(
  spec: BatchSpec,
  target: BatchTarget,
  deps: BatchDependencies,
  work: (sessions: LoadSessions, path: TargetOutcome["path"]) => Promise<T>,
): Promise<T> {
  const toDatabase = deps.openDatabase(target.connection);
  const fromDatabase = deps.openDatabase(spec.sourceConnection);
  const to = await toDatabase.connect(deps.signal);
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
 * @throws FlowError `pipeline_running` when another process runs it, and whatever the load throws
 */
export async function runTarget(
  spec: BatchSpec,
  target: BatchTarget,
  deps: BatchDependencies,
  options: RunTargetOptions,
): Promise<TargetRun> {
  return await withSessions(spec, target, deps, async (sessions, path) => {
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
      // The answer to the COMMIT was lost, not necessarily the COMMIT.
      if (done !== undefined && error.retryable && await this.#wasCommitted()) return done;
      await this.#recordFailure(error);
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
    await runAll(to, this.#spec.sqlBefore);
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
    await runAll(to, this.#spec.sqlAfter);
    if (keep) await this.#recordSuccess(counts);
    return { counts, watermark: watermark === undefined ? undefined : watermarkText(watermark) };
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
  async #recordFailure(error: FlowError): Promise<void> {
    const { to } = this.#sessions;
    try {
      await to.rollback();
      await finishHistory(to, this.#runId, {
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

  /**
   * After a COMMIT whose answer was lost: the run's own row in the history tells, once the lock shows that the old session has ended.
   *
   * @throws FlowError `commit_unresolved` (not retryable: the load might come twice), or the signal's reason
   */
  async #wasCommitted(): Promise<boolean> {
    const { clock, signal } = this.#deps;
    const database: Database = this.#deps.openDatabase(this.#target.connection);
    const deadline = clock.monotonic() + RESOLVE_WITHIN_MS;
    let failure: unknown;
    do {
      try {
        const session = await database.connect(signal);
        try {
          if (await session.lock(lockName(this.#name))) return await this.#isRecorded(session);
        } finally {
          await session.close();
        }
      } catch (error) {
        failure = error;
      }
      await clock.sleep(RESOLVE_PAUSE_MS, signal);
    } while (clock.monotonic() <= deadline);
    // Not the failure itself: that may be one after which runs are tried again, and the rows may be there.
    throw new FlowError(
      `whether the rows of '${this.#name}' were committed could not be found out in time`,
      {
        code: "commit_unresolved",
        domain: "external",
        hint: `look for run ${this.#runId} in ${metadataTables(database.dialect).runHistory}`,
        ...(failure === undefined ? {} : { cause: failure }),
      },
    );
  }

  async #isRecorded(session: DatabaseSession): Promise<boolean> {
    const { dialect } = session;
    const bind = new Binder(dialect);
    const rows = await session.rows<{ status: string }>(
      `SELECT ${dialect.quote("status")} AS status FROM ${
        metadataTables(dialect).runHistory
      } WHERE ${dialect.quote("run_id")} = ${bind.value(this.#runId, "UUID")}`,
      bind.params,
    );
    return rows[0]?.status === "success";
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
