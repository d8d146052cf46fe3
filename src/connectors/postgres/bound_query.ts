import type { SqlValue } from "../../core/session.ts";
import { TEXT_TYPE } from "./column_types.ts";
import type { PostgresConnection } from "./connection.ts";
import { replacePlaceholders } from "./placeholders.ts";
import { isServerError } from "./postgres_error.ts";
import type { Prepared, PreparedColumn } from "./preparation.ts";

/** A query without parameters, for statements that take none, such as COPY. */
export interface BoundQuery {
  readonly sql: string;
  readonly columns: readonly PreparedColumn[];
}

/**
 * Has the server find out the types of a query's parameters and columns. A parameter whose type nothing tells (`$1 IS NULL`) is text.
 *
 * @param inTransaction a transaction is open, which an error must not end before all types are found
 */
export async function prepareQuery(
  connection: PostgresConnection,
  query: string,
  parameterCount: number,
  inTransaction: boolean,
  signal: AbortSignal,
): Promise<Prepared> {
  const types = Array.from({ length: parameterCount }, () => 0);
  const guards = inTransaction && parameterCount > 0;
  if (guards) await connection.query("SAVEPOINT flow_prepare", undefined, signal);
  for (;;) {
    try {
      const prepared = await connection.prepare(query, types, signal);
      if (guards) await connection.query("RELEASE SAVEPOINT flow_prepare", undefined, signal);
      return prepared;
    } catch (error) {
      const at = undeterminedParameter(error);
      if (at === undefined || types[at] !== 0) throw error;
      types[at] = TEXT_TYPE;
      if (guards) await connection.query("ROLLBACK TO SAVEPOINT flow_prepare", undefined, signal);
    }
  }
}

/** Which parameter the server found no type for, from 0. */
function undeterminedParameter(error: unknown): number | undefined {
  if (!isServerError(error) || error.code !== "42P18") return undefined;
  // The text may be translated, the sign is not.
  const found = /\$(\d+)/.exec(error.message)?.[1];
  return found === undefined ? undefined : Number(found) - 1;
}

/**
 * The query with its values put where statements without parameters find them: in settings of the session, read back with the types
 * that the server found out for the parameters.
 */
export async function bindQuery(
  connection: PostgresConnection,
  query: string,
  params: readonly SqlValue[],
  inTransaction: boolean,
  signal: AbortSignal,
): Promise<BoundQuery> {
  const prepared = await prepareQuery(connection, query, params.length, inTransaction, signal);
  if (params.length === 0) return { sql: query, columns: prepared.columns };
  const types = await typeTexts(connection, prepared.parameterTypes, signal);
  for (const [at, value] of params.entries()) {
    if (value === null) continue;
    await connection.query(
      "SELECT set_config($1, $2, false)",
      [setting(at), settingText(value)],
      signal,
    );
  }
  const sql = replacePlaceholders(query, (index) => {
    const type = types[index - 1] ?? "text";
    return params[index - 1] === null
      ? `CAST(NULL AS ${type})`
      : `CAST(current_setting('${setting(index - 1)}') AS ${type})`;
  });
  return { sql, columns: prepared.columns };
}

function setting(at: number): string {
  return `flow.p${at + 1}`;
}

function settingText(value: Exclude<SqlValue, null>): string {
  return value instanceof Uint8Array ? `\\x${value.toHex()}` : String(value);
}

async function typeTexts(
  connection: PostgresConnection,
  oids: readonly number[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { rows } = await connection.query<{ name: string }>(
    "SELECT format_type(oid, NULL) AS name FROM unnest($1::oid[]) WITH ORDINALITY AS t(oid, place) ORDER BY place",
    [oids],
    signal,
  );
  return rows.map(({ name }) => name);
}
