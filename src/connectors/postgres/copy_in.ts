import type { Connection } from "pg";

/** The driver's connection with the methods for COPY, which its types do not declare. */
interface CopyConnection extends Connection {
  sendCopyFail(message: string): void;
  endCopyFrom(): void;
}

/** Two frames: one is on its way into the socket while the next is filled. */
const FRAMES = 2;
/** Pieces that are messages already come from another socket, a small part at a time. */
const FRAMED_PIECES = 16;
const HEADER_BYTES = 5;
const COPY_DATA = 0x64;

/**
 * One `COPY … FROM STDIN`: pieces go out as they come, by one copy into a reused frame and one write. It has the shape that the driver's
 * `client.query()` takes (a "submittable"). After an error of the server nothing more is
 * sent, and the connection is ready for the next statement.
 */
export class CopyIn {
  readonly #sql: string;
  readonly #isFramed: boolean;
  #connection: CopyConnection | undefined;
  #rows = 0;
  #error: unknown;
  #frames: Uint8Array[];
  readonly #started = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  #wakeSender: (() => void) | undefined;

  /** @param isFramed the pieces are whole CopyData messages, and their bytes stay as they are */
  constructor(sql: string, isFramed = false) {
    this.#sql = sql;
    this.#isFramed = isFramed;
    this.#frames = Array.from(
      { length: isFramed ? FRAMED_PIECES : FRAMES },
      () => new Uint8Array(0),
    );
    // Whoever waits gets the rejection; nobody may be waiting yet.
    this.#started.promise.catch(() => {});
    this.#finished.promise.catch(() => {});
  }

  /**
   * Sends the pieces and ends the COPY.
   *
   * @returns how many rows the server took
   * @throws the server's error, the connection's, that of `pieces`, or the signal's reason
   */
  async send(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    const onAbort = () => this.#fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const iterator = pieces[Symbol.asyncIterator]();
    // The first piece is made while the server takes up the COPY.
    const first = iterator.next();
    first.catch(() => {});
    try {
      if (signal.aborted) onAbort();
      await this.#started.promise;
      try {
        signal.throwIfAborted();
        for (let piece = await first; piece.done !== true; piece = await iterator.next()) {
          const frame = await this.#freeFrame();
          if (frame === undefined) break;
          this.#write(frame, piece.value);
        }
      } catch (error) {
        this.#fail(error);
      }
      if (this.#error === undefined) this.#connection?.endCopyFrom();
      await this.#finished.promise;
      if (this.#error !== undefined) throw this.#error;
      return this.#rows;
    } finally {
      signal.removeEventListener("abort", onAbort);
      await iterator.return?.();
    }
  }

  /** Ends the COPY from this side; the server answers with an error, which is not the one that is told. */
  #fail(reason: unknown): void {
    if (this.#error !== undefined) return;
    this.#error = reason ?? new Error("the copy was aborted");
    this.#connection?.sendCopyFail("stopped by flow");
    this.#wakeSender?.();
  }

  /** A frame that the socket is done with; `undefined` when the COPY has failed. */
  async #freeFrame(): Promise<Uint8Array | undefined> {
    while (this.#error === undefined && this.#frames.length === 0) {
      await new Promise<void>((resolve) => this.#wakeSender = resolve);
    }
    return this.#error === undefined ? this.#frames.pop() : undefined;
  }

  #write(frame: Uint8Array, piece: Uint8Array): void {
    if (this.#isFramed) return this.#send(piece, frame);
    const length = HEADER_BYTES + piece.length;
    const buffer = frame.length >= length ? frame : new Uint8Array(length);
    buffer[0] = COPY_DATA;
    new DataView(buffer.buffer).setUint32(1, 4 + piece.length);
    buffer.set(piece, HEADER_BYTES);
    this.#send(buffer.subarray(0, length), buffer);
  }

  #send(bytes: Uint8Array, frame: Uint8Array): void {
    this.#connection?.stream.write(bytes, () => {
      this.#frames.push(frame);
      this.#wakeSender?.();
    });
  }

  // What follows is called by the driver.

  submit(connection: Connection): void {
    this.#connection = connection as CopyConnection;
    connection.query(this.#sql);
  }

  handleCopyInResponse(): void {
    if (this.#error !== undefined) this.#connection?.sendCopyFail("stopped by flow");
    this.#started.resolve();
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#rows = Number(/^COPY (\d+)/.exec(message.text)?.[1] ?? 0);
  }

  handleReadyForQuery(): void {
    this.#started.resolve();
    this.#finished.resolve();
  }

  handleError(error: unknown): void {
    this.#error ??= error;
    this.#started.reject(this.#error);
    this.#finished.reject(this.#error);
    this.#wakeSender?.();
  }
}
