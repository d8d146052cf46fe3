/**
 * Waits for a statement; when the signal is aborted first, has it cancelled and rejects with the signal's reason.
 *
 * @param cancel ends the statement that is given; awaited before this returns
 */
export async function cancellable<T>(
  running: Promise<T>,
  signal: AbortSignal | undefined,
  cancel: (running: Promise<unknown>) => Promise<void>,
): Promise<T> {
  if (signal === undefined) return await running;
  let cancelling: Promise<void> | undefined;
  const onAbort = () => {
    cancelling = cancel(running);
  };
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await running;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    await cancelling;
  }
}

/** True when the promise settled in time. */
export async function within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([promise.then(() => true), limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Does the work, and calls `stop`, which makes it end early, when the signal is aborted meanwhile. */
export async function stoppable<T>(
  signal: AbortSignal,
  stop: () => void,
  work: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
