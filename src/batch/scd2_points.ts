import { IS_CURRENT, ROW_HASH, VALID_FROM, VALID_TO } from "./load_context.ts";
import { isGone, sameKey } from "./row_keys.ts";
import { joinKeys } from "./scd2_keys.ts";
import {
  afterStart,
  AT,
  column,
  columnList,
  ENDS,
  EXPIRED,
  EXPIRY,
  HASH,
  insertInto,
  keyColumns,
  KIND,
  later,
  MOMENT,
  ORIGIN,
  parameter,
  POINT,
  ROW,
  type Scd2Plan,
  type Scd2Statement,
  statement,
  TIE,
} from "./scd2_plan.ts";

/** Makes the stage of points and fills it with the rows of the stage before and with the versions of their keys. */
export function pointStatements(plan: Scd2Plan): readonly Scd2Statement[] {
  const { dialect, stages } = plan;
  const create = dialect.createStage(stages.points, [
    ...keyColumns(plan),
    { name: AT, type: MOMENT },
    { name: KIND, type: "INTEGER" },
    { name: HASH, type: "BLOB" },
    { name: TIE, type: "BLOB" },
    { name: ENDS, type: MOMENT },
    { name: ORIGIN, type: MOMENT },
    { name: EXPIRED, type: "INTEGER" },
    { name: ROW, type: "BIGINT" },
  ]);
  const rowKind = plan.eventTime === undefined ? POINT.candidate : POINT.row;
  return [
    statement(plan, "make the stage of points", create),
    incomingPoints(plan, "add the rows", rowKind, column(plan, AT, "s")),
    ...plan.soft && plan.eventTime !== undefined
      ? [incomingPoints(
        plan,
        "add them again as candidates for keys that come back",
        POINT.candidate,
        parameter("started"),
        mayReturn(plan),
      )]
      : [],
    existingPoints(plan),
    closingPoints(plan),
    ...plan.ttlSeconds === undefined || plan.restates ? [] : [duePoints(plan, plan.ttlSeconds)],
  ];
}

function insertPoints(plan: Scd2Plan, names: readonly string[], query: string): string {
  return insertInto(plan, plan.stages.points, names, query);
}

/** A condition that spares most rows: a key comes back only if it has versions and none of them is open; a restatement may remove the open one. */
function mayReturn(plan: Scd2Plan): string {
  if (plan.restates) return "";
  const { table, dialect, keys } = plan;
  return ` WHERE EXISTS (SELECT 1 FROM ${table} AS c WHERE ${sameKey(dialect, keys, "c", "s")}) ` +
    `AND NOT EXISTS (SELECT 1 FROM ${table} AS o WHERE ${sameKey(dialect, keys, "o", "s")} AND ${
      column(plan, VALID_TO, "o")
    } IS NULL)`;
}

function incomingPoints(
  plan: Scd2Plan,
  title: string,
  kind: number,
  moment: string,
  condition = "",
): Scd2Statement {
  const query = `SELECT ${columnList(plan, plan.keys, "s")}, ${moment}, ${kind}, ${
    columnList(plan, [HASH, TIE, AT, ROW], "s")
  } FROM ${plan.dialect.stageName(plan.stages.rows)} AS s${condition}`;
  return statement(
    plan,
    title,
    insertPoints(plan, [...plan.keys, AT, KIND, HASH, TIE, ORIGIN, ROW], query),
  );
}

function existingPoints(plan: Scd2Plan) {
  const from = column(plan, VALID_FROM, "t");
  const kind = plan.restates
    ? `CASE WHEN ${from} >= ${parameter("restate")} THEN ${POINT.removed} ELSE ${POINT.version} END`
    : String(POINT.version);
  const query = `SELECT ${columnList(plan, plan.keys, "t")}, ${from}, ${kind}, ${
    columnList(plan, [ROW_HASH, VALID_TO, VALID_FROM], "t")
  } FROM ${plan.table} AS t ${joinKeys(plan, "t", 0)}`;
  return statement(
    plan,
    "add their versions",
    insertPoints(plan, [...plan.keys, AT, KIND, HASH, ENDS, ORIGIN], query),
  );
}

/** Ends of versions that no other version continues. A restatement opens those at or after its moment. */
function closingPoints(plan: Scd2Plan) {
  const from = column(plan, VALID_FROM, "t");
  const to = column(plan, VALID_TO, "t");
  const expired = plan.ttlSeconds === undefined
    ? "0"
    : `CASE WHEN ${to} >= ${later(plan, from, plan.ttlSeconds)} THEN ${EXPIRY.kept} ELSE 0 END`;
  const kept = plan.restates ? ` AND ${to} < ${parameter("restate")}` : "";
  const query = `SELECT ${columnList(plan, plan.keys, "t")}, ${to}, ${POINT.closing}, ${
    columnList(plan, [ROW_HASH, VALID_FROM], "t")
  }, ${expired} FROM ${plan.table} AS t ${
    joinKeys(plan, "t", 0)
  } WHERE ${to} IS NOT NULL${kept} AND NOT EXISTS (SELECT 1 FROM ${plan.table} AS n WHERE ${
    sameKey(plan.dialect, plan.keys, "n", "t")
  } AND ${column(plan, VALID_FROM, "n")} = ${to})`;
  return statement(
    plan,
    "add the ends that nothing continues",
    insertPoints(plan, [...plan.keys, AT, KIND, HASH, ORIGIN, EXPIRED], query),
  );
}

/**
 * Ends of open versions that have outlived their time. In a restatement they come last, when it is known what the version holds: rows
 * that it makes anew would else end up in other versions the second time.
 */
function duePoints(plan: Scd2Plan, ttlSeconds: number) {
  const from = column(plan, VALID_FROM, "t");
  const to = column(plan, VALID_TO, "t");
  const query = `SELECT ${columnList(plan, plan.keys, "t")}, ${
    later(plan, from, ttlSeconds)
  }, ${POINT.closing}, ${
    columnList(plan, [ROW_HASH, VALID_FROM], "t")
  }, ${EXPIRY.due} FROM ${plan.table} AS t ${joinKeys(plan, "t", 0)} WHERE ${from} < ${
    parameter("cutoff")
  } AND ${to} IS NULL`;
  return statement(
    plan,
    "add the ends of versions that outlived ttlSeconds",
    insertPoints(plan, [...plan.keys, AT, KIND, HASH, ORIGIN, EXPIRED], query),
  );
}

/** Keys that rows of different values share, where no event time could order them. */
export function ambiguousKeysQuery(plan: Scd2Plan, limit: number): string {
  const keys = columnList(plan, plan.keys, "p");
  return `SELECT ${keys} FROM ${plan.dialect.stageName(plan.stages.points)} AS p WHERE ${
    column(plan, KIND, "p")
  } = ${POINT.candidate} GROUP BY ${keys} HAVING COUNT(DISTINCT ${
    column(plan, HASH, "p")
  }) > 1 LIMIT ${limit}`;
}

/** Closes the open versions of keys that the source does not have any more. */
export function closeMissingStatement(plan: Scd2Plan): Scd2Statement {
  const from = column(plan, VALID_FROM, "t");
  const text = `UPDATE ${plan.table} AS t SET ${column(plan, VALID_TO)} = ${
    afterStart(plan, parameter("started"), from)
  }, ${column(plan, IS_CURRENT)} = FALSE WHERE ${column(plan, VALID_TO, "t")} IS NULL AND ${
    isGone(plan.dialect, plan.keys, plan.relation)
  }`;
  return statement(plan, "close the versions of keys that are gone from the source", text);
}
