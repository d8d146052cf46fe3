import type { Clock } from "../core/clock.ts";

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it: time passes only while everything that {@link FakeClock.drive} is given sleeps on it. */
export class FakeClock implements Clock {
  readonly slept: number[] = [];
  readonly #sleepers = new Set<Sleeper>();
  #nowMs: number;

  constructor(start: string) {
    this.#nowMs = Date.parse(start);
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  /** The time as ISO-8601. */
  get iso(): string {
    return new Date(this.#nowMs).toISOString();
  }

  set(time: string): void {
    this.#nowMs = Date.parse(time);
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(durationMs);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        atMs: this.#nowMs + durationMs,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Lets time pass, from one sleeper's end to the next, until the work is done. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const end = () => void (isDone = true);
    work.then(end, end);
    for (;;) {
      await everythingElse();
      if (isDone) return await work;
      const [first] = [...this.#sleepers].sort((a, b) => a.atMs - b.atMs);
      if (first === undefined) throw new Error("the work waits for something that is not time");
      this.#sleepers.delete(first);
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.wake();
    }
  }
}

/** Resolves when all that could run without waiting has run. */
function everythingElse(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
