import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { Clock } from "../core/clock.ts";
import { describeError, FlowError } from "../core/error.ts";
import { quoteLiteral } from "../core/schema.ts";
import type { Session } from "../core/session.ts";
import { lockInstance } from "./engine.ts";
import { FileMemory, FIRST_LIMIT, keepMemoryOpen } from "./file_memory.ts";
import { removeFile } from "./remove_file.ts";
import { DuckdbSession } from "./session.ts";

/** The name under which an opened file stands in SQL: `flow_file.main.events`. It is not the default database. */
export const FILE_DATABASE = "flow_file";

/** What {@link openDuckdbFile} needs to know. */
export interface DuckdbFileRequest {
  readonly path: string;
  /** `create` writes and makes the file where it is missing; the other two refuse a missing file (`duckdb_file_missing`). */
  readonly access: "read" | "write" | "create";
  /** The only directory that SQL on the file reaches besides the file itself; spill files go there. */
  readonly scratchDir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long to wait while another process has the file open; 10 s by default. */
  readonly waitMs?: number;
  /** What statements on the file may use at most, in MiB; of those who share an open file, the first one's counts. */
  readonly maxMemoryMib?: number | undefined;
  /** Told once, after a second of waiting, what it waits for. */
  readonly notice?: (message: string) => void;
}

/** A DuckDB file while it is open: nobody else can open it, not even to read, unless both only read. */
export interface DuckdbFile {
  /** What the file is known by in this process: equal for two that stand on one file. */
  readonly identity: string;
  readonly scratchDir: string;
  readonly memory: FileMemory;
  /** A new connection to the file; all of one file see each other's commits. */
  connect(): Promise<DuckdbSession>;
  /** Closes the connections made here, and the file (with a checkpoint) when nobody in this process uses it any more. */
  close(): Promise<void>;
}

interface OpenFile {
  readonly instance: DuckDBInstance;
  readonly memory: FileMemory;
  readonly scratchDir: string;
  readonly writable: boolean;
  users: number;
}

const DEFAULT_WAIT_MS = 10_000;
/** Waiting shorter than this is nothing to tell. */
const QUIET_WAIT_MS = 1000;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 250;

/**
 * Every DuckDB file that this process has open, by device and inode. DuckDB itself opens a file twice in one process without complaint,
 * and then loses what one of the two has written.
 */
const openFiles = new Map<string, OpenFile>();
/** Opening and closing one file go one after the other. */
const queues = new Map<string, Promise<void>>();

/**
 * Opens a DuckDB file, or joins those in this process who have it open with the same scratch directory. While another process has it
 * open, tries again until `waitMs` have passed.
 *
 * @throws FlowError `duckdb_file_locked` (external, retryable), `duckdb_file_missing`, `duckdb_file_invalid`, `permission_denied` (user).
 * @example
 * ```ts
 * const file = await openDuckdbFile({ path: "out.duckdb", access: "read", scratchDir, clock, signal });
 * const session = await file.connect();
 * await session.rows(`SELECT count(*) AS n FROM ${FILE_DATABASE}.main.events`);
 * await file.close();
 * ```
 */
export async function openDuckdbFile(request: DuckdbFileRequest): Promise<DuckdbFile> {
  requirePermission(request.path, request.access);
  const { path, identity } = await locate(request);
  const startedAt = request.clock.monotonic();
  const deadline = startedAt + (request.waitMs ?? DEFAULT_WAIT_MS);
  let isTold = false;
  for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    request.signal.throwIfAborted();
    const attempt = await inQueue(identity, () => tryOpen(path, identity, request));
    if (attempt.opened !== undefined) {
      return new OpenedFile(identity, attempt.opened, request.scratchDir);
    }
    if (request.clock.monotonic() + pauseMs > deadline) {
      throw new FlowError(`cannot open the DuckDB file '${request.path}': ${attempt.busy}`, {
        code: "duckdb_file_locked",
        domain: "external",
        retryable: true,
        hint:
          "a DuckDB file can be open in one process only; close it there, or wait until that process is done",
        details: { path: request.path },
      });
    }
    if (!isTold && request.clock.monotonic() - startedAt >= QUIET_WAIT_MS) {
      isTold = true;
      request.notice?.(`waiting for the DuckDB file '${request.path}': ${attempt.busy}`);
    }
    await request.clock.sleep(pauseMs, request.signal);
  }
}

/** True when there is a file at the path. Opens nothing. */
export async function duckdbFileExists(path: string): Promise<boolean> {
  requirePermission(path, "read");
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw openFailure(path, error);
  }
}

type Attempt =
  | { readonly opened: OpenFile; readonly busy?: undefined }
  | { readonly opened?: undefined; readonly busy: string };

async function tryOpen(
  path: string,
  identity: string,
  request: DuckdbFileRequest,
): Promise<Attempt> {
  const writes = request.access !== "read";
  const open = openFiles.get(identity);
  if (open !== undefined) {
    if (open.scratchDir !== request.scratchDir || (writes && !open.writable)) {
      return { busy: "another part of this process has it open" };
    }
    open.users += 1;
    return { opened: open };
  }
  try {
    const instance = await attach(path, request.scratchDir, writes);
    const opened: OpenFile = {
      instance,
      memory: new FileMemory(request.maxMemoryMib),
      scratchDir: request.scratchDir,
      writable: writes,
      users: 1,
    };
    openFiles.set(identity, opened);
    return { opened };
  } catch (error) {
    const message = describeError(error);
    if (message.includes("Could not set lock on file")) {
      const holder = /PID (\d+)/.exec(message)?.[1];
      return {
        busy: `another process has it open${holder === undefined ? "" : ` (PID ${holder})`}`,
      };
    }
    throw openFailure(request.path, error);
  }
}

function openFailure(path: string, error: unknown): FlowError {
  if (error instanceof FlowError) return error;
  const message = describeError(error);
  if (/not a valid DuckDB|Serialization Error|storage version|newer version/i.test(message)) {
    return new FlowError(`cannot open '${path}' as a DuckDB file: ${message}`, {
      code: "duckdb_file_invalid",
      domain: "user",
      hint: "give the path of a file that this version of DuckDB can read",
      details: { path },
      cause: error,
    });
  }
  if (message.includes("No such file or directory")) {
    return new FlowError(`there is no directory for the DuckDB file '${path}'`, {
      code: "duckdb_directory_missing",
      domain: "user",
      hint: "make the directory, or correct the path",
      details: { path },
      cause: error,
    });
  }
  return new FlowError(`cannot open the DuckDB file '${path}': ${message}`, {
    code: "duckdb_open_failed",
    domain: "external",
    retryable: true,
    hint:
      "see that the directory exists, that this user may write there, and that the disk has room",
    details: { path },
    cause: error,
  });
}

/**
 * A new file is made beside its place and linked in when it is whole: a process killed while DuckDB writes the first blocks would
 * otherwise leave a file that nobody can open. Where only the file itself may be written, DuckDB makes it in place.
 */
async function createFile(path: string): Promise<void> {
  // A name that nobody else has: in two containers, processes that make the same file have the same number.
  const beside = `${path}.${crypto.randomUUID()}.new`;
  const mayBeside = (["read", "write"] as const).every((name) => isGranted(name, beside));
  let instance: DuckDBInstance | undefined;
  try {
    instance = await DuckDBInstance.create(":memory:", { threads: "1" });
    const connection = await instance.connect();
    const made = mayBeside ? beside : path;
    await connection.run(`ATTACH ${quoteLiteral(made)} AS ${FILE_DATABASE}`);
    await connection.run(`DETACH ${FILE_DATABASE}`);
    connection.closeSync();
    if (mayBeside) await placeFile(beside, path);
  } catch (error) {
    throw openFailure(path, error);
  } finally {
    instance?.closeSync();
    if (mayBeside) await removeFile(beside);
  }
}

/** Moves a file to a place where there is none; leaves the one that somebody else has put there meanwhile. */
async function placeFile(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    // A file system without hard links.
    await Deno.rename(from, to);
  }
}

async function attach(
  path: string,
  scratchDir: string,
  writable: boolean,
): Promise<DuckDBInstance> {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: String(navigator.hardwareConcurrency),
    memory_limit: FIRST_LIMIT,
    temp_directory: `${scratchDir}/spill_file`,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  let connection: DuckDBConnection | undefined;
  try {
    connection = await instance.connect();
    const mode = writable ? "" : " (READ_ONLY)";
    await connection.run(`ATTACH ${quoteLiteral(path)} AS ${FILE_DATABASE}${mode}`);
    await keepMemoryOpen(connection);
    await lockInstance(connection, [scratchDir]);
    return instance;
  } catch (error) {
    connection?.closeSync();
    connection = undefined;
    instance.closeSync();
    throw error;
  } finally {
    connection?.closeSync();
  }
}

class OpenedFile implements DuckdbFile {
  readonly identity: string;
  readonly #open: OpenFile;
  readonly scratchDir: string;
  readonly #sessions = new Set<Session>();
  #closed = false;

  constructor(identity: string, open: OpenFile, scratchDir: string) {
    this.identity = identity;
    this.#open = open;
    this.scratchDir = scratchDir;
  }

  get memory(): FileMemory {
    return this.#open.memory;
  }

  async connect(): Promise<DuckdbSession> {
    const connection = await this.#open.instance.connect();
    const session = new DuckdbSession(connection, this.scratchDir, () => {
      this.#sessions.delete(session);
    });
    this.#sessions.add(session);
    return session;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const session of [...this.#sessions]) await session.close();
    await inQueue(this.identity, async () => {
      this.#open.users -= 1;
      if (this.#open.users > 0) return;
      openFiles.delete(this.identity);
      const connection = await this.#open.instance.connect();
      try {
        // Detaching writes the checkpoint on a pool thread and lets the file go at once; closing the instance would do it on this one.
        await connection.run(`DETACH ${FILE_DATABASE}`);
      } catch {
        // What is committed stands in the log beside the file: closing, or the next opening, brings it in.
      } finally {
        connection.closeSync();
        this.#open.instance.closeSync();
      }
    });
  }
}

/**
 * Where the file really is, and what it is known by in this process, after making it where that is asked for. The log lies beside the
 * path by which DuckDB opens the file, so that a symbolic link is followed here.
 */
async function locate(
  request: DuckdbFileRequest,
): Promise<{ path: string; identity: string }> {
  if (!(await duckdbFileExists(request.path))) {
    if (request.access !== "create") throw missing(request.path);
    await createFile(request.path);
  }
  let path = request.path;
  try {
    path = await Deno.realPath(request.path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw missing(request.path);
    // Without permission to look around, the path is taken as it is.
    if (!(error instanceof Deno.errors.NotCapable)) throw openFailure(request.path, error);
  }
  requirePermission(path, request.access);
  const { dev, ino } = await Deno.stat(path);
  return { path, identity: ino ? `${dev}:${ino}` : path };
}

function missing(path: string): FlowError {
  return new FlowError(`there is no DuckDB file at '${path}'`, {
    code: "duckdb_file_missing",
    domain: "user",
    hint: "correct the path; a pipeline makes the file with its first batch",
    details: { path },
  });
}

/**
 * DuckDB opens files by itself, past Deno's permissions, so that they are asked for here: a file is opened only where Deno would.
 */
function requirePermission(path: string, access: DuckdbFileRequest["access"]): void {
  for (const name of access === "read" ? ["read"] as const : ["read", "write"] as const) {
    if (isGranted(name, path)) continue;
    const flag = `--allow-${name}=${path}`;
    throw new FlowError(`not allowed to ${name} the DuckDB file '${path}'`, {
      code: "permission_denied",
      domain: "user",
      hint: `start flow with ${flag}`,
      details: { flag },
    });
  }
}

function isGranted(name: "read" | "write", path: string): boolean {
  return Deno.permissions.querySync({ name, path }).state === "granted";
}

async function inQueue<T>(path: string, work: () => Promise<T>): Promise<T> {
  const before = queues.get(path) ?? Promise.resolve();
  const result = before.then(work);
  const settled = result.then(() => {}, () => {});
  queues.set(path, settled);
  try {
    return await result;
  } finally {
    if (queues.get(path) === settled) queues.delete(path);
  }
}
