import type mysql from "mysql2";
import type { Connection, FieldPacket, QueryError } from "mysql2";
import { Readable } from "node:stream";
import type { SqlValue } from "../../core/session.ts";
import { cancellable, within } from "../_sql/cancellation.ts";
import type { MysqlAddress } from "./address.ts";
import { toConnectError } from "./mysql_error.ts";
import { cellValue, type ColumnDefinition, parameter } from "./wire_value.ts";

/** How long a cancelled statement may take to end before the connection is dropped. */
const CANCEL_WITHIN_MS = 2_000;
const CLOSE_WITHIN_MS = 2_000;
/** Bytes that wait in the socket before more of a file is sent. */
const SEND_BUFFER_BYTES = 4 * 1024 * 1024;

/** What a statement did. */
export interface Outcome {
  readonly columns: readonly ColumnDefinition[];
  readonly rows: readonly (readonly SqlValue[])[];
  /** Rows inserted, deleted or matched by an update. */
  readonly affected: number;
  readonly warnings: number;
}

/** A query that is under way, row by row. */
export interface RowStream {
  pause(): void;
  resume(): void;
  /** Settles when the server has sent everything. */
  readonly finished: Promise<void>;
}

/** The result of a statement that returns no rows, as the driver gives it; its types leave `warningStatus` out. */
interface Header {
  readonly affectedRows: number;
  readonly warningStatus?: number;
}

/**
 * The driver's connection, with what its types leave out. The connection of a plain callback client is the core object itself.
 */
type Client = Connection & {
  readonly stream: import("node:net").Socket;
};

interface Emitter {
  on(event: "result", listener: (row: unknown) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "end", listener: () => void): unknown;
}

/** One connection; statements run one after the other. Server and connection errors come through as the driver throws them. */
export class MysqlConnection {
  readonly address: MysqlAddress;
  readonly isMariadb: boolean;
  readonly #driver: typeof mysql;
  readonly #client: Client;
  #lost = false;

  private constructor(
    address: MysqlAddress,
    driver: typeof mysql,
    client: Client,
    isMariadb: boolean,
  ) {
    this.address = address;
    this.isMariadb = isMariadb;
    this.#driver = driver;
    this.#client = client;
    client.on("error", () => this.#lost = true);
    client.on("end", () => this.#lost = true);
  }

  /**
   * Connects and sets the session up: UTC, utf8mb4, strict.
   *
   * @throws FlowError `database_unreachable`, `database_auth_failed`, `mysql_database_unknown` …, or the signal's reason
   */
  static async connect(address: MysqlAddress, signal?: AbortSignal): Promise<MysqlConnection> {
    signal?.throwIfAborted();
    const config = address.config();
    // Loaded for those who use it: it takes 25 MB and 80 ms.
    const { default: driver } = await import("mysql2");
    let client: Client | undefined;
    const onAbort = () => client?.destroy();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      client = driver.createConnection(config) as unknown as Client;
      await connected(client, signal);
      const probe = new MysqlConnection(address, driver, client, false);
      const { rows } = await probe.query("SELECT VERSION()");
      const isMariadb = /mariadb/i.test(String(rows[0]?.[0]));
      const connection = new MysqlConnection(address, driver, client, isMariadb);
      for (const statement of sessionSettings(isMariadb)) await connection.query(statement);
      return connection;
    } catch (error) {
      client?.destroy();
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

  /** Runs one statement. With parameters it is prepared. Aborting the signal cancels it in the server. */
  query(
    sql: string,
    params: readonly SqlValue[] = [],
    signal?: AbortSignal,
  ): Promise<Outcome> {
    const running = new Promise<Outcome>((resolve, reject) => {
      const done = (error: QueryError | null, result: unknown, fields?: FieldPacket[]) => {
        if (error) reject(error);
        else resolve(outcome(result, fields as unknown as ColumnDefinition[] | undefined));
      };
      if (params.length === 0) {
        this.#client.query({ sql, typeCast: false, rowsAsArray: true }, done);
      } else {
        this.#client.execute({ sql, rowsAsArray: true }, this.#bound(params), done);
      }
    });
    return this.cancellable(running, signal);
  }

  /** The columns that the query would have, by preparing it. */
  prepare(sql: string, signal?: AbortSignal): Promise<readonly ColumnDefinition[]> {
    const running = new Promise<readonly ColumnDefinition[]>((resolve, reject) => {
      this.#client.prepare(sql, (error, statement) => {
        if (error) return reject(error);
        // The driver's types leave the columns out.
        const { columns } = statement as unknown as { columns: readonly ColumnDefinition[] };
        // The driver would give the same columns again after the table has changed.
        this.#client.unprepare(sql);
        resolve([...columns]);
      });
    });
    return this.cancellable(running, signal);
  }

  /**
   * Starts a query whose rows have one column of bytes. The caller hears each cell as it arrives; its bytes are valid during the call.
   * Pausing stops the socket.
   */
  stream(
    sql: string,
    params: readonly SqlValue[],
    onCell: (cell: Uint8Array | null) => void,
  ): RowStream {
    const client = this.#client;
    const command =
      (params.length === 0
        ? client.query({ sql, typeCast: false, rowsAsArray: true })
        : client.execute({ sql, rowsAsArray: true }, this.#bound(params))) as unknown as Emitter;
    const finished = new Promise<void>((resolve, reject) => {
      command.on("error", reject);
      command.on("end", resolve);
      command.on("result", (row) => onCell((row as (Uint8Array | null)[])[0] ?? null));
    });
    finished.catch(() => {});
    return { pause: () => client.pause(), resume: () => client.resume(), finished };
  }

  /** Runs `LOAD DATA LOCAL INFILE` with the pieces as the file. The server sees the end of the file also when the pieces fail. */
  async sendFile(
    sql: string,
    pieces: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const socket = this.#client.stream;
    const paced = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces) {
        signal.throwIfAborted();
        // An empty packet would end the file.
        if (piece.length > 0) yield Buffer.from(piece);
        // The driver writes without looking at the socket's buffer.
        if (socket.writableLength > SEND_BUFFER_BYTES && !socket.destroyed) await drained(socket);
      }
    };
    const running = new Promise<Outcome>((resolve, reject) => {
      this.#client.query({
        sql,
        infileStreamFactory: () => Readable.from(paced(), { highWaterMark: 1 }),
      }, (error, result) => error ? reject(error) : resolve(outcome(result, undefined)));
    });
    return await this.cancellable(running, signal);
  }

  #bound(params: readonly SqlValue[]): ReturnType<typeof parameter>[] {
    return params.map((value) => parameter(value, this.#driver));
  }

  /** Asks the server to stop what this session runs; it then fails. */
  async kill(): Promise<void> {
    const threadId = this.#client.threadId;
    const killer = this.#driver.createConnection(this.address.config()) as unknown as Client;
    killer.on("error", () => {});
    const asked = new Promise<void>((resolve) => {
      killer.query(`KILL QUERY ${threadId}`, () => resolve());
    });
    await within(CANCEL_WITHIN_MS, asked);
    killer.destroy();
  }

  /** Waits for it; when the signal is aborted first, stops the statement and rejects with the signal's reason. */
  async cancellable<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return await cancellable(running, signal, (statement) => this.#cancel(statement));
  }

  async #cancel(running: Promise<unknown>): Promise<void> {
    const ended = running.then(() => {}, () => {});
    if (await within(100, ended)) return;
    await this.kill();
    if (!await within(CANCEL_WITHIN_MS, ended)) this.drop();
  }

  /** Ends the session; drops it when that takes too long. */
  async close(): Promise<void> {
    if (!this.#lost) {
      await within(
        CLOSE_WITHIN_MS,
        new Promise<void>((resolve) => this.#client.end(() => resolve())),
      );
    }
    this.drop();
  }

  /** Closes the socket at once; the server rolls back what was open. */
  drop(): void {
    this.#lost = true;
    this.#client.destroy();
    // What waits for an answer hears of it.
    this.#client.stream.emit("error", new Error("Connection lost: it was dropped"));
  }
}

function connected(client: Client, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once("connect", () => resolve());
    client.once("error", reject);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function sessionSettings(isMariadb: boolean): string[] {
  const modes = [
    ...["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "ERROR_FOR_DIVISION_BY_ZERO"],
    ...["NO_ZERO_DATE", "NO_ZERO_IN_DATE", "NO_ENGINE_SUBSTITUTION"],
    // The default of MySQL, not of MariaDB.
    ...(isMariadb ? [] : ["ONLY_FULL_GROUP_BY"]),
  ];
  return [
    `SET SESSION time_zone = '+00:00', sql_mode = '${modes.join(",")}', ` +
    // A reader that takes its time is no dead one.
    "net_write_timeout = 86400, net_read_timeout = 86400, wait_timeout = 86400",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    // Joins with stages, which have no index, by hashing.
    ...(isMariadb ? ["SET SESSION join_cache_level = 8"] : []),
  ];
}

function outcome(result: unknown, columns: readonly ColumnDefinition[] | undefined): Outcome {
  if (columns === undefined) {
    const header = result as Header;
    return {
      columns: [],
      rows: [],
      affected: Number(header.affectedRows),
      warnings: header.warningStatus ?? 0,
    };
  }
  const rows = (result as unknown[][]).map((row) =>
    columns.map((column, at) => cellValue(row[at], column))
  );
  return { columns, rows, affected: 0, warnings: 0 };
}

function drained(socket: import("node:net").Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
