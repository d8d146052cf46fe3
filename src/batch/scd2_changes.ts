import { BATCH_ID, IS_CURRENT, LOADED_AT, ROW_HASH, VALID_FROM, VALID_TO } from "./load_context.ts";
import { sameKey } from "./row_keys.ts";
import {
  ACTED,
  ACTION,
  AT,
  carriedColumns,
  column,
  columnList,
  comparable,
  HASH,
  parameter,
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
  return update(plan, "end versions", ends(plan), acts(plan, ACTION.move));
}

/** Replaces the values of versions. */
export function correctStatement(plan: Scd2Plan): Scd2Statement {
  return update(plan, "correct versions", {
    ...values(
      plan,
      plan.columns.map(({ name }) => name).filter((name) => !plan.keys.includes(name)),
    ),
    ...ends(plan),
    [ROW_HASH]: column(plan, HASH, "s"),
    ...stamps(),
  }, acts(plan, ACTION.correct));
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
    { ...values(plan, names), ...stamps() },
    `${acts(plan, ACTION.refresh)} AND (${differs.join(" OR ")})`,
  );
}

/** Removes versions that collapsed into the one before, or that a restatement does not make again. */
export function removeStatement(plan: Scd2Plan): Scd2Statement {
  const names = [...plan.keys, VALID_FROM];
  const condition = `(${columnList(plan, names, "t")}) IN (SELECT ${
    columnList(plan, [...plan.keys, AT], "s")
  } FROM ${plan.dialect.stageName(plan.stages.changes)} AS s WHERE ${acts(plan, ACTION.remove)})`;
  return statement(plan, "remove versions", plan.dialect.deleteWhere(plan.table, condition));
}

/** Writes the new versions. */
export function insertStatement(plan: Scd2Plan): Scd2Statement {
  const names = plan.columns.map(({ name }) => name);
  const into = [...names, VALID_FROM, VALID_TO, IS_CURRENT, ROW_HASH, LOADED_AT, BATCH_ID];
  const text = `INSERT INTO ${plan.table} (${columnList(plan, into)}) SELECT ${
    columnList(plan, [...names, AT, UNTIL], "s")
  }, ${isOpen(plan)}, ${column(plan, HASH, "s")}, ${parameter("started")}, ${
    parameter("batch")
  } FROM ${plan.dialect.stageName(plan.stages.changes)} AS s WHERE ${acts(plan, ACTION.insert)}`;
  return statement(plan, "insert versions", text);
}

function update(
  plan: Scd2Plan,
  title: string,
  set: Readonly<Record<string, string>>,
  condition: string,
): Scd2Statement {
  const text = plan.dialect.updateFrom({
    table: plan.table,
    source: plan.dialect.stageName(plan.stages.changes),
    set,
    on: `${sameKey(plan.dialect, plan.keys, "t", "s")} AND ${column(plan, VALID_FROM, "t")} = ${
      column(plan, AT, "s")
    } AND ${condition}`,
  });
  return statement(plan, title, text);
}

function acts(plan: Scd2Plan, action: number): string {
  return `${column(plan, ACTED, "s")} = ${action}`;
}

function isOpen(plan: Scd2Plan): string {
  return `CASE WHEN ${column(plan, UNTIL, "s")} IS NULL THEN TRUE ELSE FALSE END`;
}

function ends(plan: Scd2Plan): Readonly<Record<string, string>> {
  return { [VALID_TO]: column(plan, UNTIL, "s"), [IS_CURRENT]: isOpen(plan) };
}

function stamps(): Readonly<Record<string, string>> {
  return { [LOADED_AT]: parameter("started"), [BATCH_ID]: parameter("batch") };
}

function values(plan: Scd2Plan, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, column(plan, name, "s")]));
}
