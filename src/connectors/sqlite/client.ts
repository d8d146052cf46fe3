import { FlowError } from "../../core/error.ts";
import type {
  SqliteCall,
  SqliteFailure,
  SqliteReply,
  SqliteRequest,
  SqliteResults,
} from "./protocol.ts";

/** How long a statement waits for another writer. */
const BUSY_MS = 10_000;

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/** One SQLite connection in a Worker of its own. Calls are done one after the other. */
export class SqliteClient {
  readonly #path: string;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  #broken: FlowError | undefined;

  private constructor(path: string) {
    this.#path = path;
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = (event: MessageEvent<SqliteReply>) => this.#settle(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#break(event.message);
    };
  }

  /**
   * Opens the file; a missing one is made unless `readOnly`. With `empty` an empty database of its name is opened instead, in memory.
   *
   * @throws FlowError `sqlite_open_failed`, `sqlite_file_invalid`, `sqlite_busy`, `permission_denied`.
   */
  static async open(
    path: string,
    options: {
      readonly readOnly?: boolean;
      readonly empty?: boolean;
      readonly busyMs?: number;
    } = {},
  ): Promise<{ client: SqliteClient; version: string }> {
    const client = new SqliteClient(path);
    try {
      const { version } = await client.call({
        op: "open",
        path: options.empty === true ? ":memory:" : path,
        readOnly: options.readOnly ?? false,
        busyMs: options.busyMs ?? BUSY_MS,
      });
      return { client, version };
    } catch (error) {
      client.#worker.terminate();
      throw error;
    }
  }

  /** Has the Worker do something. The `rows` of an insert are handed over: they must not be used again. */
  call<Call extends SqliteCall>(call: Call): Promise<SqliteResults[Call["op"]]> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    this.#calls += 1;
    const request: SqliteRequest = { id: this.#calls, call };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#worker.postMessage(request, call.op === "insert" ? [call.rows.buffer] : []);
    });
  }

  /**
   * Ends what the Worker is doing, if it does something; the connection is gone then, and its transaction rolled back. SQLite itself goes on
   * in its thread until the statement gives its next row.
   */
  abort(reason: string): void {
    if (this.#waiting.size > 0) this.#break(reason);
  }

  /** Runs statements that give no rows. */
  async run(sql: string): Promise<void> {
    await this.call({ op: "run", sql });
  }

  /** Closes the connection, which brings the log into the file when nobody else has it open. May be called twice. */
  async close(): Promise<void> {
    if (this.#broken !== undefined) return;
    try {
      await this.call({ op: "close" });
    } finally {
      this.#break("it is closed");
    }
  }

  #settle(reply: SqliteReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting?.resolve(reply.result as never);
    else waiting?.reject(sqliteError(reply.failure, this.#path));
  }

  #break(reason: string): void {
    this.#broken ??= new FlowError(`the SQLite connection to '${this.#path}' is gone: ${reason}`, {
      code: "sqlite_connection_gone",
      domain: "external",
      retryable: true,
    });
    this.#worker.terminate();
    for (const waiting of this.#waiting.values()) waiting.reject(this.#broken);
    this.#waiting.clear();
  }
}

/** What went wrong in the Worker, as flow tells it. */
function sqliteError(failure: SqliteFailure, path: string): FlowError {
  const { message } = failure;
  const primary = failure.code === undefined ? undefined : failure.code & 0xff;
  const details = { path };
  const error = (init: {
    readonly code: string;
    readonly domain: "user" | "external";
    readonly retryable?: boolean;
    readonly hint?: string;
  }) =>
    new FlowError(`SQLite file '${path}': ${message}`, {
      ...init,
      details: failure.inTransaction ? details : { ...details, transaction: "ended" },
    });
  if (failure.name === "NotCapable" || /^Requires \w+ access/.test(message)) {
    const flag = `--allow-read=${path} --allow-write=${path}`;
    return new FlowError(`not allowed to open the SQLite file '${path}': ${message}`, {
      code: "permission_denied",
      domain: "user",
      hint: `start flow with ${flag}`,
      details: { flag },
    });
  }
  if (primary === 5 || primary === 6 || /database (table )?is (locked|busy)/.test(message)) {
    return error({
      code: "sqlite_busy",
      domain: "external",
      retryable: true,
      hint: "another program writes to the file and does not finish; flow tries again",
    });
  }
  if (primary === 26 || primary === 11 || /not a database|disk image is malformed/.test(message)) {
    return error({
      code: "sqlite_file_invalid",
      domain: "user",
      hint: "give the path of an SQLite file, or of none",
    });
  }
  if (primary === 14 || /unable to open/.test(message)) {
    return error({
      code: "sqlite_open_failed",
      domain: "user",
      hint: "see that the directory exists and this user may write there",
    });
  }
  if (primary === 13 || primary === 10 || /disk/.test(message)) {
    return error({
      code: "sqlite_io_failed",
      domain: "external",
      retryable: true,
      hint: "see that the disk has room and works",
    });
  }
  return error({ code: "sqlite_failed", domain: "user" });
}
