import type { OffsetMove, StoredOffset } from "../../core/offset.ts";
import type { Session } from "../../core/session.ts";
import { assertUnfenced, OFFSETS_TABLE } from "../_sql/offset_fence.ts";
import { readTable, tableName } from "./table.ts";

const OFFSETS = tableName({ name: OFFSETS_TABLE });

/** The offsets that the file keeps for a pipeline; empty where it has no table of them. */
export async function readOffsets(session: Session, pipeline: string): Promise<StoredOffset[]> {
  if (await readTable(session, OFFSETS) === undefined) return [];
  const rows = await session.rows<OffsetRow>(`${SELECT} WHERE pipeline_id = $1`, [pipeline]);
  return rows.map(toStored);
}

const SELECT = `SELECT source_id AS source, "partition", "position" FROM ${OFFSETS.sql}` as const;

interface OffsetRow {
  readonly source: string;
  readonly partition: string;
  readonly position: string;
}

function toStored({ source, partition, position }: OffsetRow): StoredOffset {
  return { sourceId: source, partition, position };
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
  const texts = (of: (move: OffsetMove) => string) => JSON.stringify(moves.map(of));
  const [sources, partitions] = [texts((move) => move.sourceId), texts((move) => move.partition)];
  // Only those that are moved: a pipeline may have read many more files.
  const stored = await session.rows<OffsetRow>(
    `${SELECT} WHERE pipeline_id = $1 AND (source_id, "partition") IN ` +
      `(SELECT (${unnested("$2")}, ${unnested("$3")}))`,
    [pipeline, sources, partitions],
  );
  assertUnfenced(targetId, moves, stored.map(toStored));
  await session.run(
    `INSERT INTO ${OFFSETS.sql} SELECT $1, ${unnested("$2")}, ${unnested("$3")}, ` +
      `${unnested("$4")}, now() ` +
      `ON CONFLICT DO UPDATE SET "position" = excluded."position", updated_at = excluded.updated_at`,
    [pipeline, sources, partitions, texts((move) => move.to)],
  );
}

/** The elements of a JSON list of texts, one a row. */
function unnested(list: string): string {
  return `unnest(from_json(${list}, '["VARCHAR"]'))`;
}
