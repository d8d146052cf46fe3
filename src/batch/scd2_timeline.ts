import {
  ACTED,
  ACTION,
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
  UNTIL,
  WAS_OPEN,
} from "./scd2_plan.ts";

/** Columns of a change besides its key. */
const CHANGE_COLUMNS = [ROW, AT, UNTIL, HASH, ACTED, WAS_OPEN];

/** Names of what one layer of the query finds out for the next ones. */
const RANK = "_flow_rank";
const LAST_AT = "_flow_last_at";
const LAST_CLOSING = "_flow_last_closing";
const LAST_LIVE = "_flow_last_live";
const END_HASH = "_flow_end_hash";
const REMOVED_AT = "_flow_removed_at";
const END_EXPIRED = "_flow_end_expired";
const EXISTED = "_flow_existed";
const WAS_UNTIL = "_flow_was_until";
const WAS_HASH = "_flow_was_hash";
const NEXT_KIND = "_flow_next_kind";
const HAS_ROWS = "_flow_has_rows";
const HAD_OPEN = "_flow_had_open";
const HAD_END = "_flow_had_end";
const PREVIOUS_KIND = "_flow_previous_kind";
const PREVIOUS_HASH = "_flow_previous_hash";
const NEXT_HASH = "_flow_next_hash";
const GROUP_AT = "_flow_group_at";
const ASIDE = "_flow_aside";
const NEXT_AT = "_flow_next_at";

/**
 * Makes the stage of changes: from the points of each key its new timeline, compared with the versions that are there. It is a pile of
 * layers, one subquery each, since a window function cannot refer to another: candidates find their moment, one point per moment wins,
 * expired ends that a later row overrules go, points of equal hash collapse, each version gets its end, and what differs from the table stays.
 */
export function changesStatements(plan: Scd2Plan): readonly Scd2Statement[] {
  let query = `SELECT p.* FROM ${plan.dialect.stageName(plan.stages.points)} AS p`;
  if (plan.eventTime === undefined) query = placeRows(plan, query);
  else if (plan.soft) query = placeReturns(plan, query);
  query = onePerMoment(plan, query);
  if (plan.ttlSeconds !== undefined) query = dropOverruledEnds(plan, query);
  query = collapse(plan, query);
  query = ends(plan, query);
  query = actions(plan, query);
  const { dialect, keys, stages } = plan;
  const create = dialect.createStage(stages.changes, [
    ...keyColumns(plan),
    { name: ROW, type: "BIGINT" },
    { name: AT, type: MOMENT },
    { name: UNTIL, type: MOMENT },
    { name: HASH, type: "BLOB" },
    { name: ACTED, type: "INTEGER" },
    { name: WAS_OPEN, type: "INTEGER" },
  ], keys);
  return [
    statement(plan, "make the stage of changes", create),
    statement(
      plan,
      "work out what changes in their timelines",
      insertInto(plan, stages.changes, [...keys, ...CHANGE_COLUMNS], query),
    ),
  ];
}

/** Adds columns to those of the query. */
function adding(plan: Scd2Plan, query: string, added: Readonly<Record<string, string>>): string {
  const columns = Object.entries(added).map(([name, sql]) => `${sql} AS ${column(plan, name)}`);
  return `SELECT a.*, ${columns.join(", ")} FROM (${query}) AS a`;
}

/** The query's rows for which the condition holds, with some of its columns made anew; of `a` there are the base columns and `kept`. */
function remaking(
  plan: Scd2Plan,
  query: string,
  made: Readonly<Record<string, string>>,
  kept: readonly string[],
  where?: string,
): string {
  const base = [...plan.keys, ROW, AT, KIND, HASH, ORIGIN, EXPIRED, ...kept];
  const columns = base.map((name) =>
    made[name] === undefined ? column(plan, name, "b") : `${made[name]} AS ${column(plan, name)}`
  );
  return `SELECT ${columns.join(", ")} FROM (${query}) AS b${
    where === undefined ? "" : ` WHERE ${where}`
  }`;
}

/** `OVER (PARTITION BY the key, further ORDER BY order)`. */
function over(plan: Scd2Plan, further: readonly string[] = [], order?: string): string {
  const parts = [columnList(plan, plan.keys, "a"), ...further].join(", ");
  return `OVER (PARTITION BY ${parts}${order === undefined ? "" : ` ORDER BY ${order}`})`;
}

function a(plan: Scd2Plan, name: string): string {
  return column(plan, name, "a");
}

function b(plan: Scd2Plan, name: string): string {
  return column(plan, name, "b");
}

/**
 * Rows without event time take place now, after all that is there (clocks differ: a version may start in the future). A row whose equal
 * version has expired is left out.
 */
function placeRows(plan: Scd2Plan, query: string): string {
  const kind = a(plan, KIND);
  const known = `${kind} < ${POINT.candidate}`;
  const expires = plan.ttlSeconds !== undefined;
  const facts = adding(plan, query, {
    [LAST_AT]: `MAX(CASE WHEN ${known} THEN ${a(plan, AT)} END) ${over(plan)}`,
    ...expires
      ? {
        [END_HASH]: `FIRST_VALUE(CASE WHEN ${known} AND ${a(plan, EXPIRED)} > 0 THEN ${
          a(plan, HASH)
        } END) ${
          over(plan, [], `CASE WHEN ${known} THEN 0 ELSE 1 END, ${a(plan, AT)} DESC, ${kind} DESC`)
        }`,
      }
      : {},
  });
  const isCandidate = `${b(plan, KIND)} = ${POINT.candidate}`;
  const moment = `CASE WHEN ${b(plan, LAST_AT)} IS NULL THEN ${parameter("started")} ELSE ${
    afterStart(plan, parameter("started"), b(plan, LAST_AT))
  } END`;
  return remaking(
    plan,
    facts,
    {
      [AT]: `CASE WHEN ${isCandidate} THEN ${moment} ELSE ${b(plan, AT)} END`,
      [KIND]: `CASE WHEN ${isCandidate} THEN ${POINT.row} ELSE ${b(plan, KIND)} END`,
    },
    [ENDS, TIE],
    expires
      ? `${b(plan, KIND)} < ${POINT.candidate} OR ${b(plan, END_HASH)} IS NULL OR ${
        plan.dialect.differs(b(plan, END_HASH), b(plan, HASH))
      }`
      : undefined,
  );
}

/**
 * With a full picture of the source, a key whose timeline ends in a closing comes back with its latest row, unless it has expired. One that
 * a restatement deprives of its last version comes back where that began: else each restatement would move it.
 */
function placeReturns(plan: Scd2Plan, query: string): string {
  const kind = a(plan, KIND);
  const at = a(plan, AT);
  const isClosing = `${kind} = ${POINT.closing}`;
  const facts = adding(plan, query, {
    [LAST_CLOSING]: `MAX(CASE WHEN ${isClosing} THEN ${at} END) ${over(plan)}`,
    [LAST_LIVE]: `MAX(CASE WHEN ${kind} IN (${POINT.version}, ${POINT.row}) THEN ${at} END) ${
      over(plan)
    }`,
    [END_EXPIRED]: `FIRST_VALUE(${a(plan, EXPIRED)}) ${
      over(plan, [], `CASE WHEN ${isClosing} THEN 0 ELSE 1 END, ${at} DESC`)
    }`,
    ...plan.restates
      ? { [REMOVED_AT]: `MAX(CASE WHEN ${lastRemoved(plan)} THEN ${at} END) ${over(plan)}` }
      : {},
    [RANK]: `ROW_NUMBER() ${
      over(plan, [kind], `${a(plan, ORIGIN)} DESC, ${a(plan, HASH)} DESC, ${a(plan, TIE)} DESC`)
    }`,
  });
  const isCandidate = `${b(plan, KIND)} = ${POINT.candidate}`;
  const closing = b(plan, LAST_CLOSING);
  const removed = plan.restates ? `${b(plan, REMOVED_AT)} IS NOT NULL` : "FALSE";
  const moment = `CASE WHEN ${closing} > ${parameter("started")} THEN ${closing} ELSE ${
    b(plan, AT)
  } END`;
  const placed = plan.restates ? `COALESCE(${b(plan, REMOVED_AT)}, ${moment})` : moment;
  return remaking(
    plan,
    facts,
    {
      [AT]: `CASE WHEN ${isCandidate} THEN ${placed} ELSE ${b(plan, AT)} END`,
      [KIND]: `CASE WHEN ${isCandidate} THEN ${POINT.row} ELSE ${b(plan, KIND)} END`,
    },
    [ENDS, TIE],
    `${b(plan, KIND)} < ${POINT.candidate} OR (${b(plan, RANK)} = 1 AND ${closing} > ${
      b(plan, LAST_LIVE)
    } AND (${b(plan, END_EXPIRED)} = 0 OR ${removed}))`,
  );
}

/** Of the versions that a restatement removes, one that was open, or was so until it expired. */
function lastRemoved(plan: Scd2Plan): string {
  const wasOpen = `${a(plan, ENDS)} IS NULL`;
  const open = plan.ttlSeconds === undefined
    ? wasOpen
    : `(${wasOpen} OR ${a(plan, ENDS)} >= ${later(plan, a(plan, AT), plan.ttlSeconds)})`;
  return `${a(plan, KIND)} = ${POINT.removed} AND ${open}`;
}

/** One point per moment; what was there at that moment is kept beside it. */
function onePerMoment(plan: Scd2Plan, query: string): string {
  const kind = a(plan, KIND);
  const isThere = `${kind} IN (${POINT.removed}, ${POINT.version})`;
  const moment = over(plan, [a(plan, AT)], `${kind}, ${a(plan, HASH)}, ${a(plan, TIE)}`);
  const facts = adding(plan, query, {
    [EXISTED]: `FIRST_VALUE(CASE WHEN ${isThere} THEN 1 ELSE 0 END) ${moment}`,
    [WAS_UNTIL]: `FIRST_VALUE(${a(plan, ENDS)}) ${moment}`,
    [WAS_HASH]: `FIRST_VALUE(CASE WHEN ${isThere} THEN ${a(plan, HASH)} END) ${moment}`,
    [NEXT_KIND]: `LEAD(${kind}) ${moment}`,
    ...closesInTimeline(plan)
      ? {
        [HAS_ROWS]: `MAX(CASE WHEN ${kind} >= ${POINT.row} THEN 1 ELSE 0 END) ${over(plan)}`,
        [HAD_OPEN]: `MAX(CASE WHEN ${isThere} AND ${a(plan, ENDS)} IS NULL THEN 1 ELSE 0 END) ${
          over(plan)
        }`,
        [HAD_END]: `MAX(${a(plan, ENDS)}) ${over(plan)}`,
      }
      : {},
  });
  return remaking(plan, facts, {}, momentFacts(plan), `${b(plan, NEXT_KIND)} IS NULL`);
}

/** A restatement opens versions of keys that the source does not have any more; these are closed here, others by a plain UPDATE. */
function closesInTimeline(plan: Scd2Plan): boolean {
  return plan.soft && plan.restates;
}

function momentFacts(plan: Scd2Plan): readonly string[] {
  return [
    EXISTED,
    WAS_UNTIL,
    WAS_HASH,
    ...closesInTimeline(plan) ? [HAS_ROWS, HAD_OPEN, HAD_END] : [],
  ];
}

/** Points that are no part of the timeline, so that windows do not see them between others. */
function apart(plan: Scd2Plan): string {
  return `CASE WHEN ${a(plan, KIND)} = ${POINT.removed} THEN 1 ELSE 0 END`;
}

/** True where a version begins: the point before is a closing, has another hash, or is not there. */
function begins(plan: Scd2Plan): string {
  return `${a(plan, KIND)} >= ${POINT.version} AND (${a(plan, PREVIOUS_KIND)} IS NULL OR ${
    a(plan, PREVIOUS_KIND)
  } = ${POINT.closing} OR ${a(plan, PREVIOUS_HASH)} <> ${a(plan, HASH)})`;
}

/**
 * The end of an expired version is no fact of the source. It does not close another version that a late row begins before it, and an end
 * that this run would make gives way to the next version.
 */
function dropOverruledEnds(plan: Scd2Plan, query: string): string {
  const timeline = over(plan, [apart(plan)], a(plan, AT));
  const neighbours = adding(plan, query, {
    [PREVIOUS_KIND]: `LAG(${a(plan, KIND)}) ${timeline}`,
    [PREVIOUS_HASH]: `LAG(${a(plan, HASH)}) ${timeline}`,
    [NEXT_HASH]: `LEAD(${a(plan, HASH)}) ${timeline}`,
  });
  const groups = adding(plan, neighbours, {
    [GROUP_AT]: `MAX(CASE WHEN ${begins(plan)} THEN ${a(plan, AT)} END) ${timeline}`,
  });
  const overruled = `${b(plan, KIND)} = ${POINT.closing} AND ${b(plan, EXPIRED)} > 0 AND (${
    b(plan, GROUP_AT)
  } > ${b(plan, ORIGIN)} OR (${b(plan, EXPIRED)} = ${EXPIRY.due} AND ${b(plan, NEXT_HASH)} <> ${
    b(plan, PREVIOUS_HASH)
  }))`;
  return remaking(
    plan,
    groups,
    { [KIND]: `CASE WHEN ${overruled} THEN ${POINT.removed} ELSE ${b(plan, KIND)} END` },
    momentFacts(plan),
  );
}

/**
 * When the source showed a point. The row with which a key comes back counts from its own time: it stands where a version began that is
 * gone after the first restatement, and the next one would find another end.
 */
function seenAt(plan: Scd2Plan): string {
  if (!closesInTimeline(plan) || plan.eventTime === undefined) return a(plan, AT);
  return `CASE WHEN ${a(plan, KIND)} = ${POINT.row} THEN ${a(plan, ORIGIN)} ELSE ${
    a(plan, AT)
  } END`;
}

/** Sets aside the points that begin no version. */
function collapse(plan: Scd2Plan, query: string): string {
  const timeline = over(plan, [apart(plan)], a(plan, AT));
  const neighbours = adding(plan, query, {
    [PREVIOUS_KIND]: `LAG(${a(plan, KIND)}) ${timeline}`,
    [PREVIOUS_HASH]: `LAG(${a(plan, HASH)}) ${timeline}`,
    ...plan.ttlSeconds === undefined
      ? {}
      : { [LAST_AT]: `MAX(${seenAt(plan)}) ${over(plan, [apart(plan)])}` },
  });
  return adding(plan, neighbours, {
    [ASIDE]: `CASE WHEN ${a(plan, KIND)} = ${POINT.closing} OR (${begins(plan)}) THEN 0 ELSE 1 END`,
  });
}

/** The end of each version: the next point; without one it is open, has expired, or its key is gone. */
function ends(plan: Scd2Plan, query: string): string {
  const next = adding(plan, query, {
    [NEXT_AT]: `LEAD(${a(plan, AT)}) ${over(plan, [a(plan, ASIDE)], a(plan, AT))}`,
  });
  const at = a(plan, AT);
  const cases = [`WHEN ${a(plan, NEXT_AT)} IS NOT NULL THEN ${a(plan, NEXT_AT)}`];
  if (plan.ttlSeconds !== undefined) {
    const due = later(plan, at, plan.ttlSeconds);
    cases.push(
      `WHEN ${at} < ${parameter("cutoff")} THEN ${afterStart(plan, due, a(plan, LAST_AT))}`,
    );
  }
  if (closesInTimeline(plan)) {
    cases.push(
      `WHEN ${a(plan, HAS_ROWS)} = 0 AND ${a(plan, HAD_OPEN)} = 1 THEN ${
        afterStart(plan, parameter("started"), at)
      }`,
      `WHEN ${a(plan, HAS_ROWS)} = 0 THEN ${a(plan, HAD_END)}`,
    );
  }
  return adding(plan, next, { [UNTIL]: `CASE ${cases.join(" ")} END` });
}

/** Compares the new timeline with the table. */
function actions(plan: Scd2Plan, query: string): string {
  const { dialect } = plan;
  const restated = plan.restates
    ? `${a(plan, KIND)} = ${POINT.row} AND ${a(plan, AT)} >= ${parameter("restate")}`
    : undefined;
  const moved = dialect.differs(a(plan, UNTIL), a(plan, WAS_UNTIL));
  const whenMoved = restated === undefined
    ? String(ACTION.move)
    : `CASE WHEN ${restated} THEN ${ACTION.correct} ELSE ${ACTION.move} END`;
  const stays = `${a(plan, ASIDE)} = 0 AND ${a(plan, KIND)} >= ${POINT.version}`;
  const existed = `${a(plan, EXISTED)} = 1`;
  const refreshed = restated === undefined
    ? ""
    : ` WHEN ${stays} AND ${restated} THEN ${ACTION.refresh}`;
  const compared = adding(plan, query, {
    [ACTED]:
      `CASE WHEN ${stays} AND NOT (${existed}) THEN ${ACTION.insert} WHEN ${stays} AND ${
        dialect.differs(a(plan, HASH), a(plan, WAS_HASH))
      } THEN ${ACTION.correct} WHEN ${stays} AND ${moved} THEN ${whenMoved}${refreshed} WHEN ${stays} ` +
      `THEN 0 WHEN ${existed} THEN ${ACTION.remove} ELSE 0 END`,
    [WAS_OPEN]: `CASE WHEN ${existed} AND ${a(plan, WAS_UNTIL)} IS NULL THEN 1 ELSE 0 END`,
  });
  return `SELECT ${
    columnList(plan, [...plan.keys, ...CHANGE_COLUMNS], "c")
  } FROM (${compared}) AS c WHERE ${column(plan, ACTED, "c")} > 0`;
}
