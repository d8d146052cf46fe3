import type { TargetColumn } from "../core/schema.ts";
import type { Engine } from "../core/session.ts";
import { duckdbDialect } from "../sql/dialect.ts";
import { ColumnNames } from "./column_names.ts";
import type { BatchDependencies } from "./dependencies.ts";
import { BATCH_ID, type LoadCounts, LOADED_AT } from "./load_context.ts";
import {
  type BulkLoad,
  loadedQuery,
  type LoadIdentity,
  type LoadPlan,
  planLoad,
  type StagePlan,
} from "./load_plan.ts";
import { applyMerge } from "./merge.ts";
import type { LoadSessions, PreparedLoad } from "./prepare_load.ts";
import { applyScd2 } from "./scd2.ts";
import { type ConstantColumn, transferRows } from "./transfer.ts";
import { highestWatermark, type StoredWatermark } from "./watermark.ts";

/** What loading takes besides the preparation. */
export interface LoadRowsRequest extends LoadSessions, LoadIdentity {
  readonly deps: BatchDependencies;
  readonly pipeline: string;
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

  constructor(prepared: PreparedLoad, request: LoadRowsRequest, engine: LazyEngine) {
    this.#prepared = prepared;
    this.#request = request;
    this.#engine = engine;
  }

  async load(): Promise<LoadedRows> {
    const { query, watermark, target } = this.#prepared;
    const asFound = target.spec.mode !== "incremental";
    const highest = watermark === undefined
      ? undefined
      : await highestWatermark(this.#request.from, query, watermark, { asFound });
    const loaded = loadedQuery(this.#prepared, this.#request, highest);
    const counts = await this.#execute(
      planLoad(this.#prepared, loaded, this.#request, this.#request),
    );
    return highest === undefined ? { counts } : { counts, watermark: highest };
  }

  async #execute(plan: LoadPlan): Promise<LoadCounts> {
    const { to, restateFromMicros } = this.#request;
    if (plan.stage !== undefined) await this.#stage(plan.stage);
    if (plan.by === "append") {
      if (plan.empty !== undefined) await to.run(plan.empty);
      const { insert } = plan;
      return {
        rowsInserted: "bulk" in insert
          ? await this.#append(insert)
          : await to.run(insert.sql, insert.params),
      };
    }
    if (plan.by === "merge") return await applyMerge(plan.context);
    return await applyScd2(
      plan.context,
      restateFromMicros === undefined ? {} : { restateFromMicros },
    );
  }

  async #append(load: BulkLoad): Promise<number> {
    const { to, batchId, startedMicros } = this.#request;
    const { target } = this.#prepared;
    const now = await to.table(target.spec.table.ref);
    const constants: readonly ConstantColumn[] = [
      {
        column: { name: LOADED_AT, type: "TIMESTAMP WITH TIME ZONE" },
        valueFor: (dialect) => dialect.timestampValue(startedMicros),
      },
      { column: { name: BATCH_ID, type: "UUID" }, valueFor: () => batchId },
    ];
    const there = new ColumnNames(to.dialect, now?.columns ?? []);
    const names = [...target.columns, ...constants.map(({ column }) => column)];
    const columns = names.map(({ name, type }): TargetColumn =>
      there.get(name) ?? this.#column(name, type)
    );
    return await this.#transfer(load, columns, constants);
  }

  async #stage({ create, fill, refresh }: StagePlan): Promise<void> {
    const { to } = this.#request;
    await to.run(create);
    if ("bulk" in fill) {
      const { columns } = this.#prepared.target;
      await this.#transfer(fill, columns.map(({ name, type }) => this.#column(name, type)), []);
    } else {
      await to.run(fill.sql, fill.params);
    }
    if (refresh !== undefined) await to.run(refresh);
  }

  #column(name: string, type: string): TargetColumn {
    return {
      name,
      type,
      nativeType: this.#request.to.dialect.columnType(type),
      nullable: true,
      hasDefault: false,
      ...(type === "JSON" ? { json: true } : {}),
    };
  }

  async #transfer(
    { bulk: query, into: table }: BulkLoad,
    columns: readonly TargetColumn[],
    constants: readonly ConstantColumn[],
  ): Promise<number> {
    const { from, to, deps, pipeline } = this.#request;
    return await transferRows({
      from,
      to,
      query,
      pairs: this.#prepared.pairs,
      constants,
      into: { table, columns },
      engine: () => this.#engine.get(),
      engineDialect: duckdbDialect,
      onProgress: (rows) => deps.observe({ kind: "rows_loaded", pipeline, rows }),
    });
  }
}
