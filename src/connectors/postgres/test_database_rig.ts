import { systemClock } from "../../core/clock.ts";
import type { Database, DatabaseSession, LoadTarget } from "../../core/database.ts";
import { Secret } from "../../core/secret.ts";
import type { TargetColumn } from "../../core/schema.ts";
import type { SqlValue } from "../../core/session.ts";
import { PostgresDatabase } from "./database.ts";
import { serviceTest, type TestRig } from "./test_rig.ts";

/** What tests of a database get: sessions that end with the test, in the rig's own schema. */
export class DatabaseRig {
  readonly #sessions: DatabaseSession[] = [];

  constructor(readonly rig: TestRig) {}

  database(url: string = this.rig.url()): Database {
    return new PostgresDatabase({ url: new Secret(url) }, {
      scratchDir: this.rig.scratchDir,
      clock: systemClock,
    });
  }

  async connect(signal: AbortSignal = new AbortController().signal): Promise<DatabaseSession> {
    const session = await this.database().connect(signal);
    this.#sessions.push(session);
    return session;
  }

  /** Reads a query into the engine's table `name` as a load would; returns how many pieces came. */
  async readInto(
    session: DatabaseSession,
    name: string,
    query: string,
    params: readonly SqlValue[] = [],
  ): Promise<number> {
    let pieces = 0;
    for await (const piece of session.read(query, params, this.rig.engine, this.rig.session)) {
      const verb = pieces === 0 ? `CREATE OR REPLACE TABLE ${name} AS` : `INSERT INTO ${name}`;
      await this.rig.session.run(`${verb} SELECT * FROM ${piece.relation} AS q`);
      await piece.release();
      pieces += 1;
    }
    return pieces;
  }

  /** The rows that a query reads, each column as the engine's own text. */
  async texts(
    session: DatabaseSession,
    query: string,
    params: readonly SqlValue[] = [],
  ): Promise<Record<string, string | null>[]> {
    const pieces = await this.readInto(session, "read_rows", query, params);
    if (pieces === 0) return [];
    return await this.rig.session.rows("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_rows");
  }

  /** The table's columns as a load takes them. */
  async target(session: DatabaseSession, name: string): Promise<LoadTarget> {
    const ref = { schema: this.rig.schema, name };
    const columns: readonly TargetColumn[] = (await session.table(ref))?.columns ?? [];
    return { table: session.dialect.tableName(ref), columns };
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) await session.close();
  }
}

/** A test of the database against the real server. */
export function databaseTest(name: string, test: (rig: DatabaseRig) => Promise<void>): void {
  serviceTest(`database: ${name}`, async (rig) => {
    const databases = new DatabaseRig(rig);
    try {
      await test(databases);
    } finally {
      await databases.close();
    }
  });
}
