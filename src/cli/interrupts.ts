import { EXIT_CODES } from "./exit_code.ts";

/** The signals that ask a program to stop; Windows knows no SIGTERM. */
const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/** After the second signal the program ends by itself within this time, or is ended. */
const STOP_GRACE_MS = 2000;

/** How signals are answered. */
export interface InterruptOptions {
  /** False for work that has nothing to finish: then the first signal stops at once. */
  readonly drains: boolean;
  /** Called at the first signal of a drain. */
  readonly onDrain?: (signal: Deno.Signal) => void;
  /** Called when everything is to stop at once. */
  readonly onStop?: () => void;
}

/** Listens to SIGINT and SIGTERM until {@link close}: the first asks to drain, the second stops at once. */
export class Interrupts {
  readonly #drain = new AbortController();
  readonly #now = new AbortController();
  readonly #options: InterruptOptions;
  readonly #listeners: readonly { readonly signal: Deno.Signal; readonly listen: () => void }[];
  #stopCode: number | undefined;
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(options: InterruptOptions) {
    this.#options = options;
    this.#listeners = STOP_SIGNALS.map((signal) => ({
      signal,
      listen: () => this.#onSignal(signal),
    }));
    for (const { signal, listen } of this.#listeners) Deno.addSignalListener(signal, listen);
  }

  /** Aborted when what is under way is to be finished. */
  get drain(): AbortSignal {
    return this.#drain.signal;
  }

  /** Aborted when everything is to stop at once. */
  get now(): AbortSignal {
    return this.#now.signal;
  }

  /** The exit code of a program that was stopped at once; `undefined` when it was not. */
  get stopCode(): number | undefined {
    return this.#stopCode;
  }

  /** Asks to drain without a signal, as when nobody reads the output any more. */
  requestDrain(): void {
    this.#drain.abort("drain");
  }

  close(): void {
    clearTimeout(this.#grace);
    for (const { signal, listen } of this.#listeners) Deno.removeSignalListener(signal, listen);
  }

  #onSignal(signal: Deno.Signal): void {
    const first = !this.#drain.signal.aborted;
    this.#drain.abort("drain");
    if (first && this.#options.drains) {
      this.#options.onDrain?.(signal);
      return;
    }
    const code = signal === "SIGTERM" ? EXIT_CODES.terminated : EXIT_CODES.interrupted;
    // A third signal does not wait for anything.
    if (this.#stopCode !== undefined) Deno.exit(code);
    this.#stopCode = code;
    this.#grace = setTimeout(() => Deno.exit(code), STOP_GRACE_MS);
    this.#options.onStop?.();
    this.#now.abort("now");
  }
}
