import pg from "pg";
import { type Batch, type RejectedRows, ROW_COLUMN } from "../../core/batch.ts";
import { OffsetName } from "../../core/offset_name.ts";
import { systemClock } from "../../core/clock.ts";
import type { SinkRequest } from "../../core/connector.ts";
import type { Observation } from "../../core/observation.ts";
import type { OffsetMove } from "../../core/offset.ts";
import { quoteIdentifier } from "../../core/schema.ts";
import { Secret } from "../../core/secret.ts";
import type { Engine, Session } from "../../core/session.ts";
import { createEngine } from "../../sql/engine.ts";
import { PostgresSink } from "./sink.ts";

/** The URL of the database that tests may use; tests are skipped without it. */
export const TEST_URL: string | undefined = Deno.env.get("FLOW_TEST_POSTGRES_URL");

/** What a test against the real database gets: a schema of its own, an engine, and a second connection to look with. */
export class TestRig {
  readonly schema: string = `t_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
  readonly pipeline: string = `pipeline_${this.schema}`;
  readonly observations: Observation[] = [];
  readonly #sinks: PostgresSink[] = [];

  private constructor(
    readonly client: pg.Client,
    readonly engine: Engine,
    readonly session: Session,
    readonly scratchDir: string,
  ) {}

  static async make(): Promise<TestRig> {
    const client = new pg.Client({
      connectionString: TEST_URL,
      types: { getTypeParser: () => (text: unknown) => text },
    });
    await client.connect();
    const scratchDir = await Deno.makeTempDir({ prefix: "flow-postgres-test-" });
    const engine = await createEngine({ scratchDir });
    const rig = new TestRig(client, engine, await engine.connect(), scratchDir);
    await client.query(`CREATE SCHEMA ${rig.schema}`);
    return rig;
  }

  /** The test's URL, with the test's own schema as the default one. */
  url(): string {
    return `${TEST_URL}?options=-csearch_path%3D${this.schema}`;
  }

  async sink(
    request: Partial<SinkRequest> = {},
    exactlyOnce = true,
  ): Promise<PostgresSink> {
    const sink = new PostgresSink({
      options: { url: new Secret(this.url()) },
      table: { schema: this.schema, name: "events" },
      mode: "append",
      keys: [],
      create: true,
      ...request,
    });
    this.#sinks.push(sink);
    await sink.open({
      pipeline: this.pipeline,
      offsetName: OffsetName.ofOnly(this.pipeline),
      engine: this.engine,
      clock: systemClock,
      observe: (observation) => this.observations.push(observation),
      exactlyOnce,
    }, new AbortController().signal);
    return sink;
  }

  /** A batch of the query's rows; `numbered` gives them the row column. */
  async batch(query: string, numbered = true): Promise<Batch> {
    const table = this.engine.newName("batch");
    const number = numbered ? `, row_number() OVER () - 1 AS ${ROW_COLUMN}` : "";
    await this.session.run(`CREATE TABLE ${table} AS SELECT *${number} FROM (${query}) AS q`);
    const columns = await this.session.describe(`SELECT * FROM (${query}) AS q`);
    const [row] = await this.session.rows<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`);
    return { table, columns, hasRowColumn: numbered, rows: Number(row?.n) };
  }

  /** One epoch with one batch. */
  async writeEpoch(
    sink: PostgresSink,
    query: string,
    moves: readonly OffsetMove[] = [],
  ): Promise<RejectedRows | undefined> {
    await sink.begin(1);
    const rejected = await sink.write(
      await this.batch(query),
      this.session,
      new AbortController().signal,
    );
    await sink.commit(moves);
    return rejected;
  }

  /** The rejected rows as `row: reason`, in order. */
  async reasons(rejected: RejectedRows | undefined): Promise<string[]> {
    if (rejected === undefined) return [];
    const column = rejected.by === "row_number" ? ROW_COLUMN : "_row_json";
    const rows = await this.session.rows<{ id: bigint | string; reason: string }>(
      `SELECT ${
        quoteIdentifier(column)
      } AS id, _error AS reason FROM ${rejected.table} ORDER BY 1, 2`,
    );
    return rows.map((row) => `${row.id}: ${row.reason}`);
  }

  /** Rows of a query against the database, all values as text. */
  async select(sql: string): Promise<Record<string, string | null>[]> {
    const { rows } = await this.client.query(sql);
    return rows as Record<string, string | null>[];
  }

  /** A statement against the database; `events` and the like are in the test's schema. */
  async execute(sql: string): Promise<void> {
    await this.client.query(`SET search_path = ${this.schema}; ${sql}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const sink of this.#sinks) await sink.close();
    await this.session.close();
    await this.engine.close();
    await this.client.query(`DROP SCHEMA IF EXISTS ${this.schema} CASCADE`);
    await this.client.end();
    await Deno.remove(this.scratchDir, { recursive: true });
  }
}

/** A test against the real database. */
export function serviceTest(name: string, test: (rig: TestRig) => Promise<void>): void {
  Deno.test({
    name: `postgres: ${name}`,
    ignore: TEST_URL === undefined,
    // The engine's threads and the drivers' sockets end with the rig, some of them a moment later.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using rig = await TestRig.make();
      await test(rig);
    },
  });
}
