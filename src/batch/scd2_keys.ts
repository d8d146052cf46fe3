import { VALID_FROM, VALID_TO } from "./load_context.ts";
import { sameKey } from "./row_keys.ts";
import {
  AT,
  carriedColumns,
  column,
  columnList,
  comparable,
  HASH,
  insertInto,
  MOMENT,
  parameter,
  ROW,
  rowHash,
  type Scd2Plan,
  type Scd2Statement,
  SINGLE,
  statement,
  TIE,
} from "./scd2_plan.ts";

/** The incoming rows with their moment as {@link AT}. */
export function incoming(plan: Scd2Plan): string {
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
 * then), keys that come back, keys with a version to expire, keys with versions to restate. {@link SINGLE} is 1 where there is one row and
 * no version was seen; {@link knownKeysStatement} has to follow.
 */
export function keysStatement(plan: Scd2Plan): Scd2Statement {
  const { dialect, stages, table, keys } = plan;
  const from = column(plan, VALID_FROM, "t");
  const to = column(plan, VALID_TO, "t");
  const parts = [rowKeys(plan)];
  const versionKeys = `SELECT ${columnList(plan, keys, "t")}, 2 AS n FROM ${table} AS t WHERE`;
  if (plan.ttlSeconds !== undefined) {
    parts.push(`${versionKeys} ${to} IS NULL AND ${from} < ${parameter("cutoff")}`);
  }
  if (plan.restates) {
    const restate = parameter("restate");
    parts.push(`${versionKeys} ${from} >= ${restate} OR ${to} >= ${restate}`);
  }
  const uniqueKeys = columnList(plan, keys, "u");
  // `n` is 1 for a row, and 2 where the key is seen to have a version. Of a new key all rows are counted, since no version covers one.
  const query = `SELECT ${uniqueKeys}, CASE WHEN SUM(u.n) = 1 THEN 1 ELSE 0 END AS ${
    column(plan, SINGLE)
  } FROM (${parts.join(" UNION ALL ")}) AS u GROUP BY ${uniqueKeys}`;
  // Not a stage that is made first and filled then: Postgres reads in parallel for CREATE TABLE AS, not for INSERT.
  return statement(
    plan,
    "find the keys with something to do",
    dialect.createStageAs(stages.keys, query),
  );
}

/** Finds those of the keys with one row that are not new after all. */
export function knownKeysStatement(plan: Scd2Plan): Scd2Statement {
  const { dialect, stages, table, keys } = plan;
  const text = `UPDATE ${dialect.stageName(stages.keys)} AS k SET ${
    column(plan, SINGLE)
  } = 0 WHERE ${column(plan, SINGLE, "k")} = 1 AND EXISTS (SELECT 1 FROM ${table} AS t WHERE ${
    sameKey(dialect, keys, "t", "k")
  })`;
  return statement(plan, "tell keys that have versions from new ones", text);
}

/** The keys of incoming rows that no version of equal values covers. */
function rowKeys(plan: Scd2Plan): string {
  const { dialect, table, keys } = plan;
  const from = column(plan, VALID_FROM, "t");
  const to = column(plan, VALID_TO, "t");
  const at = column(plan, AT, "s");
  const own = columnList(plan, keys, "s");
  const isSameKey = sameKey(dialect, keys, "t", "s");
  // Values are compared rather than hashes: most rows are as they were, and making their hashes would be most of the work.
  const differs = plan.valueColumns.map((name) =>
    dialect.differs(comparable(plan, name, "t"), comparable(plan, name, "s"))
  ).join(" OR ");
  if (plan.eventTime === undefined) {
    // A key has one open version at most. DuckDB joins six times as quickly as it looks whether there is one.
    const rest = differs === "" ? "" : ` OR ${differs}`;
    return `SELECT ${own}, CASE WHEN ${from} IS NULL THEN 1 ELSE 2 END AS n FROM ${
      incoming(plan)
    } AS s ` +
      `LEFT JOIN ${table} AS t ON ${isSameKey} AND ${to} IS NULL WHERE ${from} IS NULL${rest}`;
  }
  const lives = plan.soft
    ? ` AND (${to} IS NULL OR EXISTS (SELECT 1 FROM ${table} AS o WHERE ${
      sameKey(dialect, keys, "o", "t")
    } AND ${column(plan, VALID_TO, "o")} IS NULL))`
    : "";
  const same = differs === "" ? "" : ` AND NOT (${differs})`;
  return `SELECT ${own}, 1 AS n FROM ${incoming(plan)} AS s WHERE NOT EXISTS ` +
    `(SELECT 1 FROM ${table} AS t WHERE ${isSameKey} AND ${from} <= ${at} ` +
    `AND (${to} IS NULL OR ${at} < ${to})${same}${lives})`;
}

/** Counts of the stage of keys: `n`, `singles`, and `nulls_0`, `nulls_1` … with NULL in the key column of that index. */
export function keyCountStatement(plan: Scd2Plan): Scd2Statement {
  const nulls = plan.keys.map((key, index) =>
    `, COALESCE(SUM(CASE WHEN ${column(plan, key)} IS NULL THEN 1 ELSE 0 END), 0) AS nulls_${index}`
  );
  return statement(
    plan,
    "count them",
    `SELECT COUNT(*) AS n, COALESCE(SUM(${column(plan, SINGLE)}), 0) AS singles${
      nulls.join("")
    } FROM ${plan.dialect.stageName(plan.stages.keys)} AS k`,
  );
}

/**
 * `JOIN` of a relation with the keys that need a timeline, or with those whose one row is a version as it is. The stage has each key once,
 * and none with NULL any more. It needs no index: the relation, which is the incoming rows or the table, has one where that counts.
 */
export function joinKeys(plan: Scd2Plan, qualifier: string, single: 0 | 1): string {
  return `JOIN ${plan.dialect.stageName(plan.stages.keys)} AS k ON ${
    sameKey(plan.dialect, plan.keys, "k", qualifier)
  } AND ${column(plan, SINGLE, "k")} = ${single}`;
}

/** Makes the stage of rows: those of keys that need a timeline, numbered, with their hashes. */
export function rowStatements(plan: Scd2Plan): readonly Scd2Statement[] {
  const { dialect, stages } = plan;
  const names = plan.columns.map(({ name }) => name);
  const create = dialect.createStage(stages.rows, [
    { name: ROW, type: "BIGINT" },
    ...plan.columns,
    { name: AT, type: MOMENT },
    { name: HASH, type: "BLOB" },
    { name: TIE, type: "BLOB" },
  ], [ROW]);
  // Rows of one moment have one event time.
  const carried = carriedColumns(plan).filter((name) => name !== plan.eventTime?.name);
  const tie = carried.length === 0 ? "NULL" : rowHash(plan, "s", carried);
  const query = `SELECT ROW_NUMBER() OVER (), ${columnList(plan, [...names, AT], "s")}, ${
    rowHash(plan, "s", plan.valueColumns)
  }, ${tie} FROM ${incoming(plan)} AS s ${joinKeys(plan, "s", 0)}`;
  return [
    statement(plan, "make the stage of rows", create),
    statement(
      plan,
      "fetch the rows of keys that need a timeline",
      insertInto(plan, stages.rows, [ROW, ...names, AT, HASH, TIE], query),
    ),
  ];
}
