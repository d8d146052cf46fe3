import { quoteIdentifier, quoteLiteral } from "../../core/schema.ts";
import type { Session } from "../../core/session.ts";
import { breaksConstraint, type Epoch } from "./epoch.ts";
import {
  type DuckdbConstraint,
  type DuckdbTable,
  type DuckdbTableName,
  readConstraints,
} from "./table.ts";

/** Staged rows that meet a table: which of its columns they have, and where. */
export interface StagedRows {
  /** The staged table as SQL takes it. */
  readonly sql: string;
  /** Target column by staged column. */
  readonly columns: readonly { readonly staged: string; readonly target: string }[];
  readonly keys: readonly string[];
  readonly mode: "append" | "merge";
}

/** A staged row that cannot be written, by its number in the staged table. */
export interface BrokenRow {
  readonly rowId: bigint;
  readonly error: string;
}

const BAD = "temp.flow_broken";

/**
 * Finds the staged rows that break a CHECK, a foreign key, or a unique key: set-wise, by the rules that the table declares. Of rows with
 * the same unique key the first is good.
 */
export async function findBroken(
  session: Session,
  name: DuckdbTableName,
  table: DuckdbTable,
  rows: StagedRows,
): Promise<BrokenRow[]> {
  const shaped = shapedRows(table, rows);
  await session.run(`CREATE TEMP TABLE flow_broken (id BIGINT, error VARCHAR)`);
  const constraints = await readConstraints(session, name);
  const order = { check: 0, foreign: 1, unique: 2 };
  constraints.sort((a, b) => order[a.kind] - order[b.kind]);
  for (const constraint of constraints) {
    const query = brokenQuery(name, shaped, rows, constraint);
    if (query === undefined) continue;
    await session.run(
      `INSERT INTO ${BAD} SELECT id, ${quoteLiteral(`breaks ${constraint.text}`)} || reason ` +
        `FROM (${query}) WHERE id NOT IN (SELECT id FROM ${BAD})`,
    );
  }
  const found = await session.rows<{ id: bigint; error: string }>(
    `SELECT id, error FROM ${BAD} ORDER BY id`,
  );
  await session.run(`DROP TABLE ${BAD}`);
  return found.map(({ id, error }) => ({ rowId: id, error }));
}

/** The staged rows under the names of the target's columns, those that they lack with their default, and `__flow_id`. */
function shapedRows(table: DuckdbTable, rows: StagedRows): string {
  const staged = new Map(rows.columns.map((column) => [column.target, column.staged]));
  const items = table.columns.map((column) => {
    const from = staged.get(column.name);
    const expr = from ?? (column.defaultExpr?.includes("nextval") ? null : column.defaultExpr);
    return `CAST(${expr ?? "NULL"} AS ${column.type}) AS ${quoteIdentifier(column.name)}`;
  });
  return `(SELECT rowid AS __flow_id, ${items.join(", ")} FROM ${rows.sql})`;
}

function brokenQuery(
  name: DuckdbTableName,
  shaped: string,
  rows: StagedRows,
  constraint: DuckdbConstraint,
): string | undefined {
  const { expressions } = constraint;
  const good = `__flow_id NOT IN (SELECT id FROM ${BAD})`;
  if (constraint.kind === "check") {
    return `SELECT __flow_id AS id, '' AS reason FROM ${shaped} ` +
      `WHERE ${good} AND NOT (${expressions[0] ?? "true"})`;
  }
  const keys = expressions.map((expression, at) => `${expression} AS k${at}`).join(", ");
  const present = expressions.map((expression) => `${expression} IS NOT NULL`).join(" AND ");
  const shown = expressions.map((_e, at) => `CAST(k${at} AS VARCHAR)`).join(" || ', ' || ");
  const same = expressions.map((_e, at) => `other.k${at} = own.k${at}`).join(" AND ");
  if (constraint.kind === "foreign") {
    const { table, columns } = constraint.referenced ?? { table: "", columns: [] };
    const others = columns.map((column, at) => `${column} AS k${at}`).join(", ");
    return `SELECT __flow_id AS id, ': there is no ' || ${shown} AS reason FROM ` +
      `(SELECT __flow_id, ${keys} FROM ${shaped} WHERE ${good} AND ${present}) own ` +
      `ANTI JOIN (SELECT ${others} FROM ${table}) other ON ${same}`;
  }
  const isMergeKey = rows.mode === "merge" && expressions.length === rows.keys.length &&
    rows.keys.every((key) => expressions.includes(quoteIdentifier(key)));
  if (isMergeKey) return undefined;
  // A merged row may meet its own former self.
  const mergeKeys = rows.mode === "merge" ? rows.keys : [];
  const ids = mergeKeys.map((key, at) => `, ${quoteIdentifier(key)} AS m${at}`).join("");
  const different = mergeKeys.map((_k, at) => `own.m${at} IS DISTINCT FROM other.m${at}`);
  const notSelf = different.length === 0 ? "" : ` AND (${different.join(" OR ")})`;
  return `WITH own AS (SELECT __flow_id, ${keys}${ids} FROM ${shaped} WHERE ${good} AND ${present}), ` +
    `taken AS (SELECT DISTINCT own.__flow_id AS id FROM own ` +
    `JOIN (SELECT ${keys}${ids} FROM ${name.sql}) other ON ${same}${notSelf}), ` +
    `again AS (SELECT __flow_id AS id FROM own WHERE __flow_id NOT IN (SELECT id FROM taken) ` +
    `QUALIFY row_number() OVER (PARTITION BY ${
      expressions.map((_e, at) => `k${at}`).join(", ")
    } ORDER BY __flow_id) > 1) ` +
    `SELECT own.__flow_id AS id, ': there is a row with ' || ${shown} AS reason FROM own ` +
    `WHERE own.__flow_id IN (SELECT id FROM taken UNION ALL SELECT id FROM again)`;
}

/**
 * Writes staged rows by halves until those that break a rule stand alone: for rules that {@link findBroken} cannot see.
 *
 * @param write writes the rows from `from` up to `to`, `from` included, as one step
 */
export async function writeByHalves(
  epoch: Epoch,
  from: bigint,
  to: bigint,
  write: (session: Session, from: bigint, to: bigint) => Promise<void>,
): Promise<BrokenRow[]> {
  try {
    await epoch.apply((session) => write(session, from, to));
    return [];
  } catch (error) {
    if (!breaksConstraint(error)) throw error;
    if (to - from <= 1n) {
      return [{ rowId: from, error: error.message.replace(/^Constraint Error: /, "") }];
    }
  }
  const middle = (from + to) / 2n;
  return [
    ...await writeByHalves(epoch, from, middle, write),
    ...await writeByHalves(epoch, middle, to, write),
  ];
}
