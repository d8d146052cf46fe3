import type { LoadTarget } from "../../core/database.ts";
import { FlowError } from "../../core/error.ts";
import { type Column, quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import { withoutStatement } from "../../sql/sql_error.ts";
import type { PostgresConnection } from "./connection.ts";
import { wireValue } from "./wire_value.ts";

/** Rows that the engine renders at a time: one slice is rendered while the one before it is on its way. */
const SLICE_ROWS = 1 << 16;
let stages = 0;

/**
 * Writes the result of a query of the engine into a table or stage by COPY; returns the rows.
 *
 * @throws FlowError `load_rejected` when a value would arrive changed, `target_type_mismatch`, `target_column_generated`; the server's error
 */
export async function loadFromEngine(
  connection: PostgresConnection,
  into: LoadTarget,
  engineQuery: string,
  session: Session,
  signal: AbortSignal,
): Promise<number> {
  const columns = await session.describe(engineQuery);
  stages += 1;
  const stage = quoteIdentifier(`flow_postgres_load_${stages}`);
  const values = into.columns.map((target, at) => {
    const column = columns[at];
    if (column === undefined || columns.length !== into.columns.length) {
      throw columnsDiffer(into, columns);
    }
    return `${exactValue(into, column, target)} AS c${at + 1}`;
  });
  try {
    await session.run(
      `CREATE TEMP TABLE ${stage} AS SELECT ${values.join(", ")} FROM (${engineQuery}) AS q`,
    );
    const [count] = await session.rows<{ n: bigint }>(`SELECT count(*) AS n FROM ${stage}`);
    const text = session.exportText(slices(stage, Number(count?.n ?? 0n)), "csv", {
      delimiter: delimiterFor(into),
    });
    return await connection.copyIn(copySql(into), text, signal);
  } catch (error) {
    // The engine fails where a value does not fit; everything else was checked when the query was described.
    if (error instanceof FlowError && /^sql_(failed|invalid)$/.test(error.code)) {
      throw rejected(into, error);
    }
    throw error;
  } finally {
    await session.run(`DROP TABLE IF EXISTS ${stage}`).catch(() => {});
  }
}

function exactValue(into: LoadTarget, column: Column, target: LoadTarget["columns"][number]) {
  // Text for a JSON column is JSON text here, whoever made the column.
  const { expr, badCondition } = wireValue(into.table, column, { ...target, widens: false });
  if (badCondition === undefined) return expr;
  const value = `left(CAST(${quoteIdentifier(column.name)} AS VARCHAR), 80)`;
  const message = `${quoteLiteral(`column "${target.name}": the value '`)} || ${value} || ${
    quoteLiteral(`' does not fit ${target.nativeType}`)
  }`;
  return `CASE WHEN ${badCondition} THEN error(${message}) ELSE ${expr} END`;
}

function slices(stage: string, rows: number): readonly string[] {
  const queries: string[] = [];
  for (let from = 0; from < rows; from += SLICE_ROWS) {
    queries.push(
      `SELECT * FROM ${stage} WHERE rowid >= ${from} AND rowid < ${from + SLICE_ROWS}`,
    );
  }
  return queries;
}

/**
 * A lone text column is a trap: `\.` on a line of its own ends the COPY unless quoted. As the delimiter cannot occur in a line of one column,
 * a backslash in that place makes the engine quote every text that has one.
 */
function delimiterFor(into: LoadTarget): string {
  return into.columns.length === 1 ? "\\" : ",";
}

function copySql(into: LoadTarget): string {
  return `COPY ${into.table} (${columnList(into)}) FROM STDIN ` +
    `(FORMAT csv, DELIMITER ${quoteLiteral(delimiterFor(into))}, ENCODING 'UTF8')`;
}

/** The columns that a load fills, quoted. */
export function columnList(into: LoadTarget): string {
  return into.columns.map(({ name }) => quoteIdentifier(name)).join(", ");
}

function rejected(into: LoadTarget, error: FlowError): FlowError {
  return new FlowError(`cannot load into ${into.table}: ${withoutStatement(error.message)}`, {
    code: "load_rejected",
    domain: "user",
    details: { table: into.table },
    cause: error,
  });
}

function columnsDiffer(into: LoadTarget, columns: readonly Column[]): FlowError {
  return new FlowError(
    `cannot load ${columns.length} columns into the ${into.columns.length} of ${into.table}`,
    { code: "load_columns_differ", domain: "internal" },
  );
}
