import assert from "node:assert/strict";
import type {
  Database,
  DatabaseSession,
  LoadTarget,
  TypedExpression,
} from "../../src/core/database.ts";
import type { FlowError } from "../../src/core/error.ts";
import { quoteIdentifier, quoteLiteral, type TargetColumn } from "../../src/core/schema.ts";
import type { Engine, Session, SqlValue } from "../../src/core/session.ts";
import { createEngine } from "../../src/sql/engine.ts";
import { suiteTest } from "./rig.ts";

/** One database for one test: empty, and of its own. Unqualified names are tables in it. */
export interface DatabaseFixture {
  /** A new handle of it. */
  database(scratchDir: string): Database;
  /** Removes it. */
  close(): Promise<void>;
}

/** A database that the suite runs over, and what it cannot do, each with the reason. */
export interface DatabaseCase {
  readonly name: string;
  /** Why its tests are skipped. */
  readonly skip?: string;
  make(): Promise<DatabaseFixture>;
  /** Tests that do not apply, by name, with the reason. */
  readonly exceptions?: Readonly<Record<string, string>>;
  /** Declared engine types that its columns come back as another type of the engine, which holds all their values. */
  readonly otherTypes?: Readonly<Record<string, string>>;
}

/** A column of a table that a test makes. */
export interface RigColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull?: boolean;
  readonly key?: boolean;
}

/** What a test gets: sessions that end with it, and an engine. */
export class DatabaseRig {
  readonly #sessions: DatabaseSession[] = [];

  private constructor(
    readonly tested: DatabaseCase,
    readonly database: Database,
    readonly engine: Engine,
    readonly engineSession: Session,
  ) {}

  /** Runs a test with a rig of its own. */
  static async with(
    tested: DatabaseCase,
    test: (rig: DatabaseRig) => Promise<void>,
  ): Promise<void> {
    const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
    const fixture = await tested.make();
    const engine = await createEngine({ scratchDir, threads: 2 });
    const rig = new DatabaseRig(
      tested,
      fixture.database(scratchDir),
      engine,
      await engine.connect(),
    );
    try {
      await test(rig);
    } finally {
      for (const session of rig.#sessions) {
        await session.rollback().catch(() => {});
        await session.close();
      }
      await engine.close();
      await fixture.close();
      await Deno.remove(scratchDir, { recursive: true });
    }
  }

  async connect(signal: AbortSignal = new AbortController().signal): Promise<DatabaseSession> {
    const session = await this.database.connect(signal);
    this.#sessions.push(session);
    return session;
  }

  /** Makes a table; columns with `key` are its primary key. */
  async makeTable(
    session: DatabaseSession,
    name: string,
    columns: readonly RigColumn[],
  ): Promise<string> {
    const { dialect } = session;
    const table = dialect.tableName({ name });
    const keys = columns.filter(({ key }) => key === true).map((column) =>
      dialect.quote(column.name)
    );
    const declared = columns.map((column) =>
      `${dialect.quote(column.name)} ${
        dialect.columnType(column.type, { key: column.key === true })
      }${column.notNull === true || column.key === true ? " NOT NULL" : " NULL"}`
    );
    const primary = keys.length === 0 ? [] : [`PRIMARY KEY (${keys.join(", ")})`];
    await session.run(`CREATE TABLE ${table} (${[...declared, ...primary].join(", ")})`);
    return table;
  }

  /** The table as a load takes it. */
  async target(session: DatabaseSession, name: string): Promise<LoadTarget> {
    const columns: readonly TargetColumn[] = (await session.table({ name }))?.columns ?? [];
    return { table: session.dialect.tableName({ name }), columns };
  }

  /** Loads an engine's query into a table that was made by {@link makeTable}. */
  async load(session: DatabaseSession, name: string, engineQuery: string): Promise<number> {
    return await session.load(await this.target(session, name), engineQuery, this.engineSession);
  }

  /** The rows of a query after reading them into the engine, as the engine's texts of the given types. */
  async texts(
    session: DatabaseSession,
    query: string,
    params: readonly SqlValue[] = [],
    types: readonly string[] = [],
  ): Promise<(string | null)[][]> {
    const columns = await session.describe(query, params);
    const items = columns.map((column, at) => {
      const name = quoteIdentifier(column.name);
      return `CAST(${
        types[at] === undefined ? name : `CAST(${name} AS ${types[at]})`
      } AS VARCHAR) AS c${at}`;
    });
    const rows: (string | null)[][] = [];
    for await (const piece of session.read(query, params, this.engine, this.engineSession)) {
      const read = await this.engineSession.rows<Record<string, string | null>>(
        `SELECT ${items.join(", ")} FROM ${piece.relation} AS q`,
      );
      rows.push(...read.map((row) => columns.map((_, at) => row[`c${at}`] ?? null)));
      await piece.release();
    }
    return rows;
  }

  /** The one value of a query, as the engine's text. */
  async text(
    session: DatabaseSession,
    query: string,
    params: readonly SqlValue[] = [],
    type?: string,
  ): Promise<string | null | undefined> {
    const rows = await this.texts(session, query, params, type === undefined ? [] : [type]);
    return rows[0]?.[0];
  }

  /** A literal of the engine's, as an expression of this database: by way of a bound text. */
  bound(session: DatabaseSession, type: string, index = 1): TypedExpression {
    return { sql: session.dialect.typedParameter(session.dialect.placeholder(index), type), type };
  }
}

/** Names of all tests of the suite. */
const registered = new Set<string>();

/** Registers the test that a database is excepted from nothing but tests of the suite: a name that changes must not leave its exception behind. */
export function exceptionsTest(tested: DatabaseCase): void {
  suiteTest(`database ${tested.name}`, "its exceptions are tests of the suite", undefined, () => {
    const unknown = Object.keys(tested.exceptions ?? {}).filter((name) => !registered.has(name));
    assert.deepEqual(unknown, []);
    return Promise.resolve();
  });
}

/** Registers one test of the suite. */
export function databaseTest(
  tested: DatabaseCase,
  name: string,
  test: (rig: DatabaseRig) => Promise<void>,
): void {
  registered.add(name);
  // What a database cannot do is no test of it; each reason is looked at by `exceptionsTest`.
  if (tested.exceptions?.[name] !== undefined) return;
  suiteTest(
    `database ${tested.name}`,
    name,
    tested.skip,
    () => DatabaseRig.with(tested, test),
  );
}

/** True for a FlowError of one of the codes. */
export function hasCode(...codes: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    const { code, message } = error as FlowError;
    if (codes.includes(code)) return true;
    throw new Error(`expected ${codes.join(" or ")}, got ${code}: ${message}`);
  };
}

/** A text as a literal of the engine. */
export function literal(value: string | null): string {
  return value === null ? "NULL" : quoteLiteral(value);
}
