/**
 * Databases for tests of declared pipelines: a fresh one of each kind, and specifications with everything filled in.
 */
import * as v from "valibot";
import type { BatchDependencies } from "../../src/batch/dependencies.ts";
import { connectors } from "../../src/connectors/mod.ts";
import type { BatchConnection, BatchSpec, BatchTarget } from "../../src/core/batch_spec.ts";
import type { Clock } from "../../src/core/clock.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Database, DatabaseKind, DatabaseSession } from "../../src/core/database.ts";
import type { Observation } from "../../src/core/observation.ts";
import type { SqlValue } from "../../src/core/session.ts";
import type { DeclaredColumn, DeclaredTable } from "../../src/core/table_spec.ts";
import { createEngine } from "../../src/sql/engine.ts";

/** All databases that declared pipelines work with. */
export const KINDS: readonly DatabaseKind[] = ["postgres", "mysql", "sqlite", "duckdb"];

const SERVERS: Partial<Record<DatabaseKind, string>> = {
  postgres: "FLOW_TEST_POSTGRES_URL",
  mysql: "FLOW_TEST_MYSQL_URL",
};

/** The kinds that can be had here. Those that cannot stand among the tests as ignored ones, with the reason. */
export function availableKinds(): readonly DatabaseKind[] {
  return KINDS.filter((kind) => {
    const variable = SERVERS[kind];
    if (variable === undefined || Deno.env.get(variable) !== undefined) return true;
    // Never runs: it only says, among the results, that a server is missing. In CI a missing server fails the run.
    Deno.test({
      name: `SKIPPED: everything with ${kind}: ${variable} is not set`,
      ignore: true,
      fn: () => {},
    });
    return false;
  });
}

/** A database of its own for a test. */
export interface Place {
  readonly kind: DatabaseKind;
  readonly connection: BatchConnection;
  /** What a definition gives as the connection's options, in TOML's spelling. */
  readonly options: Readonly<Record<string, string>>;
  readonly database: Database;
  /** Runs statements, one after the other, each in a transaction of its own. */
  run(...statements: readonly string[]): Promise<void>;
  rows(sql: string): Promise<Record<string, SqlValue>[]>;
  remove(): Promise<void>;
}

let places = 0;

/** Makes an empty database. `scratchDir` holds the files of those that are files. */
export async function newPlace(kind: DatabaseKind, scratchDir: string): Promise<Place> {
  places += 1;
  const name = `flow_batch_${Deno.pid}_${places}_${crypto.randomUUID().slice(0, 8)}`;
  const variable = SERVERS[kind];
  if (variable === undefined) {
    const path = `${scratchDir}/${name}.${kind === "sqlite" ? "db" : "duckdb"}`;
    return place(kind, { path }, scratchDir, () => Promise.resolve());
  }
  const server = Deno.env.get(variable);
  if (server === undefined) throw new Error(`${variable} is not set`);
  const administrator = place(kind, { url: server }, scratchDir, () => Promise.resolve());
  await administrator.run(
    `CREATE DATABASE ${name}${kind === "mysql" ? " CHARACTER SET utf8mb4" : ""}`,
  );
  const url = new URL(server);
  url.pathname = `/${name}`;
  return place(kind, { url: url.href }, scratchDir, async () => {
    const force = kind === "postgres" ? " WITH (FORCE)" : "";
    await administrator.run(`DROP DATABASE ${name}${force}`);
  });
}

function place(
  kind: DatabaseKind,
  raw: Readonly<Record<string, string>>,
  scratchDir: string,
  remove: () => Promise<void>,
): Place {
  const connector = connectors.find((one) => one.kind === kind);
  if (connector?.openDatabase === undefined) throw new Error(`no database of kind ${kind}`);
  const options = v.parse(v.strictObject(connector.connectionOptions), raw);
  const database = connector.openDatabase(options, { scratchDir, clock: systemClock });
  const within = async <T>(work: (session: DatabaseSession) => Promise<T>): Promise<T> => {
    const session = await database.connect(new AbortController().signal);
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  };
  return {
    kind,
    connection: { kind, options, shown: database.shown },
    options: raw,
    database,
    run: (...statements) =>
      within(async (session) => {
        for (const statement of statements) await session.run(statement);
      }),
    rows: (sql) => within((session) => session.rows(sql)),
    remove,
  };
}

/** A column of a declared table. */
export function column(
  name: string,
  type: string,
  options: Partial<Omit<DeclaredColumn, "name" | "type">> = {},
): DeclaredColumn {
  return { name, type, nullable: true, normalizers: [], ...options };
}

/** A declared table. */
export function declaredTable(
  name: string,
  columns: readonly DeclaredColumn[],
  options: Partial<Omit<DeclaredTable, "columns">> = {},
): DeclaredTable {
  return {
    ref: { name },
    columns,
    primaryKey: [],
    naturalKey: [],
    uniqueGroups: [],
    mergeKeys: [],
    ...options,
  };
}

/** A target with the defaults of a definition. */
export function batchTarget(
  to: Pick<Place, "connection">,
  table: DeclaredTable,
  options: Partial<Omit<BatchTarget, "table" | "connection">> = {},
): BatchTarget {
  return {
    connection: to.connection,
    table,
    mode: "append",
    keys: [],
    compareColumns: [],
    updateColumns: [],
    handleDeletes: "none",
    allowEmptySource: false,
    overlapSeconds: 0,
    onDrift: "evolve",
    create: true,
    ...options,
  };
}

/** A pipeline with the defaults of a definition. */
export function batchSpec(
  from: Pick<Place, "connection">,
  sql: string,
  targets: readonly BatchTarget[],
  options: Partial<Omit<BatchSpec, "targets" | "source" | "sourceConnection">> = {},
): BatchSpec {
  return {
    name: "test_pipeline",
    origin: { file: "test" },
    sourceConnection: from.connection,
    source: { by: "query", sql },
    targets,
    parameters: {},
    sqlBefore: [],
    sqlAfter: [],
    timezone: "UTC",
    dependsOn: [],
    retry: { maxAttempts: 1, backoffSeconds: 0, backoffFactor: 1 },
    continueOnFailure: false,
    ...options,
  };
}

/** What runs need; `observed` collects what they tell. */
export function dependencies(
  scratchDir: string,
  options: { readonly clock?: Clock; readonly signal?: AbortSignal } = {},
): BatchDependencies & { readonly observed: Observation[] } {
  const observed: Observation[] = [];
  const clock = options.clock ?? systemClock;
  return {
    openDatabase(connection) {
      const connector = connectors.find((one) => one.kind === connection.kind);
      if (connector?.openDatabase === undefined) throw new Error(`no ${connection.kind}`);
      return connector.openDatabase(connection.options, { scratchDir, clock });
    },
    createEngine: () => createEngine({ scratchDir }),
    clock,
    observe: (observation) => observed.push(observation),
    observed,
    signal: options.signal ?? new AbortController().signal,
    pipelineRunId: () => crypto.randomUUID(),
  };
}

/** Runs a test with a directory of its own, which is removed afterwards. */
export async function withScratch(work: (scratchDir: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "flow-batch-" });
  try {
    await work(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/**
 * Dependencies whose databases stay connected from run to run, for tests of many short runs. What they share are sessions that nobody
 * closes before `close`.
 */
export async function keptOpen(
  deps: BatchDependencies,
  ...places: readonly Place[]
): Promise<{ readonly deps: BatchDependencies; close(): Promise<void> }> {
  const databases = new Map<BatchConnection, Database>();
  const sessions: DatabaseSession[] = [];
  for (const { connection, database } of new Set(places)) {
    const session = await database.connect(deps.signal);
    sessions.push(session);
    const shared = new Proxy(session, {
      get(target, name) {
        if (name === "close") return () => Promise.resolve();
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const { kind, identity, shown, dialect } = database;
    databases.set(connection, {
      kind,
      identity,
      shown,
      dialect,
      connect: () => Promise.resolve(shared),
    });
  }
  return {
    deps: {
      ...deps,
      openDatabase: (connection) => databases.get(connection) ?? deps.openDatabase(connection),
    },
    async close() {
      for (const session of sessions) await session.close();
    },
  };
}
