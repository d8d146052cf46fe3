import { IS_CURRENT, ROW_HASH, VALID_FROM, VALID_TO } from "./load_context.ts";
import { isGone, sameKey } from "./row_keys.ts";
import {
  afterStart,
  AT,
  carriedColumns,
  column,
  columnList,
  comparable,
  ENDS,
  EXPIRED,
  EXPIRY,
  HASH,
  KIND,
  later,
  MOMENT,
  ORIGIN,
  parameter,
  POINT,
  rowHash,
  type Scd2Plan,
  type Scd2Statement,
  statement,
  TIE,
} from "./scd2_plan.ts";

/** The incoming rows with their moment as {@link AT}. */
function incoming(plan: Scd2Plan): string {
  const { eventTime, dialect } = plan;
  const names = plan.columns.map(({ name }) => name);
  if (eventTime === undefined) {
    return `(SELECT ${columnList(plan, names, "r")}, ${parameter("started")} AS ${
      column(plan, AT)
    } FROM ${plan.relation} AS r)`;
  }
  const time = column(plan, eventTime.name, "r");
  const moment = eventTime.type === MOMENT
    ? time
    : dialect.cast({ sql: time, type: eventTime.type }, MOMENT);
  return `(SELECT ${columnList(plan, names, "r")}, COALESCE(${moment}, ${
    parameter("started")
  }) AS ${column(plan, AT)} FROM ${plan.relation} AS r)`;
}

/**
 * Makes the stage of keys with something to do: keys of rows that no version of equal values covers (also those with NULL, which are refused
 * then), keys that come back, keys with a version to expire, keys with versions to restate.
 */
export function keysStatement(plan: Scd2Plan): Scd2Statement {
  const { dialect, table, keys } = plan;
  const from = column(plan, VALID_FROM, "t");
  const to = column(plan, VALID_TO, "t");
  const at = column(plan, AT, "s");
  const covers = plan.eventTime === undefined
    ? `${to} IS NULL`
    : `${from} <= ${at} AND (${to} IS NULL OR ${at} < ${to})`;
  const lives = plan.soft && plan.eventTime !== undefined
    ? ` AND (${to} IS NULL OR EXISTS (SELECT 1 FROM ${table} AS o WHERE ${
      sameKey(dialect, keys, "o", "t")
    } AND ${column(plan, VALID_TO, "o")} IS NULL))`
    : "";
  // Values are compared rather than hashes: most rows are as they were, and making their hashes would be most of the work.
  const differs = plan.valueColumns.map((name) =>
    dialect.differs(comparable(plan, name, "t"), comparable(plan, name, "s"))
  );
  const same = differs.length === 0 ? "" : ` AND NOT (${differs.join(" OR ")})`;
  const parts = [
    `SELECT DISTINCT ${columnList(plan, keys, "s")} FROM ${incoming(plan)} AS s WHERE NOT EXISTS ` +
    `(SELECT 1 FROM ${table} AS t WHERE ${
      sameKey(dialect, keys, "t", "s")
    } AND ${covers}${same}${lives})`,
  ];
  if (plan.ttlSeconds !== undefined) {
    parts.push(
      `SELECT ${columnList(plan, keys, "t")} FROM ${table} AS t WHERE ${to} IS NULL AND ${from} < ${
        parameter("cutoff")
      }`,
    );
  }
  if (plan.restates) {
    parts.push(
      `SELECT ${columnList(plan, keys, "t")} FROM ${table} AS t WHERE ${from} >= ${
        parameter("restate")
      } OR ${to} >= ${parameter("restate")}`,
    );
  }
  return statement(
    plan,
    "find the keys with something to do",
    dialect.createStageAs(plan.stages.keys, parts.join(" UNION ")),
  );
}

/** Counts of the stage of keys: `n`, and `nulls_0`, `nulls_1` … with NULL in the key column of that index. */
export function keyCountStatement(plan: Scd2Plan): Scd2Statement {
  const nulls = plan.keys.map((key, index) =>
    `, COALESCE(SUM(CASE WHEN ${column(plan, key)} IS NULL THEN 1 ELSE 0 END), 0) AS nulls_${index}`
  );
  return statement(
    plan,
    "count them",
    `SELECT COUNT(*) AS n${nulls.join("")} FROM ${plan.dialect.stageName(plan.stages.keys)} AS k`,
  );
}

/** Makes the stage of points and fills it for the keys with something to do. */
export function pointStatements(plan: Scd2Plan): readonly Scd2Statement[] {
  const { dialect, stages } = plan;
  const create = dialect.createStage(stages.points, [
    { name: AT, type: MOMENT },
    { name: KIND, type: "INTEGER" },
    { name: HASH, type: "BLOB" },
    { name: TIE, type: "BLOB" },
    { name: ENDS, type: MOMENT },
    { name: ORIGIN, type: MOMENT },
    { name: EXPIRED, type: "INTEGER" },
    ...plan.columns,
  ]);
  const rowKind = plan.eventTime === undefined ? POINT.candidate : POINT.row;
  return [
    statement(plan, "make the stage of points", create),
    incomingPoints(plan, "fetch the rows of these keys", rowKind, column(plan, AT, "s")),
    ...plan.soft && plan.eventTime !== undefined
      ? [incomingPoints(
        plan,
        "fetch them again as candidates for keys that come back",
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

/** `(k1, k2) IN (the keys with something to do)`; they hold no NULL any more. */
function amongKeys(plan: Scd2Plan, qualifier: string): string {
  const own = columnList(plan, plan.keys, qualifier);
  return `${plan.keys.length === 1 ? own : `(${own})`} IN (SELECT ${
    columnList(plan, plan.keys, "k")
  } FROM ${plan.dialect.stageName(plan.stages.keys)} AS k)`;
}

function insertPoints(plan: Scd2Plan, names: readonly string[], query: string): string {
  return `INSERT INTO ${plan.dialect.stageName(plan.stages.points)} (${
    columnList(plan, names)
  }) ${query}`;
}

/** A condition that spares most rows: a key comes back only if it has versions and none of them is open; a restatement may remove the open one. */
function mayReturn(plan: Scd2Plan): string {
  if (plan.restates) return "";
  const { table, dialect, keys } = plan;
  return ` AND EXISTS (SELECT 1 FROM ${table} AS c WHERE ${sameKey(dialect, keys, "c", "s")}) ` +
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
  const names = plan.columns.map(({ name }) => name);
  // Rows of one moment have one event time.
  const carried = carriedColumns(plan).filter((name) => name !== plan.eventTime?.name);
  const tie = carried.length === 0 ? "NULL" : rowHash(plan, "s", carried);
  const query = `SELECT ${moment}, ${kind}, ${rowHash(plan, "s", plan.valueColumns)}, ${tie}, ${
    column(plan, AT, "s")
  }, ${columnList(plan, names, "s")} FROM ${incoming(plan)} AS s WHERE ${
    amongKeys(plan, "s")
  }${condition}`;
  return statement(plan, title, insertPoints(plan, [AT, KIND, HASH, TIE, ORIGIN, ...names], query));
}

function existingPoints(plan: Scd2Plan) {
  const from = column(plan, VALID_FROM, "t");
  const kind = plan.restates
    ? `CASE WHEN ${from} >= ${parameter("restate")} THEN ${POINT.removed} ELSE ${POINT.version} END`
    : String(POINT.version);
  const query = `SELECT ${columnList(plan, plan.keys, "t")}, ${from}, ${kind}, ${
    columnList(plan, [ROW_HASH, VALID_TO, VALID_FROM], "t")
  } FROM ${plan.table} AS t WHERE ${amongKeys(plan, "t")}`;
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
  }, ${expired} FROM ${plan.table} AS t WHERE ${
    amongKeys(plan, "t")
  } AND ${to} IS NOT NULL${kept} AND NOT EXISTS (SELECT 1 FROM ${plan.table} AS n WHERE ${
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
  }, ${EXPIRY.due} FROM ${plan.table} AS t WHERE ${amongKeys(plan, "t")} AND ${from} < ${
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
