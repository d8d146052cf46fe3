import type { BatchConnection, BatchTarget, LoadMode } from "../core/batch_spec.ts";
import type { BatchContext, RawBatch } from "./batch.ts";
import { batchTarget, LOAD_ENTRIES, type LoadShape, type PipelineShape } from "./batch_schema.ts";
import { TargetChecks } from "./batch_target_checks.ts";
import { moduleTable, type RawTable, tableOf } from "./declared_table.ts";
import { isRecord, nearestName } from "./key_names.ts";
import { keyName, type KeyPath, type Place, type ProblemList } from "./problem.ts";
import { typedConnection } from "./endpoint.ts";
import { validate, validPart } from "./validate.ts";

/** One target as it was written: where its keys stand, and what they say. */
export interface RawTarget {
  readonly place: Place;
  /** Of the block; empty when the keys stand at the pipeline's top. */
  readonly path: KeyPath;
  readonly table: RawTable | undefined;
  /** The connection of its own, if it has one. */
  readonly connection: unknown;
  /** What is valid by itself, what is inherited included. */
  readonly load: LoadShape;
  /** Keys that the target does not give itself. */
  readonly inherited: readonly string[];
  /** The mode is given, and is none. */
  readonly isModeUnknown: boolean;
  readonly query: string | undefined;
}

/** What several targets may say once, at the top of their pipeline. */
const SHARED = ["mode", "incremental_column", "on_drift", "create"] as const;

/** The targets of a pipeline in one form. */
export function rawTargets(
  { pipeline, value, shape, context }: {
    readonly pipeline: RawBatch;
    readonly value: Readonly<Record<string, unknown>>;
    readonly shape: Partial<PipelineShape>;
    readonly context: BatchContext;
  },
): readonly RawTarget[] {
  const { place } = pipeline;
  const { problems } = context;
  const key = (name: string) => keyName(name, place.spelling);
  const { target, targets } = value;
  const query = shape.source;
  if (targets === undefined) {
    if (target === undefined) {
      problems.add(place, ["target"], "required, but not given (the table to write)");
      return [];
    }
    const table = rawTable({ value: target, place, path: ["target"] }, context);
    const isModeUnknown = value["mode"] !== undefined && shape.mode === undefined;
    const load = loadPart(shape);
    const path: KeyPath = [];
    return [{
      place,
      path,
      table,
      connection: undefined,
      load,
      inherited: [],
      isModeUnknown,
      query,
    }];
  }
  if (target !== undefined) {
    const message = `${key("target")} is given too`;
    problems.add(place, ["targets"], message, "put all of them into the list");
  }
  const shared = loadPart(shape);
  for (const name of Object.keys(LOAD_ENTRIES)) {
    if (value[name] === undefined || SHARED.some((one) => one === name)) continue;
    const message = `belongs to each target, and here are ${key("targets")}`;
    problems.add(place, [name], message, "put it into the target that it is meant for");
  }
  const defaults: LoadShape = Object.fromEntries(
    SHARED.flatMap((name) => shared[name] === undefined ? [] : [[name, shared[name]]]),
  );
  if (!Array.isArray(targets)) return [];
  return targets.flatMap((block: unknown, index): RawTarget[] => {
    if (!isRecord(block)) return [];
    const path = ["targets", index];
    const locate = (inner: KeyPath) => ({ place, path: [...path, ...inner] });
    validate(batchTarget, block, { problems, locate });
    const own = validPart(LOAD_ENTRIES, block);
    const table = block["table"] === undefined
      ? undefined
      : rawTable({ value: block["table"], place, path: [...path, "table"] }, context);
    const isModeUnknown = own.mode === undefined &&
      (block["mode"] !== undefined || (value["mode"] !== undefined && shape.mode === undefined));
    return [{
      place,
      path,
      table,
      connection: block["connection"],
      load: { ...defaults, ...own },
      inherited: Object.keys(defaults).filter((name) => block[name] === undefined),
      isModeUnknown,
      query,
    }];
  });
}

/**
 * Validates a target; `undefined` when it is not complete. What is wrong is added to the problems. Without a connection the rest is looked
 * into all the same, and without the kind of the source's database its query by the rules that all databases share.
 */
export function resolvedTarget(
  raw: RawTarget,
  { connection, sourceKind, problems }: {
    readonly connection: BatchConnection | undefined;
    readonly sourceKind: string | undefined;
    readonly problems: ProblemList;
  },
): BatchTarget | undefined {
  const table = raw.table === undefined ? undefined : tableOf(raw.table, problems);
  const { load } = raw;
  const mode: LoadMode = load.mode ?? "append";
  new TargetChecks(raw, table, sourceKind, problems).check();
  if (table === undefined || connection === undefined) return undefined;
  return {
    connection,
    table,
    mode,
    keys: load.keys ?? [],
    compareColumns: load.compare_columns ?? [],
    updateColumns: load.update_columns ?? [],
    ...given("eventTimestampColumn", load.event_timestamp_column),
    ...given("ttlSeconds", load.ttl_seconds),
    handleDeletes: load.handle_deletes ?? "none",
    allowEmptySource: load.allow_empty_source ?? false,
    ...given("incrementalColumn", load.incremental_column),
    ...given("tieBreakColumn", load.tie_break_column),
    overlapSeconds: load.overlap_seconds ?? 0,
    onDrift: load.on_drift ?? "evolve",
    create: load.create ?? true,
  };
}

function given<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [K in Key]?: Value };
}

/** The table of a target: the one itself, or that of [tables] by its name. `undefined` after adding a problem. */
function rawTable(around: RawTable, { tables, problems }: BatchContext): RawTable | undefined {
  const { value, place, path } = around;
  if (isRecord(value)) {
    if (place.spelling === "toml") return around;
    if (typedConnection(value) === undefined) return moduleTable(value, around);
    const name = keyName(path.at(-1) === "target" ? "target_connection" : "connection", "module");
    problems.add(
      place,
      path,
      "expected a table, got a connection",
      `give it as ${name}, and a table(…) here`,
    );
    return undefined;
  }
  // Of what is no text and no table, validation has told already.
  if (typeof value !== "string" || value === "") return undefined;
  if (place.spelling === "module") {
    const hint = `write table(${JSON.stringify(value)})`;
    problems.add(place, path, "expected a table that table(…) made, got a text", hint);
    return undefined;
  }
  const table = tables !== undefined && Object.hasOwn(tables.tables, value)
    ? tables.tables[value]
    : undefined;
  if (tables === undefined || table === undefined) {
    const near = nearestName(value, Object.keys(tables?.tables ?? {}));
    problems.add(
      place,
      path,
      `no table named '${value}' is declared in this file`,
      near === undefined
        ? `add [tables.${/^[\w-]+$/.test(value) ? value : JSON.stringify(value)}], or write ` +
          '{ schema = "…", name = "…" } for a table without declared columns'
        : `did you mean ${near}?`,
    );
    return undefined;
  }
  return namedTable(value, table, tables.place);
}

/** A table of [tables]: its name there is its name in the database too, unless it gives another. */
export function namedTable(name: string, value: unknown, place: Place): RawTable {
  return { value: isRecord(value) ? { name, ...value } : value, place, path: ["tables", name] };
}

function loadPart(shape: Partial<PipelineShape>): LoadShape {
  return Object.fromEntries(
    Object.keys(LOAD_ENTRIES).flatMap((key) => {
      const value = shape[key as keyof PipelineShape];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}
