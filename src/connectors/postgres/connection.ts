import type pg from "pg";
import { cancellable, within } from "../_sql/cancellation.ts";
import type { PostgresAddress } from "./address.ts";
import { CopyIn } from "./copy_in.ts";
import { CopyOut, type CopyPart } from "./copy_out.ts";
import { toConnectError } from "./postgres_error.ts";
import { Preparation, type Prepared } from "./preparation.ts";

/** How long a cancelled statement may take to end before the connection is dropped. */
const CANCEL_WITHIN_MS = 2_000;
const CLOSE_WITHIN_MS = 2_000;

/** A value that a statement takes as a parameter: sent as text, arrays in the server's array form. */
export type Parameter =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly (string | number | bigint | null | Uint8Array)[];

/** A result: rows with all values as text, the command's name, and how many rows it changed. */
export interface Result<Row> {
  readonly rows: Row[];
  readonly command: string;
  readonly rowCount: number;
  /** The result's columns with the OIDs of their types; empty for a statement without rows. */
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}

/** One connection; statements run one after the other. Server and connection errors come through as the driver throws them. */
export class PostgresConnection {
  readonly address: PostgresAddress;
  readonly #client: pg.Client;
  #lost = false;

  private constructor(address: PostgresAddress, client: pg.Client) {
    this.address = address;
    this.#client = client;
    client.on("error", () => this.#lost = true);
    client.on("end", () => this.#lost = true);
  }

  /**
   * @throws FlowError `postgres_unreachable`, `postgres_auth_failed`, `postgres_database_unknown` …, or the signal's reason
   */
  static async connect(
    address: PostgresAddress,
    signal?: AbortSignal,
  ): Promise<PostgresConnection> {
    signal?.throwIfAborted();
    const client = address.newClient();
    const connection = new PostgresConnection(address, client);
    const onAbort = () => connection.drop();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await client.connect();
      return connection;
    } catch (error) {
      connection.drop();
      signal?.throwIfAborted();
      throw toConnectError(error, address);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** True when the connection is gone. */
  get lost(): boolean {
    return this.#lost;
  }

  /** Runs a statement (several, separated by `;`, without parameters). Aborting the signal cancels it in the server. */
  async query<Row = Record<string, string | null>>(
    sql: string,
    parameters?: readonly Parameter[],
    signal?: AbortSignal,
  ): Promise<Result<Row>> {
    const running = parameters === undefined
      ? this.#client.query(sql)
      : this.#client.query(sql, [...parameters]);
    const result = await this.#cancellable(running, signal);
    // Several statements give several results; the last one counts.
    const last = (Array.isArray(result) ? result.at(-1) : result) as pg.QueryResult;
    return {
      rows: last.rows as Row[],
      command: last.command,
      rowCount: last.rowCount ?? 0,
      fields: last.fields,
    };
  }

  /**
   * Runs `COPY … FROM STDIN` with the pieces as its input; returns the rows taken.
   *
   * @param isFramed the pieces are messages as {@link copyOut} gives them in the form `frames`
   */
  copyIn(
    sql: string,
    pieces: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    isFramed = false,
  ): Promise<number> {
    const copy = new CopyIn(sql, isFramed);
    this.#client.query(copy);
    return this.#cancellable(copy.send(pieces, signal), signal);
  }

  /**
   * Runs `COPY … TO STDOUT`. Whoever reads slowly makes the server wait; whoever stops reading cancels the statement (and with it the
   * transaction that it is in).
   */
  async *copyOut(
    sql: string,
    form: "rows" | "frames",
    signal: AbortSignal,
  ): AsyncGenerator<CopyPart> {
    signal.throwIfAborted();
    const copy = new CopyOut(sql, form);
    this.#client.query(copy);
    const onAbort = () => copy.discard();
    signal.addEventListener("abort", onAbort, { once: true });
    const told = this.#cancellable(copy.finished, signal);
    try {
      for (;;) {
        const part = await copy.next().catch((error: unknown) => {
          throw signal.aborted ? signal.reason : error;
        });
        signal.throwIfAborted();
        if (part === undefined) break;
        yield part;
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      if (!copy.isOver) {
        copy.discard();
        if (!signal.aborted) await this.#cancel(copy.finished);
      }
      await told;
    }
  }

  /** Has the server parse a statement and tell its parameters' and columns' types, without running it. */
  prepare(
    sql: string,
    parameterTypes: readonly number[],
    signal: AbortSignal,
  ): Promise<Prepared> {
    const preparation = new Preparation(sql, parameterTypes);
    this.#client.query(preparation);
    return this.#cancellable(preparation.prepared, signal);
  }

  /** Ends the session; drops it when that takes too long. */
  async close(): Promise<void> {
    if (this.#lost) return this.drop();
    await within(CLOSE_WITHIN_MS, this.#client.end().catch(() => {}));
    this.drop();
  }

  /** Closes the socket at once; the server rolls back what was open. */
  drop(): void {
    this.#lost = true;
    // The driver's own `end()` says goodbye first and waits for it; its types do not declare the socket.
    const { connection } = this.#client as unknown as {
      connection: { _ending: boolean; stream: { destroy(): void } };
    };
    connection.stream.destroy();
  }

  async #cancellable<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return await cancellable(running, signal, (statement) => this.#cancel(statement));
  }

  /** Asks the server to cancel what this session runs (it may be waiting for a lock); if that does not help, drops the session. */
  async #cancel(running: Promise<unknown>): Promise<void> {
    const ended = running.then(() => {}, () => {});
    // A statement that ends by itself in this moment (a COPY that was told to fail) needs no cancelling.
    if (await within(100, ended)) return;
    // The driver has it from the server's greeting; its types do not declare it.
    const { processID } = this.#client as unknown as { processID: number };
    const canceller = this.address.newClient();
    canceller.on("error", () => {});
    const asked = canceller.connect()
      .then(() => canceller.query("SELECT pg_cancel_backend($1)", [processID]))
      .catch(() => {});
    const done = await within(CANCEL_WITHIN_MS, asked.then(() => ended));
    canceller.end().catch(() => {});
    if (!done) this.drop();
  }
}
