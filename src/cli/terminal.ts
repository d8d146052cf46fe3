import { redactText } from "../core/error.ts";

/** The colours of messages; without colours every function returns its text. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly cyan: (text: string) => string;
}

/** Makes a {@link Style}. */
export function createStyle(colored: boolean): Style {
  const paint = (open: number, close: number) => (text: string) =>
    colored ? `\x1b[${open}m${text}\x1b[${close}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    yellow: paint(33, 39),
    cyan: paint(36, 39),
  };
}

/** The part of `Deno.stdout` and `Deno.stderr` that is used. */
export interface Stream {
  writeSync(bytes: Uint8Array): number;
}

/**
 * Standard output and error. Data and JSON go to `out`, everything else to `error`. Credentials are taken out of all that is written.
 * When a reader has gone away (`flow … | head`), what comes after is dropped, and `onClosed` says so, once.
 */
export class Terminal {
  readonly #out: Stream;
  readonly #error: Stream;
  readonly #closed = new Set<Stream>();
  #onClosed: () => void = () => {};

  constructor(out: Stream = Deno.stdout, error: Stream = Deno.stderr) {
    this.#out = out;
    this.#error = error;
  }

  /** Sets what is to happen when somebody closes one of the streams. */
  onClosed(listener: () => void): void {
    this.#onClosed = listener;
  }

  /** Writes text as it is to standard output. */
  out(text: string): void {
    this.#write(this.#out, text);
  }

  /** Writes the user's own data to standard output, unchanged. */
  outBytes(bytes: Uint8Array): void {
    this.#writeBytes(this.#out, bytes);
  }

  /** Writes text as it is to standard error. */
  error(text: string): void {
    this.#write(this.#error, text);
  }

  #write(stream: Stream, text: string): void {
    this.#writeBytes(stream, new TextEncoder().encode(redactText(text)));
  }

  #writeBytes(stream: Stream, bytes: Uint8Array): void {
    if (this.#closed.has(stream)) return;
    try {
      for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      this.#closed.add(stream);
      if (this.#closed.size === 1) this.#onClosed();
    }
  }
}

/** True when messages may be coloured: a terminal, and neither `--no-color` nor NO_COLOR. */
export function mayColor(flag: boolean): boolean {
  return flag && !Deno.noColor && Deno.stderr.isTerminal();
}
