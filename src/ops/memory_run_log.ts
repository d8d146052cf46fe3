import { FlowError } from "../core/error.ts";
import type {
  AttemptState,
  RunFilter,
  RunLog,
  RunLogLine,
  RunRecord,
  RunStatus,
} from "../core/run_log.ts";

/** Records that are kept; of more, the last ones. */
const MAX_RECORDS = 20_000;
/** Lines of one run that are kept; of a run that writes more, the last ones. */
const MAX_LINES = 10_000;

/** A run log that ends with the process: for tests, for `memory://`, and where no durable one can be had. */
export class MemoryRunLog implements RunLog {
  readonly shown: string = "memory://";
  /** In the order of their start. */
  readonly #records = new Map<string, RunRecord>();
  readonly #lines = new Map<string, RunLogLine[]>();
  readonly #attempts = new Map<string, AttemptState>();

  open(): Promise<void> {
    return Promise.resolve();
  }

  start(record: RunRecord): Promise<void> {
    if (this.#records.has(record.runId)) return Promise.reject(runIdTaken(record.runId));
    this.#keep(record);
    return Promise.resolve();
  }

  async claim(record: RunRecord): Promise<boolean> {
    const isTaken = this.#records.values().some((other) =>
      other.pipeline === record.pipeline && other.scheduledFor === record.scheduledFor &&
      (other.status === "running" || other.status === "success" ||
        (other.status === "failed" && other.attempt >= record.attempt))
    );
    if (isTaken) return false;
    await this.start(record);
    return true;
  }

  finish(record: RunRecord): Promise<void> {
    this.#keep(record);
    return Promise.resolve();
  }

  heartbeat(runId: string, at: string): Promise<void> {
    const record = this.#records.get(runId);
    if (record?.status === "running") this.#records.set(runId, { ...record, heartbeatAt: at });
    return Promise.resolve();
  }

  abandon(record: RunRecord, silentSince: string): Promise<boolean> {
    const now = this.#records.get(record.runId);
    if (now?.status !== "running" || (now.heartbeatAt ?? now.startedAt) >= silentSince) {
      return Promise.resolve(false);
    }
    this.#records.set(record.runId, record);
    return Promise.resolve(true);
  }

  append(runId: string, lines: readonly RunLogLine[]): Promise<void> {
    const all = [...this.#lines.get(runId) ?? [], ...lines];
    this.#lines.set(runId, all.slice(-MAX_LINES));
    return Promise.resolve();
  }

  list(filter: RunFilter): Promise<readonly RunRecord[]> {
    const { pipeline, status, since, scheduledFor, limit } = filter;
    const found = this.#newestFirst().filter((record) =>
      (pipeline === undefined || record.pipeline === pipeline) &&
      (status === undefined || record.status === status) &&
      (since === undefined || Date.parse(record.startedAt) >= Date.parse(since)) &&
      (scheduledFor === undefined || record.scheduledFor === scheduledFor)
    );
    return Promise.resolve(found.slice(0, limit));
  }

  show(runId: string): Promise<RunRecord | undefined> {
    return Promise.resolve(this.#records.get(runId));
  }

  lines(runId: string, tail?: number): Promise<readonly RunLogLine[]> {
    const all = this.#lines.get(runId) ?? [];
    return Promise.resolve(tail === undefined ? all : all.slice(Math.max(0, all.length - tail)));
  }

  lastRuns(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return Promise.resolve(this.#newest(pipelines, ["running", "success", "failed"]));
  }

  lastSuccesses(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return Promise.resolve(this.#newest(pipelines, ["success"]));
  }

  attemptState(pipeline: string): Promise<AttemptState | undefined> {
    return Promise.resolve(this.#attempts.get(pipeline));
  }

  setAttemptState(pipeline: string, state: AttemptState | undefined): Promise<void> {
    if (state === undefined) this.#attempts.delete(pipeline);
    else this.#attempts.set(pipeline, state);
    return Promise.resolve();
  }

  prune(before: string, maxRuns: number): Promise<number> {
    const runs = this.#newestFirst();
    const pipelines = [...new Set(runs.map(({ pipeline }) => pipeline))];
    const kept = new Set([
      ...this.#newest(pipelines, ["running", "success", "failed"]).values(),
      ...this.#newest(pipelines, ["success"]).values(),
    ]);
    const old = runs.reverse().filter((run) =>
      Date.parse(run.startedAt) < Date.parse(before) && run.status !== "running" && !kept.has(run)
    );
    for (const { runId } of old.slice(0, maxRuns)) {
      this.#records.delete(runId);
      this.#lines.delete(runId);
    }
    return Promise.resolve(Math.min(old.length, maxRuns));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #keep(record: RunRecord): void {
    this.#records.set(record.runId, record);
    const [oldest] = this.#records.keys();
    if (this.#records.size <= MAX_RECORDS || oldest === undefined) return;
    this.#records.delete(oldest);
    this.#lines.delete(oldest);
  }

  #newest(pipelines: readonly string[], statuses: readonly RunStatus[]): Map<string, RunRecord> {
    const newest = new Map<string, RunRecord>();
    for (const record of this.#newestFirst()) {
      if (!statuses.includes(record.status) || newest.has(record.pipeline)) continue;
      if (pipelines.includes(record.pipeline)) newest.set(record.pipeline, record);
    }
    return newest;
  }

  #newestFirst(): RunRecord[] {
    // Sorting is stable: of records of one moment the later one comes first.
    return [...this.#records.values()].reverse()
      .sort((a, b) => Date.parse(b.startedAt) - Date.parse(a.startedAt));
  }
}

/** The error of {@link RunLog.start} for an id that is there already. */
function runIdTaken(runId: string): FlowError {
  return new FlowError(`cannot record run '${runId}': the run log has one of this id`, {
    code: "run_id_taken",
    domain: "internal",
  });
}
