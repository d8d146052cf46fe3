import { FlowError } from "../../core/error.ts";
import { type OffsetMove, partitionKey, type StoredOffset } from "../../core/offset.ts";

/**
 * The table of source positions in every transactional target, in the database's default schema: one row per (`pipeline_id`,
 * `source_id`, `partition`) with `position` and `updated_at`.
 */
export const OFFSETS_TABLE = "_ematix_offsets";

/** The moves in the one order in which every process locks their rows, so that two of them cannot block each other. */
export function inLockOrder(moves: readonly OffsetMove[]): OffsetMove[] {
  const key = new Map(moves.map((move) => [move, partitionKey(move)]));
  return [...moves].sort((a, b) => ((key.get(a) ?? "") < (key.get(b) ?? "") ? -1 : 1));
}

/** Throws `offset_fenced` unless every move starts from what is stored. */
export function assertUnfenced(
  targetId: string,
  moves: readonly OffsetMove[],
  stored: readonly StoredOffset[],
): void {
  const positions = new Map(stored.map((offset) => [partitionKey(offset), offset.position]));
  for (const move of moves) {
    const found = positions.get(partitionKey(move)) ?? null;
    if (found !== move.expected) throw offsetFenced(targetId, move, found);
  }
}

/** What a lost COMMIT has done, as the stored offsets tell: `unclear` when somebody else has moved them since. */
export function commitOutcome(
  moves: readonly OffsetMove[],
  stored: readonly StoredOffset[],
): "committed" | "not_committed" | "unclear" {
  const positions = new Map(stored.map((offset) => [partitionKey(offset), offset.position]));
  const real = moves.filter((move) => move.expected !== move.to);
  if (real.length === 0) return "unclear";
  const at = (move: OffsetMove) => positions.get(partitionKey(move)) ?? null;
  if (real.every((move) => at(move) === move.to)) return "committed";
  if (real.every((move) => at(move) === move.expected)) return "not_committed";
  return "unclear";
}

/** `offset_fenced`: another process has moved the offsets; rows of this one are not written. */
export function offsetFenced(
  targetId: string,
  move: OffsetMove,
  found: string | null,
): FlowError {
  return new FlowError(
    `cannot commit to ${targetId}: '${move.sourceId}' partition ${move.partition} was to move from ` +
      `${move.expected ?? "no stored position"} to ${move.to}, but the target holds ${
        found ?? "none"
      }`,
    {
      code: "offset_fenced",
      domain: "external",
      retryable: true,
      hint: "another process with the same pipeline name writes to this target; this one reads " +
        "the stored positions again and goes on from there",
      details: {
        target: targetId,
        source: move.sourceId,
        partition: move.partition,
        expected: move.expected ?? "none",
        found: found ?? "none",
      },
    },
  );
}
