import { BATCH_ID, IS_CURRENT, LOADED_AT, ROW_HASH, VALID_FROM, VALID_TO } from "./load_context.ts";
import { sameKey } from "./row_keys.ts";
import { incoming, joinKeys } from "./scd2_keys.ts";
import {
  ACTED,
  ACTION,
  AT,
  carriedColumns,
  column,
  columnList,
  comparable,
  HASH,
  later,
  parameter,
  ROW,
  rowHash,
  type Scd2Plan,
  type Scd2Statement,
  statement,
  UNTIL,
  WAS_OPEN,
} from "./scd2_plan.ts";

/** Counts the changes: `acted`, `was_open`, `is_open` (0 or 1) and `n`. */
export function changeCountStatement(plan: Scd2Plan): Scd2Statement {
  const open = `CASE WHEN ${column(plan, UNTIL, "s")} IS NULL THEN 1 ELSE 0 END`;
  const parts = `${column(plan, ACTED, "s")}, ${column(plan, WAS_OPEN, "s")}, ${open}`;
  return statement(
    plan,
    "count the changes",
    `SELECT ${column(plan, ACTED, "s")} AS acted, ${
      column(plan, WAS_OPEN, "s")
    } AS was_open, ${open} ` +
      `AS is_open, COUNT(*) AS n FROM ${
        plan.dialect.stageName(plan.stages.changes)
      } AS s GROUP BY ${parts}`,
  );
}

/** Ends versions, or gives them another end. */
export function moveStatement(plan: Scd2Plan): Scd2Statement {
  return update(plan, "end versions", changes(plan, ACTION.move), ends(plan));
}

/** Replaces the values of versions. */
export function correctStatement(plan: Scd2Plan): Scd2Statement {
  return update(plan, "correct versions", changesWithValues(plan, ACTION.correct), {
    ...values(
      plan,
      plan.columns.map(({ name }) => name).filter((name) => !plan.keys.includes(name)),
    ),
    ...ends(plan),
    [ROW_HASH]: column(plan, HASH, "s"),
    ...stamps(),
  });
}

/** Replaces columns that are not compared, where a restatement finds others; undefined when all are compared. */
export function refreshStatement(plan: Scd2Plan): Scd2Statement | undefined {
  if (!plan.restates) return undefined;
  const names = carriedColumns(plan);
  if (names.length === 0) return undefined;
  const differs = names.map((name) =>
    plan.dialect.differs(comparable(plan, name, "t"), comparable(plan, name, "s"))
  );
  return update(
    plan,
    "refresh columns that are not compared",
    changesWithValues(plan, ACTION.refresh),
    { ...values(plan, names), ...stamps() },
    `(${differs.join(" OR ")})`,
  );
}

/** Removes versions that collapsed into the one before, or that a restatement does not make again. */
export function removeStatement(plan: Scd2Plan): Scd2Statement {
  const names = [...plan.keys, VALID_FROM];
  const condition = `(${columnList(plan, names, "t")}) IN (SELECT ${
    columnList(plan, [...plan.keys, AT], "s")
  } FROM ${changes(plan, ACTION.remove)} AS s)`;
  return statement(plan, "remove versions", plan.dialect.deleteWhere(plan.table, condition));
}

/** Writes the new versions. */
export function insertStatement(plan: Scd2Plan): Scd2Statement {
  const text = insertVersions(plan, `${changesWithValues(plan, ACTION.insert)} AS s`, {
    until: column(plan, UNTIL, "s"),
    hash: column(plan, HASH, "s"),
  });
  return statement(plan, "insert versions", text);
}

/** Writes the rows of new keys that have one row each: they need no timeline. */
export function insertSinglesStatement(plan: Scd2Plan): Scd2Statement {
  const { ttlSeconds } = plan;
  const at = column(plan, AT, "s");
  const source = `${incoming(plan)} AS s ${joinKeys(plan, "s", 1)}`;
  const until = ttlSeconds === undefined
    ? "NULL"
    : `CASE WHEN ${at} < ${parameter("cutoff")} THEN ${later(plan, at, ttlSeconds)} END`;
  const hash = rowHash(plan, "s", plan.valueColumns);
  return statement(
    plan,
    "insert the rows of new keys with one row",
    insertVersions(plan, source, { until, hash }),
  );
}

/** `source`: a FROM item that calls the rows `s`, with all columns and {@link AT}. */
function insertVersions(
  plan: Scd2Plan,
  source: string,
  { until, hash }: { readonly until: string; readonly hash: string },
): string {
  const names = plan.columns.map(({ name }) => name);
  const into = [...names, VALID_FROM, VALID_TO, IS_CURRENT, ROW_HASH, LOADED_AT, BATCH_ID];
  return `INSERT INTO ${plan.table} (${columnList(plan, into)}) SELECT ${
    columnList(plan, [...names, AT], "s")
  }, ${until}, ${isOpen(until)}, ${hash}, ${parameter("started")}, ${
    parameter("batch")
  } FROM ${source}`;
}

function update(
  plan: Scd2Plan,
  title: string,
  source: string,
  set: Readonly<Record<string, string>>,
  condition?: string,
): Scd2Statement {
  const text = plan.dialect.updateFrom({
    table: plan.table,
    source,
    set,
    on: `${sameKey(plan.dialect, plan.keys, "t", "s")} AND ${column(plan, VALID_FROM, "t")} = ${
      column(plan, AT, "s")
    }${condition === undefined ? "" : ` AND ${condition}`}`,
  });
  return statement(plan, title, text);
}

/** Changes of one kind. */
function changes(plan: Scd2Plan, action: number): string {
  const names = [...plan.keys, AT, UNTIL];
  return `(SELECT ${columnList(plan, names, "c")} FROM ${
    plan.dialect.stageName(plan.stages.changes)
  } AS c WHERE ${column(plan, ACTED, "c")} = ${action})`;
}

/** Changes of one kind with the values of the rows that they were made from. */
function changesWithValues(plan: Scd2Plan, action: number): string {
  const { dialect, stages } = plan;
  const names = plan.columns.map(({ name }) => name);
  return `(SELECT ${columnList(plan, names, "r")}, ${
    columnList(plan, [AT, UNTIL, HASH], "c")
  } FROM ${dialect.stageName(stages.changes)} AS c JOIN ${dialect.stageName(stages.rows)} AS r ON ${
    column(plan, ROW, "r")
  } = ${column(plan, ROW, "c")} WHERE ${column(plan, ACTED, "c")} = ${action})`;
}

function isOpen(until: string): string {
  return `CASE WHEN ${until} IS NULL THEN TRUE ELSE FALSE END`;
}

function ends(plan: Scd2Plan): Readonly<Record<string, string>> {
  const until = column(plan, UNTIL, "s");
  return { [VALID_TO]: until, [IS_CURRENT]: isOpen(until) };
}

function stamps(): Readonly<Record<string, string>> {
  return { [LOADED_AT]: parameter("started"), [BATCH_ID]: parameter("batch") };
}

function values(plan: Scd2Plan, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, column(plan, name, "s")]));
}
