import type { BatchConnection } from "../core/batch_spec.ts";
import type { Clock } from "../core/clock.ts";
import type { Database } from "../core/database.ts";
import type { Observe } from "../core/observation.ts";
import type { Engine } from "../core/session.ts";

/** What runs of declared pipelines need from their host. */
export interface BatchDependencies {
  /** The database behind a connection; nothing is opened yet. Throws `connection_unsupported` for kinds that have none. */
  openDatabase(connection: BatchConnection): Database;
  /** A new engine for rows between two databases; whoever asked closes it. */
  createEngine(): Promise<Engine>;
  readonly clock: Clock;
  readonly observe: Observe;
  readonly signal: AbortSignal;
  /** A new UUID (text) for `_batch_id` and `run_history.run_id`. */
  pipelineRunId(): string;
}
