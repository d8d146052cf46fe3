import type { DatabaseSession } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import { Binder, type Statement } from "./binder.ts";
import { BATCH_ID, type LoadContext, type LoadCounts, LOADED_AT } from "./load_context.ts";
import { comparable } from "./projection.ts";
import { censusSql, countKeys, isGone, sameKey } from "./row_keys.ts";
import { timestampOf } from "./time_value.ts";

/** Updates the rows that are there and differ; undefined when there is no column to update. */
function updateStatement(context: LoadContext): Statement | undefined {
  const { session: { dialect }, target } = context;
  if (target.valueColumns.length === 0) return undefined;
  const bind = new Binder(dialect);
  const set = {
    ...Object.fromEntries(target.valueColumns.map((name) => [name, `s.${dialect.quote(name)}`])),
    [LOADED_AT]: timestampOf(bind, dialect, context.startedMicros),
    [BATCH_ID]: bind.value(context.batchId, "UUID"),
  };
  const differs = target.valueColumns.map((name) =>
    dialect.differs(compared(context, "t", name), compared(context, "s", name))
  );
  const sql = dialect.updateFrom({
    table: target.table,
    source: context.relation,
    set,
    on: `${sameKey(dialect, target.keys, "t", "s")} AND (${differs.join(" OR ")})`,
  });
  return { sql, params: bind.params };
}

/** Inserts the rows whose key is not there. */
function insertStatement(context: LoadContext): Statement {
  const { session: { dialect }, target } = context;
  const names = target.columns.map(({ name }) => dialect.quote(name));
  const all = [...names, dialect.quote(LOADED_AT), dialect.quote(BATCH_ID)];
  const bind = new Binder(dialect);
  const values = [
    ...names.map((name) => `s.${name}`),
    timestampOf(bind, dialect, context.startedMicros),
  ];
  const sql = `INSERT INTO ${target.table} (${all.join(", ")}) SELECT ${values.join(", ")}, ${
    bind.value(context.batchId, "UUID")
  } FROM ${context.relation} AS s WHERE NOT EXISTS (SELECT 1 FROM ${target.table} AS x WHERE ${
    sameKey(dialect, target.keys, "x", "s")
  })`;
  return { sql, params: bind.params };
}

/** Inserts and updates at once, where the database has a statement for it and the table an index that it needs. */
function upsertStatement(context: LoadContext): Statement | undefined {
  const { session: { dialect }, target } = context;
  if (dialect.upsert === undefined || !target.keysAreUnique) return undefined;
  if (target.valueColumns.length === 0) return undefined;
  const bind = new Binder(dialect);
  const insert = {
    ...Object.fromEntries(target.columns.map(({ name }) => [name, `s.${dialect.quote(name)}`])),
    [LOADED_AT]: timestampOf(bind, dialect, context.startedMicros),
    [BATCH_ID]: bind.value(context.batchId, "UUID"),
  };
  const differs = target.valueColumns.map((name) =>
    dialect.differs(compared(context, "t", name), compared(context, "excluded", name))
  );
  const sql = dialect.upsert({
    table: target.table,
    source: context.relation,
    insert,
    keys: target.keys,
    update: [...target.valueColumns, LOADED_AT, BATCH_ID],
    where: differs.join(" OR "),
  });
  return { sql, params: bind.params };
}

/** Deletes the rows whose key is gone from the source. */
function deleteStatement(context: LoadContext): Statement {
  const { session: { dialect }, target } = context;
  const gone = isGone(dialect, target.keys, context.relation);
  return { sql: dialect.deleteWhere(target.table, gone), params: [] };
}

/** The statements of a merge in their order. */
export interface MergeStatements {
  readonly census: string;
  /** One statement that gives both counts, or two. */
  readonly change:
    | { readonly upsert: Statement }
    | { readonly update: Statement | undefined; readonly insert: Statement };
  /** Under `handleDeletes = "hard"`. */
  readonly remove: Statement | undefined;
}

/** What a merge executes, and previews show. */
export function mergeStatements(context: LoadContext): MergeStatements {
  const upsert = upsertStatement(context);
  return {
    census: censusSql(context),
    change: upsert === undefined
      ? { update: updateStatement(context), insert: insertStatement(context) }
      : { upsert },
    remove: context.target.spec.handleDeletes === "hard" ? deleteStatement(context) : undefined,
  };
}

/**
 * Brings the rows into the table by their keys: changed ones are updated, new ones inserted, and under `handleDeletes = "hard"` those that
 * are gone deleted. A second run of the same rows changes nothing.
 *
 * @throws FlowError `key_null`, `key_duplicate`, `empty_source`
 */
export async function applyMerge(context: LoadContext): Promise<LoadCounts> {
  const { session } = context;
  const statements = mergeStatements(context);
  const census = await countKeys(context, statements.census);
  const { remove } = statements;
  if (remove !== undefined && census.rows === 0) await refuseEmptySource(context);
  const { rowsInserted, rowsUpdated } = await insertAndUpdate(session, statements);
  return {
    rowsInserted,
    rowsUpdated,
    rowsUnchanged: census.rows - rowsInserted - rowsUpdated,
    ...(remove === undefined ? {} : { rowsDeleted: await session.run(remove.sql, remove.params) }),
  };
}

async function insertAndUpdate(
  session: DatabaseSession,
  { change }: MergeStatements,
): Promise<{ readonly rowsInserted: number; readonly rowsUpdated: number }> {
  if ("upsert" in change) {
    const [counts] = await session.rows(change.upsert.sql, change.upsert.params);
    return {
      rowsInserted: Number(counts?.["inserted"] ?? 0),
      rowsUpdated: Number(counts?.["updated"] ?? 0),
    };
  }
  const { update, insert } = change;
  const rowsUpdated = update === undefined ? 0 : await session.run(update.sql, update.params);
  return { rowsInserted: await session.run(insert.sql, insert.params), rowsUpdated };
}

/**
 * A source without rows would delete everything: that is an accident more often than not.
 *
 * @throws FlowError `empty_source` unless the definition allows it or there is nothing to delete
 */
async function refuseEmptySource({ session, target }: LoadContext): Promise<void> {
  if (target.spec.allowEmptySource) return;
  const [some] = await session.rows(`SELECT 1 AS one FROM ${target.table} LIMIT 1`);
  if (some === undefined) return;
  throw new FlowError(
    `the source gave no rows, and handleDeletes would delete every row of ${target.table}`,
    {
      code: "empty_source",
      domain: "user",
      hint: "see why the source is empty; if it may be, set allowEmptySource = true",
      details: { table: target.table },
    },
  );
}

function compared({ session: { dialect }, target }: LoadContext, alias: string, name: string) {
  return comparable(dialect, target.columns, alias, name);
}
