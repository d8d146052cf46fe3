import type { Dialect } from "../core/database.ts";
import { Binder, type BoundQuery, type Statement } from "./binder.ts";
import { BATCH_ID, LOADED_AT, type ResolvedTarget } from "./load_context.ts";
import { type ProjectedColumn, projection } from "./projection.ts";
import { timestampOf } from "./time_value.ts";

/** What an append within one database takes. */
export interface AppendRequest {
  readonly target: ResolvedTarget;
  readonly query: BoundQuery;
  readonly pairs: readonly ProjectedColumn[];
  readonly batchId: string;
  readonly startedMicros: bigint;
}

/** One INSERT … SELECT of all rows of the query. */
export function appendStatement(dialect: Dialect, request: AppendRequest): Statement {
  const { target, query, pairs, batchId, startedMicros } = request;
  const names = [...target.columns.map(({ name }) => name), LOADED_AT, BATCH_ID];
  const bind = new Binder(dialect);
  // The constants stand before the query in the text, and so are bound before it.
  const constants = [
    `${timestampOf(bind, dialect, startedMicros)} AS ${dialect.quote(LOADED_AT)}`,
    `${bind.value(batchId, "UUID")} AS ${dialect.quote(BATCH_ID)}`,
  ];
  const select = projection(dialect, pairs, `(${bind.query(query)}\n)`, constants);
  const columns = names.map((name) => dialect.quote(name)).join(", ");
  return { sql: `INSERT INTO ${target.table} (${columns}) ${select}`, params: bind.params };
}
