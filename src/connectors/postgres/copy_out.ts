import { Buffer } from "node:buffer";
import type { Connection } from "pg";
import { FrameCutter } from "./frame_cutter.ts";

/** The socket as the driver has it, and what listens to it. */
interface CopySocket {
  listeners(event: "data"): ((chunk: Uint8Array) => void)[];
  on(event: "data", listener: (chunk: Uint8Array) => void): void;
  off(event: "data", listener: (chunk: Uint8Array) => void): void;
  pause(): void;
  resume(): void;
}

/** Bytes that may wait for whoever reads; more, and the socket is paused, which makes the server wait. */
const MAX_WAITING_BYTES = 1 << 20;
const READY_FOR_QUERY = 0x5a;

/** A part of what a COPY gives, always whole rows. Its bytes are the reader's own. */
export interface CopyPart {
  readonly bytes: Uint8Array;
  readonly rows: number;
  /** Bytes of the longest row in it. */
  readonly longestRow: number;
}

/**
 * One `COPY … TO STDOUT`. It has the shape that the driver's `client.query()` takes (a "submittable"). The driver makes an event of every
 * row, which costs more than the row's way through the server; so while the COPY runs, this stands between the socket and the driver, takes
 * the rows, and hands on the messages that are none.
 */
export class CopyOut {
  readonly #sql: string;
  readonly #cutter: FrameCutter;
  #socket: CopySocket | undefined;
  #driver: ((chunk: Uint8Array) => void)[] = [];
  #waiting: CopyPart[] = [];
  #waitingBytes = 0;
  #paused = false;
  #discards = false;
  #isOver = false;
  #error: unknown;
  #wakeReader: (() => void) | undefined;
  readonly #finished = Promise.withResolvers<void>();

  /** @param form `rows`: the rows' own bytes one after the other; `frames`: each row as the message that it came in, which is also the message that `COPY … FROM STDIN` takes */
  constructor(sql: string, form: "rows" | "frames") {
    this.#sql = sql;
    this.#cutter = new FrameCutter(form === "rows");
  }

  /** Settles when the server is done with the COPY, well or not. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The next part; `undefined` at the end. Throws the server's or the connection's error. */
  async next(): Promise<CopyPart | undefined> {
    for (;;) {
      const part = this.#waiting.shift();
      if (part !== undefined) {
        this.#waitingBytes -= part.bytes.length;
        if (this.#paused && this.#waitingBytes < MAX_WAITING_BYTES / 2) this.#resume();
        return part;
      }
      if (this.#isOver) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
  }

  /** Nobody reads any more: what still comes is dropped, so that the end can come through. */
  discard(): void {
    this.#discards = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#resume();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket?.resume();
  }

  readonly #take = (chunk: Uint8Array): void => {
    const part = this.#cutter.cut(chunk, (type, frame) => {
      // The driver goes on as if nothing had been between; it may send the next statement right here.
      if (type === READY_FOR_QUERY) this.#leave();
      const message = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
      for (const listener of this.#driver) listener(message);
    });
    if (part === undefined || this.#discards) return;
    this.#waiting.push(part);
    this.#waitingBytes += part.bytes.length;
    if (this.#waitingBytes >= MAX_WAITING_BYTES && !this.#isOver) {
      this.#paused = true;
      this.#socket?.pause();
    }
    this.#wakeReader?.();
  };

  /** Between the socket and the driver. The connection is idle: the driver has no half of a message in its hands. */
  #enter(socket: CopySocket): void {
    this.#socket = socket;
    this.#driver = socket.listeners("data");
    for (const listener of this.#driver) socket.off("data", listener);
    socket.on("data", this.#take);
  }

  #leave(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.off("data", this.#take);
    for (const listener of this.#driver) socket.on("data", listener);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wakeReader?.();
    this.#finished.resolve();
  }

  // What follows is called by the driver.

  submit(connection: Connection): void {
    this.#enter(connection.stream as unknown as CopySocket);
    connection.query(this.#sql);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#end();
  }

  handleError(error: unknown): void {
    this.#error ??= error;
    this.#end();
  }
}
