import { FlowError } from "../../core/error.ts";
import type { OffsetMove, StoredOffset } from "../../core/offset.ts";
import { assertUnfenced, inLockOrder, offsetFenced, OFFSETS_TABLE } from "../_sql/offset_fence.ts";
import type { PostgresConnection } from "./connection.ts";
import { isServerError } from "./postgres_error.ts";

/** How long reading waits for a commit under way. */
const LOCK_TIMEOUT_MS = 30_000;

/** Marks flow's advisory locks among those of others: the text that is hashed with the pipeline's name. */
const LOCK_SPACE = "flow offsets ";

/**
 * Makes the offsets table where it is missing.
 *
 * @throws FlowError `offsets_table_incompatible` (user) when another system's table has the name.
 */
export async function ensureOffsetsTable(connection: PostgresConnection): Promise<void> {
  const there = await offsetsColumns(connection);
  if (there.length === 0) {
    try {
      await connection.query(
        `CREATE TABLE IF NOT EXISTS ${OFFSETS_TABLE} (pipeline_id text NOT NULL, source_id text NOT NULL, ` +
          "partition text NOT NULL, position text NOT NULL, " +
          "updated_at timestamptz NOT NULL DEFAULT now(), " +
          "PRIMARY KEY (pipeline_id, source_id, partition))",
      );
    } catch (error) {
      // Another process made it in the same moment: IF NOT EXISTS does not see tables that are not committed.
      const raced = isServerError(error) && (error.code === "23505" || error.code === "42P07");
      if (!raced) throw error;
    }
    return;
  }
  const missing = ["pipeline_id", "source_id", "partition", "position"]
    .filter((column) => !there.includes(column));
  if (missing.length === 0) return;
  throw new FlowError(
    `the table ${OFFSETS_TABLE} in ${connection.address.shown} was made by another system ` +
      `(it has no column ${missing.join(", ")})`,
    {
      code: "offsets_table_incompatible",
      domain: "user",
      hint:
        `rename it (ALTER TABLE ${OFFSETS_TABLE} RENAME TO ematix_offsets_old) so that flow makes its own, ` +
        'or set delivery = "at_least_once"; reading then starts where the source says',
      details: { table: OFFSETS_TABLE },
    },
  );
}

async function offsetsColumns(connection: PostgresConnection): Promise<string[]> {
  const { rows } = await connection.query<{ name: string }>(
    "SELECT attname AS name FROM pg_attribute WHERE attrelid = to_regclass($1) " +
      "AND attnum > 0 AND NOT attisdropped",
    [OFFSETS_TABLE],
  );
  return rows.map((row) => row.name);
}

/**
 * Reads the pipeline's offsets, after any commit that is under way: its process may be gone, its session still be at work. The
 * rows' own locks do not cover a first commit, which inserts them; hence the advisory lock.
 */
export async function readOffsets(
  connection: PostgresConnection,
  pipeline: string,
): Promise<StoredOffset[]> {
  await connection.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
  );
  await connection.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [
    LOCK_SPACE + pipeline,
  ]);
  const { rows } = await connection.query<OffsetRow>(
    `SELECT source_id, partition, position FROM ${OFFSETS_TABLE} WHERE pipeline_id = $1 ` +
      'ORDER BY source_id COLLATE "C", partition COLLATE "C" FOR UPDATE',
    [pipeline],
  );
  await connection.query("COMMIT");
  return rows.map(toStored);
}

interface OffsetRow {
  readonly source_id: string;
  readonly partition: string;
  readonly position: string;
}

function toStored(row: OffsetRow): StoredOffset {
  return { sourceId: row.source_id, partition: row.partition, position: row.position };
}

/**
 * Moves the offsets within the open transaction, each by compare-and-set. The advisory lock is shared: processes of one
 * pipeline commit side by side, and only a reader waits for all of them.
 *
 * @throws FlowError `offset_fenced`
 */
export async function moveOffsets(
  connection: PostgresConnection,
  pipeline: string,
  targetId: string,
  moves: readonly OffsetMove[],
): Promise<void> {
  if (moves.length === 0) return;
  const ordered = inLockOrder(moves);
  const sources = ordered.map((move) => move.sourceId);
  const partitions = ordered.map((move) => move.partition);
  await connection.query("SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))", [
    LOCK_SPACE + pipeline,
  ]);
  const { rows } = await connection.query<OffsetRow>(
    `SELECT source_id, partition, position FROM ${OFFSETS_TABLE} WHERE pipeline_id = $1 ` +
      "AND (source_id, partition) IN (SELECT * FROM unnest($2::text[], $3::text[])) " +
      'ORDER BY source_id COLLATE "C", partition COLLATE "C" FOR UPDATE',
    [pipeline, sources, partitions],
  );
  assertUnfenced(targetId, ordered, rows.map(toStored));
  await updatePositions(connection, pipeline, targetId, ordered.filter((m) => m.expected !== null));
  await insertPositions(connection, pipeline, targetId, ordered.filter((m) => m.expected === null));
}

async function updatePositions(
  connection: PostgresConnection,
  pipeline: string,
  targetId: string,
  moves: readonly OffsetMove[],
): Promise<void> {
  const [first] = moves;
  if (first === undefined) return;
  const { rowCount } = await connection.query(
    `UPDATE ${OFFSETS_TABLE} AS o SET position = m.next, updated_at = now() ` +
      "FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) " +
      "AS m(source_id, partition, expected, next) " +
      "WHERE o.pipeline_id = $1 AND o.source_id = m.source_id AND o.partition = m.partition " +
      "AND o.position = m.expected",
    [
      pipeline,
      moves.map((move) => move.sourceId),
      moves.map((move) => move.partition),
      moves.map((move) => move.expected),
      moves.map((move) => move.to),
    ],
  );
  if (rowCount !== moves.length) throw offsetFenced(targetId, first, "another position");
}

async function insertPositions(
  connection: PostgresConnection,
  pipeline: string,
  targetId: string,
  moves: readonly OffsetMove[],
): Promise<void> {
  const [first] = moves;
  if (first === undefined) return;
  const { rowCount } = await connection.query(
    `INSERT INTO ${OFFSETS_TABLE} (pipeline_id, source_id, partition, position) ` +
      "SELECT $1, m.source_id, m.partition, m.next " +
      "FROM unnest($2::text[], $3::text[], $4::text[]) AS m(source_id, partition, next) " +
      "ON CONFLICT (pipeline_id, source_id, partition) DO NOTHING",
    [
      pipeline,
      moves.map((move) => move.sourceId),
      moves.map((move) => move.partition),
      moves.map((move) => move.to),
    ],
  );
  // The rows were not there a moment ago: another process has committed its first position since.
  if (rowCount !== moves.length) throw offsetFenced(targetId, first, "another position");
}
