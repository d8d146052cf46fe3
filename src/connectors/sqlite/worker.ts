/**
 * The Worker that owns one SQLite connection: `node:sqlite` is synchronous, and nothing else shall wait for the disk. It answers the calls of
 * `protocol.ts` one by one.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type {
  InsertPlan,
  RefusedLine,
  SqliteCall,
  SqliteFailure,
  SqliteReply,
  SqliteRequest,
  SqliteResults,
  SqliteValue,
} from "./protocol.ts";

/** Values bound by one statement: more make statements slower to bind, fewer slower to step. */
const VALUES_PER_STATEMENT = 800;
const MAX_STATEMENTS = 64;

/** Result codes of single rows that do not fit: TOOBIG, CONSTRAINT, MISMATCH. */
const ROW_CODES = new Set([18, 19, 20]);

let database: DatabaseSync | undefined;
const statements = new Map<string, StatementSync>();
const decoder = new TextDecoder();

interface Channel {
  onmessage: ((event: MessageEvent<SqliteRequest>) => void) | null;
  postMessage(reply: SqliteReply): void;
}
// The types of a page's global scope are in force here, and its postMessage is another one.
const channel = globalThis as unknown as Channel;

channel.onmessage = (event) => {
  const { id, call } = event.data;
  try {
    channel.postMessage({ id, ok: true, result: answer(call) });
  } catch (error) {
    channel.postMessage({ id, ok: false, failure: toFailure(error) });
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
      return prepared(call.sql).all(...call.params) as SqliteResults["query"];
    case "run_each":
      for (const params of call.params) prepared(call.sql).run(...params);
      return null;
    case "insert":
      return insert(call.plan, call.lines);
    case "close":
      statements.clear();
      database?.close();
      database = undefined;
      return null;
  }
}

function open(path: string, readOnly: boolean, busyMs: number): SqliteResults["open"] {
  database = new DatabaseSync(path, { readOnly, timeout: busyMs });
  // Without a temporary file SQLite touches nothing but the database and what lies beside it.
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

/** Writes a piece; rows that do not fit are left out and returned. */
function insert(plan: InsertPlan, lines: Uint8Array): RefusedLine[] {
  // JSON escapes line ends, so that this is found between rows only: all values of the piece become one flat array.
  const flat = JSON.parse(decoder.decode(lines).replaceAll("]\n[", ",")) as (string | null)[];
  const stride = plan.width + 1;
  const rows = flat.length / stride;
  const perStatement = Math.max(1, Math.floor(VALUES_PER_STATEMENT / plan.width));
  const one = prepared(sqlOf(plan, 1));
  const refused: RefusedLine[] = [];
  for (let from = 0; from < rows; from += perStatement) {
    const to = Math.min(from + perStatement, rows);
    if (
      to - from === perStatement && wrote(prepared(sqlOf(plan, perStatement)), plan, flat, from, to)
    ) {
      continue;
    }
    for (let row = from; row < to; row += 1) {
      try {
        one.run(...valuesOf(plan, flat, row, row + 1));
      } catch (error) {
        if (!isRowFailure(error)) throw error;
        refused.push({ row: Number(flat[row * stride + plan.width]), error: messageOf(error) });
      }
    }
  }
  return refused;
}

function sqlOf(plan: InsertPlan, rows: number): string {
  return `${plan.head}${new Array(rows).fill(plan.row).join(", ")}${plan.tail}`;
}

/** Writes several rows by one statement; false, and nothing written, when one of them does not fit. */
function wrote(
  statement: StatementSync,
  plan: InsertPlan,
  flat: readonly (string | null)[],
  from: number,
  to: number,
): boolean {
  try {
    statement.run(...valuesOf(plan, flat, from, to));
    return true;
  } catch (error) {
    if (!isRowFailure(error)) throw error;
    return false;
  }
}

function valuesOf(
  plan: InsertPlan,
  flat: readonly (string | null)[],
  from: number,
  to: number,
): SqliteValue[] {
  const { width, reals } = plan;
  const values = new Array<SqliteValue>(width * (to - from));
  let at = 0;
  for (let row = from; row < to; row += 1) {
    const start = row * (width + 1);
    for (const place of reals) {
      const text = flat[start + place];
      if (text != null) values[at + place] = toReal(text);
    }
    for (let place = 0; place < width; place += 1) {
      values[at + place] ??= flat[start + place] ?? null;
    }
    at += width;
  }
  return values;
}

function toReal(text: string): number {
  if (text === "inf") return Infinity;
  return text === "-inf" ? -Infinity : Number(text);
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
