import type { Dialect } from "../core/database.ts";
import { FlowError } from "../core/error.ts";
import type { Column } from "../core/schema.ts";
import type { SqlValue } from "../core/session.ts";
import type { Statement } from "./binder.ts";
import type { LoadContext } from "./load_context.ts";
import { comparable as comparableColumn } from "./projection.ts";

/** The type of all moments of a timeline. */
export const MOMENT = "TIMESTAMP WITH TIME ZONE";

// Columns of the stages that no table has.

/** Of a point: its moment. */
export const AT = "_flow_at";
/** Of a point: what it is, one of {@link POINT}. */
export const KIND = "_flow_kind";
/** Of a row and of a version: the hash of the columns whose change makes a new version. */
export const HASH = "_flow_hash";
/** Of a row: the hash of what is not compared, so that of equal rows the same one wins each time. */
export const TIE = "_flow_tie";
/** The number of an incoming row in the stage of rows; of a point and of a change: of the row that it was made from. */
export const ROW = "_flow_row";
/** Of a key: 1 when it is new and has one row. Such a row is a version as it is. */
export const SINGLE = "_flow_single";
/** Of an existing version: its valid_to as it is in the table. */
export const ENDS = "_flow_ends";
/** Of an existing version and of a closing: the version's valid_from. Of a row: its event time. */
export const ORIGIN = "_flow_origin";
/** Of a closing: 0, or one of {@link EXPIRY}. */
export const EXPIRED = "_flow_expired";
/** Of a change: what is done to the version, one of {@link ACTION}. */
export const ACTED = "_flow_action";
/** Of a change: 1 when the version was open before, otherwise 0. */
export const WAS_OPEN = "_flow_was_open";
/** Of a change: the version's new end; NULL where it stays or becomes open. */
export const UNTIL = "_flow_until";

/**
 * What a point of a key's timeline is. At one moment the highest wins. A removed version is no point: it is known only so that the table
 * can be compared with the result. A candidate is a row whose moment is found later: it becomes a row or is left out.
 */
export const POINT = { removed: 0, closing: 1, version: 2, row: 3, candidate: 4 } as const;

/** A closing at or after the end of the version's time to live: as the table has it, or one that this run makes. */
export const EXPIRY = { kept: 1, due: 2 } as const;

/** What is done to a version of the table. `refresh`: its columns that are not compared may differ. */
export const ACTION = { insert: 1, correct: 2, move: 3, remove: 4, refresh: 5 } as const;

/** What a run of mode scd2 may be asked for. */
export interface Scd2Options {
  /** Make the versions from this moment on anew; microseconds since the epoch. */
  readonly restateFromMicros?: bigint;
}

/**
 * Names of stages: keys with something to do, the rows of those that need a timeline, points of these timelines, changes to be written. Only
 * `rows` has the values; the others are narrow and refer to it by {@link ROW}.
 */
export interface Scd2Stages {
  readonly keys: string;
  readonly rows: string;
  readonly points: string;
  readonly changes: string;
}

/** Everything that the statements of one run are made from. */
export interface Scd2Plan {
  readonly dialect: Dialect;
  /** Quoted name of the table. */
  readonly table: string;
  /** FROM item without alias. */
  readonly relation: string;
  readonly columns: readonly Column[];
  /** Names, not quoted. */
  readonly keys: readonly string[];
  readonly valueColumns: readonly string[];
  readonly eventTime: Column | undefined;
  readonly soft: boolean;
  readonly ttlSeconds: number | undefined;
  readonly restates: boolean;
  readonly startedMicros: bigint;
  readonly batchId: string;
  readonly values: Readonly<Record<ParameterName, SqlValue>>;
  readonly stages: Scd2Stages;
}

/** Values that the statements refer to. */
export type ParameterName = "started" | "cutoff" | "restate" | "batch";

/** A statement before its parameters are numbered. */
export interface Scd2Statement extends Statement {
  /** What it is for, for people who read a preview. */
  readonly title: string;
}

/**
 * @throws FlowError `restate_needs_event_time`
 */
export function planScd2(context: LoadContext, options: Scd2Options): Scd2Plan {
  const { session: { dialect }, target, startedMicros } = context;
  const { eventTimestampColumn, ttlSeconds, handleDeletes } = target.spec;
  const eventTime = eventTimestampColumn === undefined
    ? undefined
    : target.columns.find(({ name }) => name === eventTimestampColumn);
  const restate = options.restateFromMicros;
  if (restate !== undefined && eventTime === undefined) {
    throw new FlowError(`cannot restate versions of ${target.table}: its rows have no event time`, {
      code: "restate_needs_event_time",
      domain: "user",
      hint: "set eventTimestampColumn to the column that says since when a row holds",
      details: { table: target.table },
    });
  }
  const ttlMicros = BigInt(Math.round((ttlSeconds ?? 0) * 1_000_000));
  return {
    dialect,
    table: target.table,
    relation: context.relation,
    columns: target.columns,
    keys: target.keys,
    valueColumns: target.valueColumns,
    eventTime,
    soft: handleDeletes === "soft",
    ttlSeconds,
    restates: restate !== undefined,
    startedMicros,
    batchId: context.batchId,
    values: {
      started: dialect.timestampValue(startedMicros),
      cutoff: dialect.timestampValue(startedMicros - ttlMicros),
      restate: dialect.timestampValue(restate ?? startedMicros),
      batch: context.batchId,
    },
    stages: {
      keys: context.newStage(),
      rows: context.newStage(),
      points: context.newStage(),
      changes: context.newStage(),
    },
  };
}

const TYPES: Readonly<Record<ParameterName, string>> = {
  started: MOMENT,
  cutoff: MOMENT,
  restate: MOMENT,
  batch: "UUID",
};

/** Stands for a parameter in a text that is put together from inside out, where its number is not known yet. */
export function parameter(name: ParameterName): string {
  return `\u0001${name}\u0001`;
}

/** Numbers the parameters in the order of the text, as databases with `?` need it. */
export function statement(plan: Scd2Plan, title: string, text: string): Scd2Statement {
  const params: SqlValue[] = [];
  // deno-lint-ignore no-control-regex -- the mark is a character that no SQL text has
  const sql = text.replace(/\u0001(\w+)\u0001/g, (_all, name: ParameterName) => {
    params.push(plan.values[name]);
    return plan.dialect.typedParameter(plan.dialect.placeholder(params.length), TYPES[name]);
  });
  return { title, sql, params };
}

/** `"a"`, or `t."a"` with a qualifier. */
export function column(plan: Scd2Plan, name: string, qualifier?: string): string {
  const quoted = plan.dialect.quote(name);
  return qualifier === undefined ? quoted : `${qualifier}.${quoted}`;
}

/** The columns, separated by commas. */
export function columnList(plan: Scd2Plan, names: readonly string[], qualifier?: string): string {
  return names.map((name) => column(plan, name, qualifier)).join(", ");
}

/** The key columns with their types. */
export function keyColumns(plan: Scd2Plan): readonly Column[] {
  return plan.columns.filter(({ name }) => plan.keys.includes(name));
}

/** Fills a stage from a query that gives these columns in this order. */
export function insertInto(
  plan: Scd2Plan,
  stage: string,
  names: readonly string[],
  query: string,
): string {
  return `INSERT INTO ${plan.dialect.stageName(stage)} (${columnList(plan, names)}) ${query}`;
}

/** Columns that come along with a version: neither keys nor compared. */
export function carriedColumns(plan: Scd2Plan): readonly string[] {
  return plan.columns.map(({ name }) => name).filter((name) =>
    !plan.keys.includes(name) && !plan.valueColumns.includes(name)
  );
}

/** The hash of columns of a row; `row_hash` is that of the compared ones. */
export function rowHash(plan: Scd2Plan, qualifier: string, names: readonly string[]): string {
  return plan.dialect.rowHash(names.map((name) => ({
    sql: column(plan, name, qualifier),
    type: plan.columns.find((one) => one.name === name)?.type ?? "VARCHAR",
  })));
}

/** A moment plus seconds. */
export function later(plan: Scd2Plan, moment: string, seconds: number): string {
  return plan.dialect.addSeconds({ sql: moment, type: MOMENT }, seconds.toFixed(6));
}

/** The shortest time that there is. */
export const INSTANT_SECONDS = 0.000001;

/** The moment, or one instant after the other if that is no earlier: an interval that ends there is not empty. */
export function afterStart(plan: Scd2Plan, moment: string, start: string): string {
  return `CASE WHEN ${start} < ${moment} THEN ${moment} ELSE ${
    later(plan, start, INSTANT_SECONDS)
  } END`;
}

/** The column in a form that has an equality. */
export function comparable(plan: Scd2Plan, name: string, qualifier: string): string {
  return comparableColumn(plan.dialect, plan.columns, qualifier, name);
}
