/**
 * The Worker that owns one SQLite connection: `node:sqlite` is synchronous, and nothing else shall wait for the disk. It answers the calls of
 * `protocol.ts` one by one.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type FunctionErrors, registerFunctions } from "./functions.ts";
import { LineCursor } from "./line_cursor.ts";
import { LockFiles } from "./lock_file.ts";
import type {
  RefusedLine,
  SqliteCall,
  SqliteFailure,
  SqliteReply,
  SqliteRequest,
  SqliteResults,
  SqliteValue,
} from "./protocol.ts";

/** Lines that are tried together once a piece has failed. */
const LINES_PER_ATTEMPT = 50;
const MAX_STATEMENTS = 64;

/** Result codes of single rows that do not fit: TOOBIG, CONSTRAINT, MISMATCH. */
const ROW_CODES = new Set([18, 19, 20]);

let database: DatabaseSync | undefined;
let functionErrors: FunctionErrors | undefined;
let cursor: LineCursor | undefined;
const locks = new LockFiles();
const statements = new Map<string, StatementSync>();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

interface Channel {
  onmessage: ((event: MessageEvent<SqliteRequest>) => void) | null;
  postMessage(reply: SqliteReply, transfer?: Transferable[]): void;
}
// The types of a page's global scope are in force here, and its postMessage is another one.
const channel = globalThis as unknown as Channel;

channel.onmessage = (event) => {
  const { id, call } = event.data;
  try {
    const result = answer(call);
    functionErrors?.throwIfAny();
    const transfer = result !== null && "bytes" in result ? [result.bytes.buffer] : [];
    channel.postMessage({ id, ok: true, result }, transfer);
  } catch (error) {
    channel.postMessage({ id, ok: false, failure: toFailure(thrownBy(error)) });
  }
};

function answer(call: SqliteCall): SqliteResults[SqliteCall["op"]] {
  switch (call.op) {
    case "open":
      return open(call.path, call.readOnly, call.busyMs);
    case "run":
      forgetStatements(call.sql);
      opened().exec(call.sql);
      return null;
    case "query":
      return query(call.sql, call.params);
    case "run_each":
      for (const params of call.params) prepared(call.sql).run(...params);
      return null;
    case "insert":
      return insert(call.sql, call.rows);
    case "change":
      return { changes: change(call.sql, call.params) };
    case "columns":
      return opened().prepare(call.sql).columns().map((column) => ({
        name: column.name,
        declared: column.type,
      }));
    case "read":
      cursor = new LineCursor(opened().prepare(call.sql), call.params);
      return null;
    case "lines":
      if (cursor === undefined) throw new Error("no query is being read");
      return cursor.next(call.maxBytes);
    case "end_read":
      cursor?.close();
      cursor = undefined;
      return null;
    case "lock":
      return { held: locks.take(call.path) };
    case "close":
      cursor?.close();
      cursor = undefined;
      locks.release();
      statements.clear();
      database?.close();
      database = undefined;
      return null;
  }
}

function open(path: string, readOnly: boolean, busyMs: number): SqliteResults["open"] {
  database = new DatabaseSync(path, { readOnly, timeout: busyMs });
  // Without a temporary file SQLite touches nothing but the database and what lies beside it.
  functionErrors = registerFunctions(database);
  database.exec("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768");
  if (!readOnly) {
    // Readers go on while a batch is written, and what is committed survives the power going off.
    database.prepare("PRAGMA journal_mode = WAL").get();
    database.exec("PRAGMA synchronous = FULL");
  }
  const version = database.prepare("SELECT sqlite_version() AS version").get();
  // A file that is no database is found out only now.
  database.prepare("SELECT count(*) AS n FROM sqlite_schema").get();
  return { version: String(version?.["version"]) };
}

/** By the driver's `all()`: its `iterate()` says nothing of errors. */
function query(sql: string, params: readonly SqliteValue[]): SqliteResults["query"] {
  const all = () => prepared(sql).all(...params) as SqliteResults["query"];
  const writes = /\bflow_/.test(sql) && /\bRETURNING\b/i.test(sql);
  if (!writes) return functionErrors?.keeping(all) ?? all();
  opened().exec("SAVEPOINT flow_query");
  try {
    const rows = functionErrors?.keeping(all) ?? all();
    functionErrors?.throwIfAny();
    return rows;
  } catch (error) {
    opened().exec("ROLLBACK TO flow_query");
    throw error;
  } finally {
    opened().exec("RELEASE flow_query");
  }
}

function change(sql: string, params: readonly SqliteValue[]): number {
  forgetStatements(sql);
  const before = totalChanges();
  const done: { readonly changes: number | bigint } | undefined = prepared(sql).run(...params);
  // Other statements than INSERT, UPDATE and DELETE leave the number as it was.
  return totalChanges() === before ? 0 : Number(done?.changes ?? 0);
}

function totalChanges(): unknown {
  return prepared("SELECT total_changes() AS n").get()?.["n"];
}

/** What a function of flow's own has thrown, where the runtime tells of something else. */
function thrownBy(error: unknown): unknown {
  try {
    functionErrors?.throwIfAny();
    return error;
  } catch (thrown) {
    return thrown;
  }
}

/** Writes a piece by one statement; when rows do not fit, by smaller ones, and returns those rows. */
function insert(sql: string, rows: Uint8Array): RefusedLine[] {
  const statement = prepared(sql);
  if (wrote(() => statement.run(rows)) === undefined) return [];
  const lines = decoder.decode(rows.subarray(1, -1)).split(",\n");
  const refused: RefusedLine[] = [];
  for (let from = 0; from < lines.length; from += LINES_PER_ATTEMPT) {
    const some = lines.slice(from, from + LINES_PER_ATTEMPT);
    if (wrote(() => statement.run(`[${some.join(",")}]`)) === undefined) continue;
    for (const line of some) {
      const error = wrote(() => statement.run(`[${line}]`));
      if (error !== undefined) refused.push({ row: rowNumber(line), error });
    }
  }
  return refused;
}

/** Does it, and returns `undefined`; or why rows do not fit, with nothing written. */
function wrote(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!isRowFailure(error)) throw error;
    return messageOf(error);
  }
}

function rowNumber(line: string): number {
  return Number((JSON.parse(line) as (string | null)[]).at(-1));
}

function prepared(sql: string): StatementSync {
  const known = statements.get(sql);
  if (known !== undefined) return known;
  if (statements.size >= MAX_STATEMENTS) statements.clear();
  const statement = opened().prepare(sql);
  statement.setReadBigInts(true);
  statements.set(sql, statement);
  return statement;
}

/** A prepared statement outlives changes of the schema only by being compiled anew; those for dropped tables are not kept. */
function forgetStatements(sql: string): void {
  if (/^\s*(CREATE|ALTER|DROP|ROLLBACK)\b/i.test(sql)) statements.clear();
}

function opened(): DatabaseSync {
  if (database === undefined) throw new Error("the database is not open");
  return database;
}

/** The row is to blame, and the transaction goes on. */
function isRowFailure(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && ROW_CODES.has(code & 0xff) && opened().isTransaction;
}

function codeOf(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function toFailure(error: unknown): SqliteFailure {
  const code = codeOf(error);
  return {
    name: error instanceof Error ? error.name : "Error",
    message: messageOf(error),
    ...(code === undefined ? {} : { code }),
    inTransaction: database?.isOpen === true && database.isTransaction,
  };
}
