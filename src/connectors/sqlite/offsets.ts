import type { OffsetMove, StoredOffset } from "../../core/offset.ts";
import { assertUnfenced, OFFSETS_TABLE } from "../_sql/offset_fence.ts";
import type { SqliteClient } from "./client.ts";
import { qualifiedName, readTable } from "./table.ts";

const OFFSETS = qualifiedName(OFFSETS_TABLE);

/** The offsets that the file keeps for a pipeline; empty where it has no table of them. */
export async function readOffsets(client: SqliteClient, pipeline: string): Promise<StoredOffset[]> {
  if (await readTable(client, OFFSETS_TABLE) === undefined) return [];
  const rows = await client.call({
    op: "query",
    sql: `SELECT source_id, "partition", position FROM ${OFFSETS} WHERE pipeline_id = ?`,
    params: [pipeline],
  });
  return rows.map(toStored);
}

function toStored(row: Readonly<Record<string, unknown>>): StoredOffset {
  return {
    sourceId: String(row["source_id"]),
    partition: String(row["partition"]),
    position: String(row["position"]),
  };
}

/** Moves the offsets in the open transaction, from exactly where they are expected to be; otherwise `offset_fenced`. */
export async function moveOffsets(
  client: SqliteClient,
  targetId: string,
  pipeline: string,
  moves: readonly OffsetMove[],
): Promise<void> {
  await client.run(
    `CREATE TABLE IF NOT EXISTS ${OFFSETS} (pipeline_id TEXT NOT NULL, source_id TEXT NOT NULL, ` +
      `"partition" TEXT NOT NULL, position TEXT NOT NULL, updated_at TEXT NOT NULL, ` +
      `PRIMARY KEY (pipeline_id, source_id, "partition"))`,
  );
  // Only those that are moved: a pipeline may have read many more files.
  const stored = await client.call({
    op: "query",
    sql:
      `SELECT o.source_id, o."partition", o.position FROM json_each(?) AS m CROSS JOIN ${OFFSETS} AS o ` +
      `ON o.pipeline_id = ? AND o.source_id = m.value ->> 0 AND o."partition" = m.value ->> 1`,
    params: [JSON.stringify(moves.map((move) => [move.sourceId, move.partition])), pipeline],
  });
  assertUnfenced(targetId, moves, stored.map(toStored));
  await client.call({
    op: "run_each",
    sql: `INSERT INTO ${OFFSETS} VALUES (?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%fZ')) ` +
      "ON CONFLICT DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at",
    params: moves.map((move) => [pipeline, move.sourceId, move.partition, move.to]),
  });
}
