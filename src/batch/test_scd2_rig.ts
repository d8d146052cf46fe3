import assert from "node:assert/strict";
import type { BatchTarget } from "../core/batch_spec.ts";
import type { Database, DatabaseSession } from "../core/database.ts";
import type { Column } from "../core/schema.ts";
import type { SqlValue } from "../core/session.ts";
import type { LoadContext, LoadCounts } from "./load_context.ts";
import { applyScd2 } from "./scd2.ts";
import { planTable } from "./target_table.ts";
import type { ModelVersion } from "./test_scd2_model.ts";

const TIME = "TIMESTAMP WITH TIME ZONE";

/** Columns of the table that the tests version: keys `k` and `g`, event time `ts`, `v` compared, `c` carried along. */
export const COLUMNS: readonly Column[] = [
  { name: "k", type: "BIGINT" },
  { name: "g", type: "VARCHAR" },
  { name: "ts", type: TIME },
  { name: "v", type: "VARCHAR" },
  { name: "c", type: "VARCHAR" },
];

/** A row for {@link COLUMNS}; `ts` in microseconds since the epoch. */
export interface RigRow {
  readonly k: number | null;
  readonly g?: string | null;
  readonly ts?: bigint | undefined;
  readonly v: string | null;
  readonly c?: string;
}

/** One run over {@link RigRow}s. */
export interface RigRun {
  readonly started: bigint;
  readonly rows: readonly RigRow[];
  readonly eventTime?: boolean;
  readonly soft?: boolean;
  readonly ttlSeconds?: number;
  readonly restate?: bigint;
  readonly allowEmptySource?: boolean;
}

/** A version as the table has it. */
export interface RigVersion extends Omit<ModelVersion, "tie"> {
  readonly key: string;
  readonly isCurrent: boolean;
  readonly hash: string;
}

/** A versioned table in a real database, and runs over it. */
export class Scd2Rig {
  readonly session: DatabaseSession;
  readonly #target: BatchTarget;
  /** The table's quoted name. */
  readonly table: string;
  #stages = 0;

  private constructor(session: DatabaseSession, target: BatchTarget) {
    this.session = session;
    this.#target = target;
    this.table = session.dialect.tableName(target.table.ref);
  }

  static async open(database: Database): Promise<Scd2Rig> {
    const session = await database.connect(new AbortController().signal);
    const name = `scd2_${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}`;
    const target: BatchTarget = {
      connection: { kind: database.kind, options: {}, shown: database.shown },
      table: {
        ref: { name },
        columns: COLUMNS.map((column) => ({
          ...column,
          nullable: column.name !== "k" && column.name !== "g",
          normalizers: [],
        })),
        primaryKey: ["k", "g"],
        naturalKey: [],
        uniqueGroups: [],
        mergeKeys: [],
      },
      mode: "scd2",
      keys: [],
      compareColumns: ["v"],
      updateColumns: [],
      handleDeletes: "none",
      allowEmptySource: false,
      overlapSeconds: 0,
      onDrift: "error",
      create: true,
    };
    const plan = planTable(session.dialect, target, target.table.columns, ["k", "g"], undefined);
    for (const sql of plan.ddl) await session.run(sql);
    return new Scd2Rig(session, target);
  }

  /** Empties the table. */
  async reset(): Promise<void> {
    await this.session.run(`DELETE FROM ${this.table}`);
  }

  async close(): Promise<void> {
    await this.session.rollback();
    await this.session.run(`DROP TABLE ${this.table}`);
    await this.session.close();
  }

  /** Does a run in a transaction of its own; rolls back and rethrows what it throws. */
  async run(run: RigRun): Promise<LoadCounts> {
    const { session } = this;
    await session.begin();
    try {
      const source = this.#newStage();
      await session.run(session.dialect.createStage(source, COLUMNS));
      await this.#insert(source, run.rows);
      const counts = await applyScd2(
        this.context(run, session.dialect.stageName(source)),
        run.restate === undefined ? {} : { restateFromMicros: run.restate },
      );
      await session.run(session.dialect.dropStage(source));
      await session.commit();
      return counts;
    } catch (error) {
      await session.rollback();
      throw error;
    }
  }

  context(run: RigRun, relation: string): LoadContext {
    return {
      session: this.session,
      target: {
        spec: {
          ...this.#target,
          handleDeletes: run.soft === true ? "soft" : "none",
          allowEmptySource: run.allowEmptySource ?? false,
          ...run.eventTime === false ? {} : { eventTimestampColumn: "ts" },
          ...run.ttlSeconds === undefined ? {} : { ttlSeconds: run.ttlSeconds },
        },
        table: this.table,
        columns: COLUMNS,
        keys: ["k", "g"],
        keysAreUnique: false,
        valueColumns: ["v"],
      },
      relation,
      batchId: "0b0e0c9a-6f5c-4c06-9d0f-000000000001",
      startedMicros: run.started,
      newStage: () => this.#newStage(),
    };
  }

  #newStage(): string {
    this.#stages += 1;
    return `scd2_stage_${this.#stages}`;
  }

  async #insert(stage: string, rows: readonly RigRow[]): Promise<void> {
    if (rows.length === 0) return;
    const { dialect } = this.session;
    const params: SqlValue[] = [];
    const bind = (value: SqlValue, type: string) => {
      params.push(value);
      return dialect.typedParameter(dialect.placeholder(params.length), type);
    };
    const values = rows.map(({ k, g = "g", ts, v, c = "" }) =>
      `(${
        [
          bind(k === null ? null : BigInt(k), "BIGINT"),
          bind(g, "VARCHAR"),
          bind(ts === undefined ? null : dialect.timestampValue(ts), TIME),
          bind(v, "VARCHAR"),
          bind(c, "VARCHAR"),
        ].join(", ")
      })`
    );
    const names = COLUMNS.map(({ name }) => dialect.quote(name)).join(", ");
    await this.session.run(
      `INSERT INTO ${dialect.stageName(stage)} (${names}) VALUES ${values.join(", ")}`,
      params,
    );
  }

  /** All versions by key and time. */
  async versions(): Promise<RigVersion[]> {
    const { dialect } = this.session;
    const name = (column: string) => dialect.quote(column);
    const time = (column: string) =>
      `${dialect.cast({ sql: name(column), type: TIME }, "VARCHAR")} AS ${name(column)}`;
    const rows = await this.session.rows<Record<string, SqlValue>>(
      `SELECT ${["k", "g", "v", "c", "row_hash"].map(name).join(", ")}, ${time("valid_from")}, ${
        time("valid_to")
      }, CASE WHEN ${name("is_current")} THEN 1 ELSE 0 END AS current_flag FROM ${this.table}`,
    );
    return rows.map((row) => ({
      key: `${String(row["k"])}/${String(row["g"])}`,
      from: microsOf(String(row["valid_from"])),
      to: row["valid_to"] === null ? undefined : microsOf(String(row["valid_to"])),
      v: row["v"] === null ? null : String(row["v"]),
      c: String(row["c"]),
      isCurrent: Number(row["current_flag"]) === 1,
      hash: hexOf(row["row_hash"]),
    })).toSorted((a, b) => a.key === b.key ? (a.from < b.from ? -1 : 1) : a.key < b.key ? -1 : 1);
  }

  /** Checks what always holds, and gives the versions. */
  async checkedVersions(): Promise<RigVersion[]> {
    const versions = await this.versions();
    for (const [index, version] of versions.entries()) {
      assert.equal(version.isCurrent, version.to === undefined, "is_current ⇔ valid_to IS NULL");
      assert(version.to === undefined || version.from < version.to, "an interval is empty");
      const next = versions[index + 1];
      if (next === undefined || next.key !== version.key) continue;
      assert(version.to !== undefined && version.to <= next.from, "intervals overlap");
      assert(version.to < next.from || version.hash !== next.hash, "equal versions touch");
    }
    return versions;
  }
}

function microsOf(text: string): bigint {
  const [, date, time, fraction = ""] =
    /^(\d{4,}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00(?::?00)?)?$/.exec(text) ?? [];
  assert(date !== undefined && time !== undefined, `no UTC time: ${text}`);
  return BigInt(Date.parse(`${date}T${time}Z`)) * 1000n + BigInt(fraction.padEnd(6, "0"));
}

function hexOf(value: SqlValue | undefined): string {
  if (value instanceof Uint8Array) {
    return [...value].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return String(value).replace(/^\\x/, "").toLowerCase();
}
