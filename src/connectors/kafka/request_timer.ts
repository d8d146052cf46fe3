import RequestQueue from "kafkajs/src/network/requestQueue/index.js";

/** The part of kafkajs' request queue that is replaced. */
interface Queue {
  throttledUntil: number;
  readonly pending: readonly unknown[];
  throttleCheckTimeoutId: ReturnType<typeof setTimeout> | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

const CHECK_EVERY_MS = 10;

let replaced = false;

/**
 * kafkajs 2.2.4 looks after every request whether others wait, by a timer with a negative delay: it fires for ever at once, and Node warns
 * about it on stderr. This one runs only while requests wait.
 */
export function quietRequestTimer(): void {
  if (replaced) return;
  replaced = true;
  const queue: Queue = RequestQueue.prototype;
  queue.scheduleCheckPendingRequests = function (this: Queue) {
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
    const delayMs = Math.max(CHECK_EVERY_MS, this.throttledUntil - Date.now());
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    }, delayMs);
  };
}
