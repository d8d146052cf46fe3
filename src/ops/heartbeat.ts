import type { Clock } from "../core/clock.ts";

/** How often a run that is under way says so. */
export const HEARTBEAT_MS = 30_000;

/**
 * A run that has been silent for so long is over: its process was killed, or the machine went down. Clocks of several machines that share a run log may differ by
 * less. Process ids would tell sooner on one machine, but mean nothing on another one or in a container, and asking the system about them needs permissions.
 */
export const SILENT_MS = 6 * HEARTBEAT_MS;

/** Does the work, and gives a sign of life every {@link HEARTBEAT_MS} until it is done. Failing signs are left out. */
export async function beatWhile<T>(
  work: () => Promise<T>,
  beat: () => Promise<void>,
  clock: Clock,
): Promise<T> {
  const done = new AbortController();
  const beating = (async () => {
    for (;;) {
      try {
        await clock.sleep(HEARTBEAT_MS, done.signal);
      } catch {
        return;
      }
      await beat().catch(() => {});
    }
  })();
  try {
    return await work();
  } finally {
    done.abort();
    await beating;
  }
}
