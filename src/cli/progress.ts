import type { Clock } from "../core/clock.ts";
import type { Observation } from "../core/observation.ts";
import { countText, rowsText, timeText } from "./number_text.ts";
import {
  isNoteworthy,
  observationJson,
  observationText,
  rejectedText,
} from "./observation_text.ts";
import type { Style } from "./terminal.ts";

/** How progress is shown. */
export interface ProgressOptions {
  readonly clock: Clock;
  /** Where it goes: standard error. */
  readonly write: (text: string) => void;
  readonly style: Style;
  /** `live` rewrites one line in place (a terminal), `plain` adds lines, `json` adds lines of JSON. */
  readonly mode: "live" | "plain" | "json";
  /** `quiet` shows nothing at all, `verbose` every observation. */
  readonly detail: "quiet" | "normal" | "verbose";
  /** Width of the terminal in characters; the live line is cut there. */
  readonly columns?: () => number;
}

const LIVE_INTERVAL_MS = 500;
const PLAIN_INTERVAL_MS = 10_000;
/** Rejected rows of one stage are told at once, then in sums at most this often. */
const REJECTED_INTERVAL_MS = 10_000;
/** The live line's rows/s is the mean over this time. */
const RATE_WINDOW_MS = 5000;
const DEFAULT_COLUMNS = 80;

type RejectedRows = Observation & { readonly kind: "rows_rejected" };

/** Rows that were rejected in one stage and not told yet. */
interface Rejections {
  first: RejectedRows | undefined;
  rows: number;
  toldAtMs: number;
}

interface Sample {
  readonly atMs: number;
  readonly rows: number;
}

/**
 * The progress line on standard error and the lines beside it: a reader of observations.
 *
 * @example
 * ```ts
 * const progress = new Progress({ clock: systemClock, write, style, mode: "live", detail: "normal" });
 * progress.start();
 * progress.observe(observation); // events-to-pg  1,204,000 rows  176,000 rows/s  lag 12,003
 * await progress.stop();
 * ```
 */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #stopping = new AbortController();
  readonly #lags = new Map<string, number>();
  readonly #watermarks = new Map<string, number>();
  readonly #rejected = new Map<string, Rejections>();
  #ticking: Promise<void> = Promise.resolve();
  #pipeline: string | undefined;
  #state = "opening";
  #rows = 0;
  #samples: Sample[] = [];
  #liveShown = false;
  #plainTold = "";
  #wasIdle = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  /** Begins to show the progress line. */
  start(): void {
    if (this.#options.detail === "quiet") return;
    this.#samples = [{ atMs: this.#options.clock.monotonic(), rows: 0 }];
    this.#ticking = this.#tick();
  }

  /** Takes the progress line away, and tells what was not told yet. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ticking;
    this.#tellRejected(true);
    this.#clearLive();
  }

  /** A line of its own for people; in JSON mode it becomes `{"message": …}`. */
  say(text: string): void {
    if (this.#options.detail === "quiet") return;
    this.#line(text, { message: text });
  }

  /** Takes one observation. */
  observe(observation: Observation): void {
    this.#remember(observation);
    const { detail } = this.#options;
    if (detail === "quiet") return;
    if (detail === "verbose" ? this.#isNews(observation) : this.#isNoteworthy(observation)) {
      this.#tell(observation, observationText(observation));
    } else if (observation.kind === "rows_rejected") {
      this.#reject(observation);
    }
  }

  #remember(observation: Observation): void {
    switch (observation.kind) {
      case "run_started":
        this.#pipeline = observation.pipeline;
        this.#state = "opening";
        break;
      case "ready":
        this.#state = "";
        break;
      case "batch_committed":
        this.#rows += observation.rowsConsumed;
        break;
      case "lag":
        this.#lags.set(observation.sourceId, observation.rows);
        break;
      case "watermark":
        this.#watermarks.set(observation.sourceId, observation.micros);
        break;
      case "retrying":
        this.#state = "waiting to restart";
        this.#lags.clear();
        break;
    }
  }

  /** The first plan is no change worth telling: before the first batch nothing was planned otherwise. */
  #isNoteworthy(observation: Observation): boolean {
    const isFirstPlan = observation.kind === "plan_changed" && this.#rows === 0;
    return isNoteworthy(observation) && !isFirstPlan;
  }

  /** With `-v` everything is told, but of idle turns in a row only the first; an error is told by whoever ends the program. */
  #isNews({ kind }: Observation): boolean {
    const isIdle = kind === "idle";
    const repeats = isIdle && this.#wasIdle;
    this.#wasIdle = isIdle;
    return !repeats && kind !== "error";
  }

  #tell(observation: Observation, text: string): void {
    const { style } = this.#options;
    const serious = observation.kind === "retrying" || observation.kind === "rows_rejected";
    this.#line(
      `${style.dim(`${observation.pipeline}:`)} ${serious ? style.yellow(text) : text}`,
      { observation: observationJson(observation) },
    );
  }

  #reject(observation: RejectedRows): void {
    const key = `${observation.stage} ${observation.action}`;
    let rejections = this.#rejected.get(key);
    if (rejections === undefined) {
      rejections = { first: undefined, rows: 0, toldAtMs: -Infinity };
      this.#rejected.set(key, rejections);
    }
    rejections.first ??= observation;
    rejections.rows += observation.rows;
    this.#tellRejected(false);
  }

  #tellRejected(all: boolean): void {
    const now = this.#options.clock.monotonic();
    for (const rejections of this.#rejected.values()) {
      const { first, rows, toldAtMs } = rejections;
      if (first === undefined || (!all && now - toldAtMs < REJECTED_INTERVAL_MS)) continue;
      this.#tell({ ...first, rows }, rejectedText(first, rows));
      rejections.first = undefined;
      rejections.rows = 0;
      rejections.toldAtMs = now;
    }
  }

  async #tick(): Promise<void> {
    const { clock, mode } = this.#options;
    const intervalMs = mode === "live" ? LIVE_INTERVAL_MS : PLAIN_INTERVAL_MS;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await clock.sleep(intervalMs, signal);
      } catch {
        return;
      }
      this.#tellRejected(false);
      if (mode === "live") this.#drawLive();
      else this.#addPlain();
    }
  }

  #drawLive(): void {
    // A terminal that does not know its width says 0.
    const columns = this.#options.columns?.() || DEFAULT_COLUMNS;
    const text = this.#figures(this.#rate(RATE_WINDOW_MS)).join("  ").slice(0, columns - 1);
    this.#options.write(`\r\x1b[K${this.#options.style.bold(text)}`);
    this.#liveShown = true;
  }

  /** A line of progress, unless nothing has changed since the last one: a source that is silent does not fill the log. */
  #addPlain(): void {
    const rowsPerS = this.#rate(PLAIN_INTERVAL_MS);
    const now = JSON.stringify([this.#rows, this.#state, this.#lag(), this.#watermark()]);
    if (now === this.#plainTold) return;
    this.#plainTold = now;
    const [lag, watermark] = [this.#lag(), this.#watermark()];
    this.#line(this.#figures(rowsPerS).join("  "), {
      progress: {
        pipeline: this.#pipeline ?? null,
        rows: this.#rows,
        rows_per_s: Math.round(rowsPerS),
        lag: lag ?? null,
        watermark: watermark === undefined ? null : timeText(watermark),
      },
    });
  }

  #figures(rowsPerS: number): string[] {
    const [lag, watermark] = [this.#lag(), this.#watermark()];
    return [
      ...(this.#pipeline === undefined ? [] : [this.#pipeline]),
      ...(this.#state === "" ? [] : [this.#state]),
      rowsText(this.#rows),
      `${countText(rowsPerS)} rows/s`,
      ...(lag === undefined ? [] : [`lag ${countText(lag)}`]),
      ...(watermark === undefined ? [] : [`watermark ${timeText(watermark)}`]),
    ];
  }

  /** Rows per second over about the last `windowMs`. */
  #rate(windowMs: number): number {
    const sample = { atMs: this.#options.clock.monotonic(), rows: this.#rows };
    this.#samples.push(sample);
    const from = this.#samples.findLastIndex(({ atMs }) => sample.atMs - atMs >= windowMs);
    if (from > 0) this.#samples.splice(0, from);
    const first = this.#samples[0] ?? sample;
    const seconds = (sample.atMs - first.atMs) / 1000;
    return seconds > 0 ? (sample.rows - first.rows) / seconds : 0;
  }

  #lag(): number | undefined {
    if (this.#lags.size === 0) return undefined;
    return [...this.#lags.values()].reduce((sum, rows) => sum + rows, 0);
  }

  #watermark(): number | undefined {
    return this.#watermarks.size === 0 ? undefined : Math.min(...this.#watermarks.values());
  }

  #line(text: string, json: Readonly<Record<string, unknown>>): void {
    this.#clearLive();
    this.#options.write(`${this.#options.mode === "json" ? JSON.stringify(json) : text}\n`);
  }

  #clearLive(): void {
    if (!this.#liveShown) return;
    this.#options.write("\r\x1b[K");
    this.#liveShown = false;
  }
}
