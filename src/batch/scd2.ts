import { FlowError } from "../core/error.ts";
import { type LoadContext, type LoadCounts, VALID_TO } from "./load_context.ts";
import {
  changeCountStatement,
  correctStatement,
  insertSinglesStatement,
  insertStatement,
  moveStatement,
  refreshStatement,
  removeStatement,
} from "./scd2_changes.ts";
import {
  keyCountStatement,
  keysStatement,
  knownKeysStatement,
  rowStatements,
} from "./scd2_keys.ts";
import {
  ACTION,
  column,
  columnList,
  planScd2,
  type Scd2Options,
  type Scd2Plan,
  type Scd2Statement,
} from "./scd2_plan.ts";
import { ambiguousKeysQuery, closeMissingStatement, pointStatements } from "./scd2_points.ts";
import { changesStatements } from "./scd2_timeline.ts";

/** How many keys a message shows. */
const EXAMPLES = 3;

/**
 * The statements of a run in their order, for previews. A run leaves out those that have nothing to do, and asks for examples of what it refuses.
 *
 * @throws FlowError `restate_needs_event_time`
 */
export function scd2Statements(
  context: LoadContext,
  options: Scd2Options,
): readonly Scd2Statement[] {
  const plan = planScd2(context, options);
  const { keys, rows, points, changes } = plan.stages;
  const carried = refreshStatement(plan);
  const tellPlanner = (stage: string) => given("tell the planner", statisticsSql(context, stage));
  const drop = (stage: string) => given("drop the stage", context.session.dialect.dropStage(stage));
  return [
    keysStatement(plan),
    keyCountStatement(plan),
    knownKeysStatement(plan),
    ...tellPlanner(keys),
    ...rowStatements(plan),
    ...pointStatements(plan),
    ...changesStatements(plan),
    ...drop(points),
    ...tellPlanner(changes),
    changeCountStatement(plan),
    moveStatement(plan),
    correctStatement(plan),
    ...carried === undefined ? [] : [carried],
    removeStatement(plan),
    insertStatement(plan),
    ...drop(changes),
    ...drop(rows),
    insertSinglesStatement(plan),
    ...drop(keys),
    ...plan.soft ? [closeMissingStatement(plan)] : [],
  ];
}

function given(title: string, sql: string | undefined): readonly Scd2Statement[] {
  return sql === undefined ? [] : [{ title, sql, params: [] }];
}

/**
 * Brings the rows into a table that keeps all their versions. A version holds from `valid_from` up to, not including, `valid_to`, which is
 * NULL for the current one. Versions of one key never overlap, and two that touch never have the same hash.
 *
 * With `eventTimestampColumn`, each row is a point of its key's timeline, and so is each start of a version, and each end that no
 * other version continues. At one moment a row wins over what is there (a correction); of different rows of one moment the one with
 * the highest hash wins. Points of equal hash in a row are one version; a version ends at the next point. Hence late rows split intervals,
 * all versions of one run are kept, and doing it again changes nothing. NULL as event time means the start of the run.
 *
 * Without it, rows hold from the start of the run on, and are compared with the current version. Where that starts in the future (clocks
 * differ), the new one starts a microsecond after it.
 *
 * `handleDeletes = "soft"`: the source is a full picture. Versions of keys that are gone end at the start of the run (a microsecond after
 * their own start where that is later). A key that is there and has no open version gets one from the start of the run with its latest row.
 *
 * `ttlSeconds`: an open version that started more than that before the run ends `ttlSeconds` after its start (but after the latest row that
 * belongs to it). It is not opened again by rows up to that end, nor, without event times, by an equal row. Such an end gives way
 * to rows: one of other values before it begins a version that it does not close, and a change in the run that would make it is the end instead.
 *
 * `restateFromMicros`: versions from that moment on are forgotten, one that reaches to it or over it is opened, and the rows make them anew,
 * also in the columns that are not compared. A key that is gone and had been closed before keeps its end, and one that had come back keeps
 * the moment. With `ttlSeconds`, a version that is made anew holds all equal rows up to the next change, and expires after the last of them.
 *
 * Runs in the caller's transaction. What is not changed is not written.
 *
 * @returns `rowsInserted` new versions; `rowsClosed` versions that were current; `rowsUpdated` further ones with new values or another end;
 *   `rowsDeleted` removed ones
 * @throws FlowError `key_null`, `scd2_key_duplicate`, `empty_source`, `restate_needs_event_time` (user): nothing has been written yet
 */
export async function applyScd2(context: LoadContext, options: Scd2Options): Promise<LoadCounts> {
  const plan = planScd2(context, options);
  if (plan.soft) await refuseEmptySource(context, plan);
  await run(context, keysStatement(plan));
  const found = await countKeys(context, plan);
  if (found.keys > 0) await refresh(context, plan.stages.keys);
  const timelines = found.keys > found.singles
    ? await applyTimelines(context, plan, found.keys - found.singles)
    : NOTHING;
  const singles = found.singles > 0 ? await run(context, insertSinglesStatement(plan)) : 0;
  await drop(context, plan.stages.keys);
  const counts = { ...timelines, rowsInserted: timelines.rowsInserted + singles };
  if (!plan.soft) return counts;
  const gone = await run(context, closeMissingStatement(plan));
  return { ...counts, rowsClosed: counts.rowsClosed + gone };
}

type Scd2Counts = Required<Omit<LoadCounts, "rowsUnchanged">>;

const NOTHING: Scd2Counts = { rowsInserted: 0, rowsClosed: 0, rowsUpdated: 0, rowsDeleted: 0 };

/** `keys`: how many keys have a timeline. */
async function applyTimelines(
  context: LoadContext,
  plan: Scd2Plan,
  keys: number,
): Promise<Scd2Counts> {
  const { rows, points, changes } = plan.stages;
  let fetched = 0;
  for (const one of rowStatements(plan)) fetched = await run(context, one);
  for (const one of pointStatements(plan)) await run(context, one);
  // Only with ttlSeconds are there keys without rows: else as many rows as keys are one each.
  const mayShare = plan.ttlSeconds !== undefined || fetched > keys;
  if (plan.eventTime === undefined && mayShare) await refuseAmbiguousKeys(context, plan);
  for (const one of changesStatements(plan)) await run(context, one);
  await drop(context, points);
  await refresh(context, changes);
  const { found, ...counts } = await countChanges(context, plan);
  const carried = refreshStatement(plan);
  if (found.has(ACTION.move)) await run(context, moveStatement(plan));
  if (found.has(ACTION.correct)) await run(context, correctStatement(plan));
  const refreshed = carried !== undefined && found.has(ACTION.refresh)
    ? await run(context, carried)
    : 0;
  if (found.has(ACTION.remove)) await run(context, removeStatement(plan));
  if (found.has(ACTION.insert)) await run(context, insertStatement(plan));
  await drop(context, changes);
  await drop(context, rows);
  return { ...counts, rowsUpdated: counts.rowsUpdated + refreshed };
}

async function run({ session }: LoadContext, { sql, params }: Scd2Statement): Promise<number> {
  return await session.run(sql, params);
}

/** Makes the stage known to the planner before it is joined. */
async function refresh(context: LoadContext, stage: string): Promise<void> {
  const sql = statisticsSql(context, stage);
  if (sql !== undefined) await context.session.run(sql);
}

function statisticsSql({ session: { dialect } }: LoadContext, stage: string): string | undefined {
  return dialect.refreshStatistics?.(dialect.stageName(stage));
}

async function drop({ session }: LoadContext, stage: string): Promise<void> {
  await session.run(session.dialect.dropStage(stage));
}

/**
 * Counts the keys with something to do, and those of them that need no timeline.
 *
 * @throws FlowError `key_null`
 */
async function countKeys(
  context: LoadContext,
  plan: Scd2Plan,
): Promise<{ readonly keys: number; readonly singles: number }> {
  const { sql, params } = keyCountStatement(plan);
  const [counts] = await context.session.rows<Record<string, unknown>>(sql, params);
  for (const [index, key] of plan.keys.entries()) {
    if (Number(counts?.[`nulls_${index}`] ?? 0) > 0) await refuseNullKey(context, plan, key);
  }
  const candidates = Number(counts?.["singles"] ?? 0);
  const known = candidates > 0 ? await run(context, knownKeysStatement(plan)) : 0;
  return { keys: Number(counts?.["n"] ?? 0), singles: candidates - known };
}

async function refuseNullKey(context: LoadContext, plan: Scd2Plan, key: string): Promise<never> {
  const [found] = await context.session.rows<{ readonly n: unknown }>(
    `SELECT COUNT(*) AS n FROM ${plan.relation} AS s WHERE ${column(plan, key, "s")} IS NULL`,
  );
  const rows = Number(found?.n ?? 0);
  throw new FlowError(
    `${rows} row${rows === 1 ? "" : "s"} for ${plan.table} ha${
      rows === 1 ? "s" : "ve"
    } NULL in the key column ${key}`,
    {
      code: "key_null",
      domain: "user",
      hint: "leave them out in the query (WHERE … IS NOT NULL), or choose other keys",
      details: { table: plan.table, column: key, rows },
    },
  );
}

async function refuseAmbiguousKeys({ session }: LoadContext, plan: Scd2Plan): Promise<void> {
  const found = await session.rows(ambiguousKeysQuery(plan, EXAMPLES));
  if (found.length === 0) return;
  const shown = found.map((row) =>
    plan.keys.map((key) => `${key} = ${String(row[key])}`).join(", ")
  ).join("; ");
  throw new FlowError(
    `rows for ${plan.table} have the same key and different values: ${shown}`,
    {
      code: "scd2_key_duplicate",
      domain: "user",
      hint:
        "set eventTimestampColumn, so that each becomes a version, or make the query unique by " +
        plan.keys.join(", "),
      details: { table: plan.table, key: shown },
    },
  );
}

/** A source without rows would close everything: that is an accident more often than not. */
async function refuseEmptySource({ session, target }: LoadContext, plan: Scd2Plan): Promise<void> {
  if (target.spec.allowEmptySource) return;
  const keys = columnList(plan, plan.keys, "s");
  const [row] = await session.rows(`SELECT ${keys} FROM ${plan.relation} AS s LIMIT 1`);
  if (row !== undefined) return;
  const [open] = await session.rows(
    `SELECT ${columnList(plan, plan.keys, "t")} FROM ${plan.table} AS t WHERE ${
      column(plan, VALID_TO, "t")
    } IS NULL LIMIT 1`,
  );
  if (open === undefined) return;
  throw new FlowError(
    `the source gave no rows, and handleDeletes would close every version of ${plan.table}`,
    {
      code: "empty_source",
      domain: "user",
      hint: "see why the source is empty; if it may be, set allowEmptySource = true",
      details: { table: plan.table },
    },
  );
}

interface Changes extends Scd2Counts {
  /** Which of {@link ACTION} there are. */
  readonly found: ReadonlySet<number>;
}

async function countChanges({ session }: LoadContext, plan: Scd2Plan): Promise<Changes> {
  const { sql, params } = changeCountStatement(plan);
  const rows = await session.rows<Record<"acted" | "was_open" | "is_open" | "n", unknown>>(
    sql,
    params,
  );
  const found = new Set<number>();
  const counts = { rowsInserted: 0, rowsClosed: 0, rowsUpdated: 0, rowsDeleted: 0 };
  for (const row of rows) {
    const action = Number(row.acted);
    const n = Number(row.n);
    found.add(action);
    if (action === ACTION.insert) counts.rowsInserted += n;
    else if (action === ACTION.remove) counts.rowsDeleted += n;
    else if (action !== ACTION.refresh) {
      const closes = Number(row.was_open) === 1 && Number(row.is_open) === 0;
      if (closes) counts.rowsClosed += n;
      else counts.rowsUpdated += n;
    }
  }
  return { found, ...counts };
}
