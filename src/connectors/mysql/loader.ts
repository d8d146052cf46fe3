import type { LoadTarget } from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import type { Session } from "../../core/session.ts";
import { withoutStatement } from "../../sql/sql_error.ts";
import type { MysqlConnection } from "./connection.ts";
import { insertStatement, loadDataStatement, type LoadPlan, loadPlan } from "./load_text.ts";
import { isLocalInfileRefused } from "./mysql_error.ts";

/** Bytes of JSON in one INSERT: well below the smallest max_allowed_packet in use. */
const INSERT_BYTES = 1024 * 1024;
const NEWLINE = 10;
const UNFIT =
  /^(Constraint|Conversion|Out of Range|Mismatch Type) Error|^Invalid Input Error: the value '/;

/**
 * Writes the result of the engine's query into the table, within the transaction that is open, and returns the rows: by LOAD DATA LOCAL INFILE
 * where the server takes it, else by INSERTs of JSON.
 *
 * @throws FlowError `load_rejected` (user) when a value or constraint does not fit; then the transaction must be rolled back
 */
export async function loadRows(
  connection: MysqlConnection,
  into: LoadTarget,
  engineQuery: string,
  session: Session,
  signal: AbortSignal,
): Promise<number> {
  const stop = () => session.interrupt();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const query = engineQuery.replace(/[;\s]+$/, "");
    const plan = loadPlan(into.table, into.columns, query, await session.describe(query));
    try {
      return await loadFile(connection, plan, session, signal);
    } catch (error) {
      if (!isLocalInfileRefused(error)) throw error;
    }
    return await insertArrays(connection, plan, session, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw unfit(error, into);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** What the engine says of values that do not fit is what the table would have said. */
function unfit(error: unknown, into: LoadTarget): unknown {
  if (!(error instanceof FlowError) || !/^sql_(invalid|failed)$/.test(error.code)) return error;
  if (!UNFIT.test(error.message)) return error;
  const reason = withoutStatement(error.message).replace(/^[A-Za-z ]+ Error: /, "");
  return rejected(into.table, reason, error);
}

function rejected(table: string, text: string, cause?: unknown): FlowError {
  return new FlowError(`cannot load into ${table}: ${text}`, {
    code: "load_rejected",
    domain: "user",
    hint: "correct the value with SQL in the query, or change the table",
    ...(cause === undefined ? {} : { cause }),
  });
}

async function loadFile(
  connection: MysqlConnection,
  plan: LoadPlan,
  session: Session,
  signal: AbortSignal,
): Promise<number> {
  let sent = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const piece of session.exportText(plan.lines, "ndjson")) {
      for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) sent += 1;
      yield piece;
    }
  };
  const { affected, warnings } = await connection.sendFile(
    loadDataStatement(plan),
    counted(),
    signal,
  );
  // LOCAL turns errors into warnings: values are cut, and rows with a key that is there are left out.
  const told = warnings === 0 ? [] : await seriousWarnings(connection, signal);
  if (told.length > 0) throw rejected(plan.table, told.join("; "));
  if (affected !== sent) {
    throw rejected(
      plan.table,
      `the server took ${affected} of ${sent} rows, the others have keys that are there`,
    );
  }
  return sent;
}

async function seriousWarnings(
  connection: MysqlConnection,
  signal: AbortSignal,
): Promise<string[]> {
  const { rows } = await connection.query("SHOW WARNINGS LIMIT 20", [], signal);
  const serious = rows.filter(([level]) => level !== "Note");
  return serious.slice(0, 3).map(([, , message]) => String(message));
}

/** The way for servers that refuse LOAD DATA LOCAL. Returns the rows. */
export async function insertArrays(
  connection: MysqlConnection,
  plan: LoadPlan,
  session: Session,
  signal: AbortSignal,
): Promise<number> {
  const statement = insertStatement(plan);
  let taken = 0;
  for await (const { text, rows } of jsonBatches(session.exportText(plan.arrays, "ndjson"))) {
    const { affected } = await connection.query(statement, [text], signal);
    if (affected !== rows) {
      throw rejected(plan.table, `the server took ${affected} of ${rows} rows`);
    }
    taken += rows;
  }
  return taken;
}

/** Lines of JSON as arrays of about a megabyte; a longer line is one of its own. */
async function* jsonBatches(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ readonly text: string; readonly rows: number }> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let lines: string[] = [];
  let length = 0;
  let rest = "";
  for await (const piece of pieces) {
    const parts = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      if (length + line.length > INSERT_BYTES && lines.length > 0) {
        yield { text: `[${lines.join(",")}]`, rows: lines.length };
        lines = [];
        length = 0;
      }
      lines.push(line);
      length += line.length + 1;
    }
  }
  if (lines.length > 0) yield { text: `[${lines.join(",")}]`, rows: lines.length };
}
