import type { LoadTarget } from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import { withoutStatement } from "../../sql/sql_error.ts";
import type { SqliteClient } from "./client.ts";
import { rowArrays } from "./lines.ts";
import { declaredType } from "./type_map.ts";
import { type WireColumn, wireColumn } from "./wire.ts";

/**
 * Writes the result of an engine's query into a table or stage: as arrays of JSON rows that one statement takes apart in SQLite. A value
 * that does not fit ends it.
 *
 * @throws FlowError `load_rejected` (user).
 */
export async function loadRows(
  client: SqliteClient,
  into: LoadTarget,
  query: string,
  session: Session,
  signal: AbortSignal,
): Promise<number> {
  const columns = await wireColumns(client, into, await session.describe(query));
  const names = columns.map(({ target }) => quoteIdentifier(target.name));
  const values = columns.map(({ taken }, at) => taken(`json_extract(flow_rows.value, '$[${at}]')`));
  const sql = `INSERT OR ABORT INTO ${into.table} (${names.join(", ")}) ` +
    `SELECT ${values.join(", ")} FROM json_each(CAST(?1 AS TEXT)) AS flow_rows WHERE true`;
  const interrupt = () => session.interrupt();
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    let rows = 0;
    let writing: Promise<{ readonly changes: number }> = Promise.resolve({ changes: 0 });
    for await (const piece of rowArrays(session.exportText(linesQuery(query, columns), "ndjson"))) {
      rows += (await writing).changes;
      signal.throwIfAborted();
      writing = client.call({ op: "change", sql, params: [piece] });
      // It is awaited in the next round; a failure must not count as unhandled before.
      writing.catch(() => {});
    }
    return rows + (await writing).changes;
  } catch (error) {
    throw unfit(error, into.table);
  } finally {
    signal.removeEventListener("abort", interrupt);
  }
}

async function wireColumns(
  client: SqliteClient,
  into: LoadTarget,
  given: readonly Column[],
): Promise<WireColumn[]> {
  const names = into.columns.map((column) => quoteIdentifier(column.name)).join(", ");
  // What a value becomes in the column is up to the column's declaration, which a stage may have of SQLite's own making.
  const declared = await client.call({
    op: "columns",
    sql: `SELECT ${names} FROM ${into.table}`,
  });
  return into.columns.map((target, at) => {
    const column = { name: `c${at}`, type: given[at]?.type ?? "NULL" };
    const declaration = declared[at]?.declared ?? "";
    const { affinity } = declaredType(declaration, false);
    const wire = wireColumn(column, {
      ...target,
      affinity,
      declared: declaration,
      generated: false,
      widens: false,
    }, false);
    if (wire !== undefined) return wire;
    throw rejected(
      `cannot load into ${into.table}: column "${target.name}" is ${target.type}, the rows have ${column.type}`,
    );
  });
}

function linesQuery(query: string, columns: readonly WireColumn[]): string {
  const texts = columns.map(({ checks, text }) => {
    const cases = checks.map(({ condition, reason }) => `WHEN ${condition} THEN error(${reason})`);
    return cases.length === 0 ? text : `CASE ${cases.join(" ")} ELSE ${text} END`;
  });
  const names = columns.map((_, at) => `c${at}`);
  return `SELECT CAST(to_json([${texts.join(", ")}]) AS VARCHAR) || ',' ` +
    `FROM (\n${query}\n) AS loaded (${names.join(", ")})`;
}

function unfit(error: unknown, table: string): unknown {
  if (!(error instanceof FlowError) || !/^sql_(invalid|failed)$/.test(error.code)) return error;
  return rejected(`cannot load into ${table}: ${withoutStatement(error.message)}`, error);
}

function rejected(message: string, cause?: unknown): FlowError {
  return new FlowError(message, {
    code: "load_rejected",
    domain: "user",
    hint: "correct the value with SQL in the query, or change the table",
    ...(cause === undefined ? {} : { cause }),
  });
}
