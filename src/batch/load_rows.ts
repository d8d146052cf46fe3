import type { TargetColumn } from "../core/schema.ts";
import type { Dialect, LoadTarget } from "../core/database.ts";
import type { Engine } from "../core/session.ts";
import { duckdbDialect } from "../sql/dialect.ts";
import { appendStatement } from "./append.ts";
import { Binder, type BoundQuery } from "./binder.ts";
import { ColumnNames } from "./column_names.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { BATCH_ID, type LoadContext, type LoadCounts, LOADED_AT } from "./load_context.ts";
import { applyMerge } from "./merge.ts";
import type { LoadSessions, PreparedLoad } from "./prepare_load.ts";
import { projection } from "./projection.ts";
import { applyScd2 } from "./scd2.ts";
import { type ConstantColumn, transferRows } from "./transfer.ts";
import { highestWatermark, limitedTo, type StoredWatermark } from "./watermark.ts";

/** What loading takes besides the preparation. */
export interface LoadRowsRequest extends LoadSessions {
  readonly deps: BatchDependencies;
  readonly pipeline: string;
  readonly batchId: string;
  readonly startedMicros: bigint;
  readonly restateFromMicros?: bigint;
}

/** What was loaded, and up to where. */
export interface LoadedRows {
  readonly counts: LoadCounts;
  /** Absent when the load keeps none, or there was nothing new. */
  readonly watermark?: StoredWatermark;
}

/** Brings the rows into the target by the mode, within the transactions that the caller has opened on both sessions. */
export async function loadRows(
  prepared: PreparedLoad,
  request: LoadRowsRequest,
): Promise<LoadedRows> {
  const engine = new LazyEngine(request.deps);
  try {
    return await new RowLoad(prepared, request, engine).load();
  } finally {
    await engine.close();
  }
}

/** The engine is made only when rows go through it. */
class LazyEngine {
  readonly #deps: BatchDependencies;
  #engine: Promise<Engine> | undefined;

  constructor(deps: BatchDependencies) {
    this.#deps = deps;
  }

  get(): Promise<Engine> {
    this.#engine ??= this.#deps.createEngine();
    return this.#engine;
  }

  async close(): Promise<void> {
    await (await this.#engine)?.close();
  }
}

class RowLoad {
  readonly #prepared: PreparedLoad;
  readonly #request: LoadRowsRequest;
  readonly #engine: LazyEngine;
  #stages = 0;

  constructor(prepared: PreparedLoad, request: LoadRowsRequest, engine: LazyEngine) {
    this.#prepared = prepared;
    this.#request = request;
    this.#engine = engine;
  }

  get #sameDatabase(): boolean {
    return this.#request.from === this.#request.to;
  }

  async load(): Promise<LoadedRows> {
    const { watermark } = this.#prepared;
    if (watermark === undefined) return { counts: await this.#byMode(this.#prepared.query) };
    const { from } = this.#request;
    const { mode, tieBreakColumn } = this.#prepared.target.spec;
    const highest = await highestWatermark(from, this.#prepared.query, watermark.column, {
      tieBreakColumn,
      asFound: mode !== "incremental",
    });
    // Where a writing statement may see rows that the reading one did not, they wait for the next run.
    const isMoving = this.#sameDatabase && !from.dialect.stableReads;
    const query = isMoving && highest !== undefined
      ? limitedTo(from.dialect, this.#prepared.query, watermark.column, highest)
      : this.#prepared.query;
    const counts = await this.#byMode(query);
    return highest === undefined ? { counts } : { counts, watermark: highest };
  }

  async #byMode(query: BoundQuery): Promise<LoadCounts> {
    const { target } = this.#prepared;
    const { mode } = target.spec;
    const { restateFromMicros } = this.#request;
    if (mode === "scd2") {
      return await applyScd2(
        await this.#staged(query),
        restateFromMicros === undefined ? {} : { restateFromMicros },
      );
    }
    if (mode === "merge" || (mode === "incremental" && target.keys.length > 0)) {
      return await applyMerge(await this.#staged(query));
    }
    if (mode === "truncate") await this.#request.to.run(this.#dialect.emptyTable(target.table));
    return { rowsInserted: await this.#append(query) };
  }

  get #dialect(): Dialect {
    return this.#request.to.dialect;
  }

  async #append(query: BoundQuery): Promise<number> {
    const { to, batchId, startedMicros } = this.#request;
    const { target, pairs } = this.#prepared;
    if (this.#sameDatabase) {
      const { sql, params } = appendStatement(this.#dialect, {
        target,
        query,
        pairs,
        batchId,
        startedMicros,
      });
      return await to.run(sql, params);
    }
    const now = await to.table(target.spec.table.ref);
    const constants: readonly ConstantColumn[] = [
      {
        column: { name: LOADED_AT, type: "TIMESTAMP WITH TIME ZONE" },
        valueFor: (dialect) => dialect.timestampValue(startedMicros),
      },
      { column: { name: BATCH_ID, type: "UUID" }, valueFor: () => batchId },
    ];
    const there = new ColumnNames(this.#dialect, now?.columns ?? []);
    const names = [...target.columns, ...constants.map(({ column }) => column)];
    const columns = names.map(({ name, type }): TargetColumn =>
      there.get(name) ?? this.#column(name, type)
    );
    return await this.#transfer(query, { table: target.table, columns }, constants);
  }

  /** The incoming rows as a relation of the target's database. */
  async #staged(query: BoundQuery): Promise<LoadContext> {
    const { to, batchId, startedMicros } = this.#request;
    const { target } = this.#prepared;
    const context = {
      session: to,
      target,
      batchId,
      startedMicros,
      newStage: () => this.#newStage(),
    };
    if (this.#sameDatabase && this.#dialect.stableReads) {
      const bind = new Binder(this.#dialect);
      const select = this.#select(bind, query);
      if (bind.params.length === 0) return { ...context, relation: `(${select})` };
    }
    const stage = this.#newStage();
    await to.run(this.#dialect.createStage(stage, target.columns, target.keys));
    const relation = this.#dialect.stageName(stage);
    if (this.#sameDatabase) {
      const bind = new Binder(this.#dialect);
      const columns = target.columns.map(({ name }) => this.#dialect.quote(name)).join(", ");
      await to.run(
        `INSERT INTO ${relation} (${columns}) ${this.#select(bind, query)}`,
        bind.params,
      );
    } else {
      const columns = target.columns.map(({ name, type }) => this.#column(name, type));
      await this.#transfer(query, { table: relation, columns }, []);
    }
    const refresh = this.#dialect.refreshStatistics?.(relation);
    if (refresh !== undefined) await to.run(refresh);
    return { ...context, relation };
  }

  #select(bind: Binder, query: BoundQuery): string {
    return projection(this.#dialect, this.#prepared.pairs, `(${bind.query(query)}\n)`);
  }

  #column(name: string, type: string): TargetColumn {
    return {
      name,
      type,
      nativeType: this.#dialect.columnType(type),
      nullable: true,
      hasDefault: false,
      ...(type === "JSON" ? { json: true } : {}),
    };
  }

  async #transfer(
    query: BoundQuery,
    into: LoadTarget,
    constants: readonly ConstantColumn[],
  ): Promise<number> {
    const { from, to, deps, pipeline } = this.#request;
    return await transferRows({
      from,
      to,
      query,
      pairs: this.#prepared.pairs,
      constants,
      into,
      engine: () => this.#engine.get(),
      engineDialect: duckdbDialect,
      onProgress: (rows) => deps.observe({ kind: "rows_loaded", pipeline, rows }),
    });
  }

  #newStage(): string {
    this.#stages += 1;
    // Sessions may be shared, and stages live as long as they do.
    return `flow_stage_${this.#request.batchId.slice(0, 8)}_${this.#stages}`;
  }
}
