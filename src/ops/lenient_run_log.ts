import type { Clock } from "../core/clock.ts";
import { describeError, FlowError, toFlowError } from "../core/error.ts";
import type { AttemptState, RunFilter, RunLog, RunLogLine, RunRecord } from "../core/run_log.ts";
import { MemoryRunLog } from "./memory_run_log.ts";

/** After a failure the log is left alone for so long: a server that is away costs seconds per question. */
const PAUSE_MS = 60_000;
/** Writes that wait for the log to come back. */
const MAX_WAITING = 1000;

/** What {@link LenientRunLog} needs. */
export interface LenientContext {
  readonly clock: Clock;
  readonly warn: (message: string) => void;
}

type Write = (runLog: RunLog) => Promise<void>;

/**
 * A run log that never fails those who use it. Everything is also kept in memory; when the log fails, one warning says so, questions are answered from
 * memory, and writes wait in order until the log is there again (it is tried once a minute, and when it is closed).
 */
export class LenientRunLog implements RunLog {
  readonly shown: string;
  readonly #runLog: RunLog;
  readonly #context: LenientContext;
  readonly #memory = new MemoryRunLog();
  readonly #waiting: Write[] = [];
  #awayUntil: number | undefined;
  /** Ends when the question before has its answer: order matters for what waits. */
  #before: Promise<unknown> = Promise.resolve();
  #warned = false;

  /** @param runLog is open */
  constructor(runLog: RunLog, context: LenientContext) {
    this.#runLog = runLog;
    this.#context = context;
    this.shown = runLog.shown;
  }

  open(): Promise<void> {
    return Promise.resolve();
  }

  async start(record: RunRecord): Promise<void> {
    if (await this.#ask((runLog) => runLog.start(record)) !== undefined) {
      return await this.#memory.finish(record);
    }
    await this.#memory.start(record);
    this.#keep((runLog) => runLog.finish(record));
  }

  /** While the log is away nobody can tell whether another process has the slot: a run twice is better than none. */
  async claim(record: RunRecord): Promise<boolean> {
    const claimed = await this.#ask((runLog) => runLog.claim(record));
    if (claimed !== undefined) {
      if (claimed.value) await this.#memory.finish(record);
      return claimed.value;
    }
    if (!await this.#memory.claim(record)) return false;
    this.#keep((runLog) => runLog.finish(record));
    return true;
  }

  async finish(record: RunRecord): Promise<void> {
    await this.#memory.finish(record);
    await this.#write((runLog) => runLog.finish(record));
  }

  async heartbeat(runId: string, at: string): Promise<void> {
    await this.#memory.heartbeat(runId, at);
    // One that is missed needs no second try.
    await this.#ask((runLog) => runLog.heartbeat(runId, at));
  }

  async abandon(record: RunRecord, silentSince: string): Promise<boolean> {
    const answer = await this.#ask((runLog) => runLog.abandon(record, silentSince));
    return answer?.value ?? false;
  }

  async append(runId: string, lines: readonly RunLogLine[]): Promise<void> {
    await this.#memory.append(runId, lines);
    await this.#write((runLog) => runLog.append(runId, lines));
  }

  list(filter: RunFilter): Promise<readonly RunRecord[]> {
    return this.#read((runLog) => runLog.list(filter));
  }

  show(runId: string): Promise<RunRecord | undefined> {
    return this.#read((runLog) => runLog.show(runId));
  }

  lines(runId: string, tail?: number): Promise<readonly RunLogLine[]> {
    return this.#read((runLog) => runLog.lines(runId, tail));
  }

  lastRuns(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return this.#read((runLog) => runLog.lastRuns(pipelines));
  }

  lastSuccesses(pipelines: readonly string[]): Promise<ReadonlyMap<string, RunRecord>> {
    return this.#read((runLog) => runLog.lastSuccesses(pipelines));
  }

  attemptState(pipeline: string): Promise<AttemptState | undefined> {
    return this.#read((runLog) => runLog.attemptState(pipeline));
  }

  async setAttemptState(pipeline: string, state: AttemptState | undefined): Promise<void> {
    await this.#memory.setAttemptState(pipeline, state);
    await this.#write((runLog) => runLog.setAttemptState(pipeline, state));
  }

  /**
   * After a failure the log still counts as there: it may be one from which this user may not delete, which is told. What time may heal is
   * left to the next run, or told by the next question.
   */
  async prune(before: string, maxRuns: number): Promise<number> {
    await this.#memory.prune(before, maxRuns);
    try {
      return await this.#runLog.prune(before, maxRuns);
    } catch (error) {
      if (!toFlowError(error).retryable) {
        this.#context.warn(`${describeError(error)}. Old runs stay in the run log`);
      }
      return 0;
    }
  }

  /** Tries once more to write what waits. */
  async close(): Promise<void> {
    this.#awayUntil = undefined;
    if (this.#waiting.length > 0) await this.#ask(() => Promise.resolve());
    await this.#runLog.close().catch(() => {});
  }

  async #write(write: Write): Promise<void> {
    if (await this.#ask(write) === undefined) this.#keep(write);
  }

  async #read<T>(read: (runLog: RunLog) => Promise<T>): Promise<T> {
    const answer = await this.#ask(read);
    return answer === undefined ? await read(this.#memory) : answer.value;
  }

  #keep(write: Write): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(write);
  }

  /** Asks the log, after it got what waits; undefined when it is away. */
  #ask<T>(ask: (runLog: RunLog) => Promise<T>): Promise<{ readonly value: T } | undefined> {
    const answer = this.#before.then(() => this.#askNow(ask));
    this.#before = answer.catch(() => {});
    return answer;
  }

  async #askNow<T>(
    ask: (runLog: RunLog) => Promise<T>,
  ): Promise<{ readonly value: T } | undefined> {
    const { clock, warn } = this.#context;
    if (this.#awayUntil !== undefined && clock.monotonic() < this.#awayUntil) return undefined;
    try {
      await this.#catchUp();
      const value = await ask(this.#runLog);
      this.#awayUntil = undefined;
      return { value };
    } catch (error) {
      if (error instanceof FlowError && error.code === "run_id_taken") throw error;
      this.#awayUntil = clock.monotonic() + PAUSE_MS;
      if (!this.#warned) {
        this.#warned = true;
        warn(`${describeError(error)}. Continuing without durable run history`);
      }
      return undefined;
    }
  }

  async #catchUp(): Promise<void> {
    for (let write = this.#waiting[0]; write !== undefined; write = this.#waiting[0]) {
      await write(this.#runLog);
      this.#waiting.shift();
    }
  }
}
