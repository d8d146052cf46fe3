import { systemClock } from "../../core/clock.ts";
import type { Database, DatabaseSession, RelationPiece } from "../../core/database.ts";
import type { Options } from "../../core/connector.ts";
import { Secret } from "../../core/secret.ts";
import type { Engine, Session, SqlValue } from "../../core/session.ts";
import { createEngine } from "../../sql/engine.ts";
import { mysqlConnector } from "./connector.ts";

/** The URL of the server that tests may use; tests are skipped without it. */
export const TEST_URL: string | undefined = Deno.env.get("FLOW_TEST_MYSQL_URL");

/** What a test against the real server gets: a database of its own, a session with it, and an engine. */
export class TestRig {
  private constructor(
    readonly name: string,
    readonly options: Options,
    readonly database: Database,
    readonly db: DatabaseSession,
    readonly engine: Engine,
    readonly engineSession: Session,
    readonly scratchDir: string,
    readonly abort: AbortController,
  ) {}

  static async make(): Promise<TestRig> {
    const name = `t_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
    const scratchDir = await Deno.makeTempDir({ prefix: "flow-mysql-test-" });
    const admin = await open(TEST_URL ?? "", scratchDir).connect(new AbortController().signal);
    // Its default collation takes `a` and `A` for equal, as users' databases do.
    await admin.run(`CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`);
    await admin.close();
    const url = new URL(TEST_URL ?? "");
    url.pathname = `/${name}`;
    const database = open(url.href, scratchDir);
    const engine = await createEngine({ scratchDir });
    const abort = new AbortController();
    const db = await database.connect(abort.signal);
    return new TestRig(
      name,
      { url: new Secret(url.href) },
      database,
      db,
      engine,
      await engine.connect(),
      scratchDir,
      abort,
    );
  }

  /** The query's rows as the engine sees them after {@link DatabaseSession.read}, as texts. */
  async readRows(
    query: string,
    params: readonly SqlValue[] = [],
  ): Promise<Record<string, SqlValue>[]> {
    const rows: Record<string, SqlValue>[] = [];
    for await (const piece of this.db.read(query, params, this.engine, this.engineSession)) {
      rows.push(
        ...await this.engineSession.rows(
          `SELECT CAST(COLUMNS(*) AS VARCHAR) FROM ${piece.relation} AS r`,
        ),
      );
      await piece.release();
    }
    return rows;
  }

  /** Files that pieces have left behind. */
  async leftFiles(): Promise<string[]> {
    const names: string[] = [];
    for await (const entry of Deno.readDir(this.scratchDir)) {
      if (entry.name.endsWith(".csv")) names.push(entry.name);
    }
    return names;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engineSession.close();
    await this.engine.close();
    const admin = await this.database.connect(new AbortController().signal);
    await this.db.close();
    await admin.run(`DROP DATABASE ${this.name}`);
    await admin.close();
    await Deno.remove(this.scratchDir, { recursive: true });
  }
}

function open(url: string, scratchDir: string): Database {
  const made = mysqlConnector.openDatabase?.(
    { url: new Secret(url) },
    { scratchDir, clock: systemClock },
  );
  if (made === undefined) throw new Error("the mysql connector opens no database");
  return made;
}

/** All pieces, released. */
export async function drain(pieces: AsyncIterable<RelationPiece>): Promise<number> {
  let rows = 0;
  for await (const piece of pieces) {
    rows += piece.rows ?? 0;
    await piece.release();
  }
  return rows;
}

/** A test against the real server. */
export function serviceTest(name: string, test: (rig: TestRig) => Promise<void>): void {
  Deno.test({
    name: `mysql: ${name}`,
    ignore: TEST_URL === undefined,
    // The engine's threads and the driver's sockets end with the rig, some of them a moment later.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using rig = await TestRig.make();
      await test(rig);
    },
  });
}
