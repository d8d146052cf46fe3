import type { OffsetMove, StoredOffset } from "../../core/offset.ts";
import type { Session } from "../../core/session.ts";
import { assertUnfenced, OFFSETS_TABLE } from "../_sql/offset_fence.ts";
import { readTable, tableName } from "./table.ts";

const OFFSETS = tableName({ name: OFFSETS_TABLE });
/** Each takes three parameters. */
const MOVES_PER_STATEMENT = 500;

/** The offsets that the file keeps for a pipeline; empty where it has no table of them. */
export async function readOffsets(session: Session, pipeline: string): Promise<StoredOffset[]> {
  if (await readTable(session, OFFSETS) === undefined) return [];
  const rows = await session.rows<{ source: string; partition: string; position: string }>(
    `SELECT source_id AS source, "partition", "position" FROM ${OFFSETS.sql} WHERE pipeline_id = $1`,
    [pipeline],
  );
  return rows.map(({ source, partition, position }) => ({ sourceId: source, partition, position }));
}

/** Moves the offsets in the session's transaction, from exactly where they are expected to be; otherwise `offset_fenced`. */
export async function moveOffsets(
  session: Session,
  targetId: string,
  pipeline: string,
  moves: readonly OffsetMove[],
): Promise<void> {
  await session.run(
    `CREATE TABLE IF NOT EXISTS ${OFFSETS.sql} (pipeline_id VARCHAR, source_id VARCHAR, ` +
      `"partition" VARCHAR, "position" VARCHAR NOT NULL, updated_at TIMESTAMPTZ NOT NULL, ` +
      `PRIMARY KEY (pipeline_id, source_id, "partition"))`,
  );
  if (moves.length === 0) return;
  assertUnfenced(targetId, moves, await readOffsets(session, pipeline));
  for (let from = 0; from < moves.length; from += MOVES_PER_STATEMENT) {
    const some = moves.slice(from, from + MOVES_PER_STATEMENT);
    const values = some.map((_, at) =>
      `($1, $${at * 3 + 2}, $${at * 3 + 3}, $${at * 3 + 4}, now())`
    );
    await session.run(
      `INSERT INTO ${OFFSETS.sql} VALUES ${values.join(", ")} ` +
        `ON CONFLICT DO UPDATE SET "position" = excluded."position", updated_at = excluded.updated_at`,
      [pipeline, ...some.flatMap((move) => [move.sourceId, move.partition, move.to])],
    );
  }
}
