import type { Clock } from "../../core/clock.ts";

/** Lets one side wait for a change that the other side tells. */
export class Wakeup {
  #waiting = Promise.withResolvers<void>();

  /** Wakes everybody who waits now. */
  notify(): void {
    const { resolve } = this.#waiting;
    this.#waiting = Promise.withResolvers<void>();
    resolve();
  }

  /** Returns at the next {@link notify}, after `atMostMs`, or when the signal is aborted; never rejects. */
  async wait(clock: Clock, atMostMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || atMostMs <= 0) return;
    const timer = new AbortController();
    const stop = () => timer.abort();
    signal.addEventListener("abort", stop, { once: true });
    try {
      const slept = clock.sleep(atMostMs, timer.signal).catch(() => {});
      await Promise.race([this.#waiting.promise, slept]);
    } finally {
      signal.removeEventListener("abort", stop);
      timer.abort();
    }
  }
}
