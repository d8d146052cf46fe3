import { FlowError } from "../../core/error.ts";
import type { StoredOffset } from "../../core/offset.ts";
import type { Engine } from "../../core/session.ts";
import type { SinkContext, SinkTraits, WriteMode } from "../../core/sink.ts";

/** What a target that is a table of a database can do. */
export const TABLE_TRAITS: SinkTraits = {
  transactional: true,
  modes: ["append", "merge"],
  hasSchema: true,
  keepsText: false,
};

/** How rows come into a target's table, as its definition says. */
export interface TableLoad {
  readonly mode: WriteMode;
  readonly keys: readonly string[];
  /** Make the table and its columns where they are missing. */
  readonly create: boolean;
}

/** What writing into a table within one epoch needs to know, whatever the database. */
export interface EpochTable extends TableLoad {
  readonly engine: Engine;
  /** True when this pipeline has written to the target before: then new columns are added instead of refused. */
  readonly known: () => Promise<boolean>;
  /** The database keeps offsets; without them nobody knows what earlier runs have written. */
  readonly exactlyOnce: boolean;
  /** Tells of a change that a person wants to know of. */
  readonly notice: (message: string) => void;
}

/**
 * The {@link EpochTable} of an epoch that begins.
 *
 * @param hasWritten true once an epoch of this run is committed
 * @param storedOffsets the offsets that the database keeps of the pipeline
 */
export function epochTable(
  { engine, exactlyOnce, pipeline, observe }: SinkContext,
  { mode, keys, create }: TableLoad,
  hasWritten: () => boolean,
  storedOffsets: () => Promise<readonly StoredOffset[]>,
): EpochTable {
  return {
    engine,
    mode,
    keys,
    create,
    known: async () => hasWritten() || (exactlyOnce && (await storedOffsets()).length > 0),
    exactlyOnce,
    notice: (message) => observe({ kind: "notice", pipeline, message }),
  };
}

/** `sink_out_of_order`: a bug of whoever calls the sink. */
export function outOfOrder(kind: string, reason: string): FlowError {
  return new FlowError(`the ${kind} target was called out of order: ${reason}`, {
    code: "sink_out_of_order",
    domain: "internal",
  });
}
