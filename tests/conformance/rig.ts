import assert from "node:assert/strict";
import {
  type Batch,
  type RejectedRows,
  ROW_COLUMN,
  type SourceBatch,
} from "../../src/core/batch.ts";
import { systemClock } from "../../src/core/clock.ts";
import { OffsetName } from "../../src/core/offset_name.ts";
import type { StoredOffset } from "../../src/core/offset.ts";
import { type Column, quoteIdentifier } from "../../src/core/schema.ts";
import type { Engine, Session } from "../../src/core/session.ts";
import type { SinkContext } from "../../src/core/sink.ts";
import type { SourceContext } from "../../src/core/source.ts";
import { createEngine } from "../../src/sql/engine.ts";

/** Longest that any single step of the suites may take. */
export const DEADLINE_MS = 30_000;

/** An engine and a session for one test. */
export class EngineRig {
  readonly engine: Engine;
  readonly session: Session;
  readonly #scratchDir: string;

  private constructor(engine: Engine, session: Session, scratchDir: string) {
    this.engine = engine;
    this.session = session;
    this.#scratchDir = scratchDir;
  }

  static async make(): Promise<EngineRig> {
    const scratchDir = await Deno.makeTempDir({ prefix: "flow_conformance_" });
    const engine = await createEngine({ scratchDir });
    return new EngineRig(engine, await engine.connect(), scratchDir);
  }

  sourceContext(change: Partial<SourceContext> = {}): SourceContext {
    return {
      pipeline: "conformance",
      engine: this.engine,
      clock: systemClock,
      observe: () => {},
      untilEnd: true,
      wantedMetadata: new Set(["_event_ts", "_partition", "_offset", "_key", "_headers"]),
      storedPositions: () => Promise.resolve([]),
      maxBatchBytes: 16 << 20,
      maxBatchRows: 100_000,
      maxBatchWaitMs: 50,
      ...change,
    };
  }

  sinkContext(change: Partial<SinkContext> = {}): SinkContext {
    return {
      pipeline: "conformance",
      offsetName: OffsetName.ofOnly(change.pipeline ?? "conformance"),
      engine: this.engine,
      clock: systemClock,
      observe: () => {},
      exactlyOnce: false,
      ...change,
    };
  }

  /** A context whose targets hold these positions. */
  stored(positions: readonly StoredOffset[]): Pick<SourceContext, "storedPositions"> {
    return {
      storedPositions: (partitions) =>
        Promise.resolve(
          positions.filter((position) =>
            partitions.some((ref) =>
              ref.sourceId === position.sourceId && ref.partition === position.partition
            )
          ),
        ),
    };
  }

  /** A batch of the rows of a query, numbered in its order. */
  async batch(query: string): Promise<Batch> {
    const table = this.engine.newName("batch");
    await this.session.run(
      `CREATE TABLE ${table} AS SELECT *, row_number() OVER () - 1 AS ${ROW_COLUMN} FROM (${query})`,
    );
    const columns = await this.session.rows<{ column_name: string; column_type: string }>(
      `DESCRIBE SELECT * EXCLUDE (${ROW_COLUMN}) FROM ${table}`,
    );
    const [count] = await this.session.rows<{ n: bigint }>(`SELECT count(*) AS n FROM ${table}`);
    return {
      table,
      columns: columns.map((row): Column => ({ name: row.column_name, type: row.column_type })),
      hasRowColumn: true,
      rows: Number(count?.n),
    };
  }

  /** Row numbers and reasons of refused rows. */
  async refused(rejected: RejectedRows | undefined): Promise<{ row: number; error: string }[]> {
    if (rejected === undefined) return [];
    assert.equal(rejected.by, "row_number");
    const rows = await this.session.rows<{ row: bigint; error: string }>(
      `SELECT ${ROW_COLUMN} AS row, _error AS error FROM ${
        quoteIdentifier(rejected.table)
      } ORDER BY row`,
    );
    assert.equal(rows.length, rejected.count);
    return rows.map(({ row, error }) => ({ row: Number(row), error }));
  }

  /** The metadata and the `id` field of every row of a source batch, in order. */
  async sourceRows(batch: SourceBatch): Promise<SourceRow[]> {
    const id = batch.encoding === "columns"
      ? "id::BIGINT"
      : `TRY_CAST(json_extract_string(${
        batch.encoding === "json" ? "_payload" : "decode(_payload)"
      }, '$.id') AS BIGINT)`;
    const rows = await this.session.rows<{
      id: bigint | null;
      partition: string;
      offset: bigint;
      row: bigint;
      event: bigint | null;
    }>(
      `SELECT ${id} AS id, _partition::VARCHAR AS partition, _offset AS "offset", ` +
        `${ROW_COLUMN} AS row, epoch_us(_event_ts) AS event FROM ${
          quoteIdentifier(batch.table)
        } ORDER BY row`,
    );
    return rows.map((row) => ({ ...row, id: row.id === null ? null : Number(row.id) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close();
    await this.engine.close();
    await Deno.remove(this.#scratchDir, { recursive: true });
  }
}

/** What the suites look at of a source's row. */
export interface SourceRow {
  readonly id: number | null;
  readonly partition: string;
  readonly offset: bigint;
  readonly row: bigint;
  readonly event: bigint | null;
}

/** The promise's value, or an error that says what took too long. */
export async function inTime<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what} took more than ${DEADLINE_MS} ms`)),
      DEADLINE_MS,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Registers a test of a suite, or an ignored one with the reason in its name. */
export function suiteTest(
  suite: string,
  name: string,
  skip: string | undefined,
  run: () => Promise<void>,
): void {
  Deno.test({
    name: `${suite}: ${name}${skip === undefined ? "" : ` (skipped: ${skip})`}`,
    ignore: skip !== undefined,
    // The engine's threads and the drivers' sockets end with the rig, some of them a moment later.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: run,
  });
}

/** {@link suiteTest} with an engine and a fixture of its own, which is closed whatever comes. */
export function fixtureTest<Fixture extends { close(): Promise<void> }>(
  suite: string,
  name: string,
  { skip, make }: { readonly skip?: string; make(): Promise<Fixture> },
  run: (fixture: Fixture, rig: EngineRig) => Promise<void>,
): void {
  suiteTest(suite, name, skip, async () => {
    await using rig = await EngineRig.make();
    const fixture = await make();
    try {
      await run(fixture, rig);
    } finally {
      await fixture.close();
    }
  });
}
