import { FlowError } from "../../core/error.ts";
import type { Position, StoredOffset } from "../../core/offset.ts";
import { positionOffset } from "../../core/source.ts";
import type { StartPosition } from "./intake.ts";
import type { PartitionBounds } from "./topic.ts";

/** The rules by which a partition's start is chosen. */
export interface StartRules {
  readonly topic: string;
  /** As the user wrote it; `undefined` when they did not: then earliest, and a lost position is an error. */
  readonly reset: "earliest" | "latest" | undefined;
  /** Partitions that were there when the source was opened. One that appears later is read from its begin under every rule. */
  readonly knownPartitions: ReadonlySet<number>;
  readonly notice: (message: string) => void;
}

/** What is known about one partition. */
export interface PartitionFacts {
  readonly partition: number;
  readonly bounds: PartitionBounds;
  readonly stored: StoredOffset | undefined;
  /** What the consumer group has committed. */
  readonly committed: number | undefined;
}

/**
 * Where reading of a partition starts: at the position that the target stores, else at the group's, else by `auto_offset_reset`.
 *
 * @throws {FlowError} `kafka_offset_out_of_range` when the broker does not have that position any more and the user wrote no rule for it
 */
export function startPosition(facts: PartitionFacts, rules: StartRules): StartPosition {
  const { partition, bounds, stored, committed } = facts;
  const made = (offset: number): StartPosition => ({
    partition,
    offset,
    stored: stored?.position ?? null,
    highWatermark: bounds.high,
  });
  const wanted = stored === undefined ? committed : Number(positionOffset(stored.position));
  if (wanted === undefined) {
    const latest = rules.reset === "latest" && rules.knownPartitions.has(partition);
    return made(latest ? bounds.high : bounds.low);
  }
  if (wanted >= bounds.low && wanted <= bounds.high) return made(wanted);
  if (rules.reset === undefined) throw outOfRange(rules.topic, partition, String(wanted), bounds);
  const offset = rules.reset === "earliest" ? bounds.low : bounds.high;
  rules.notice(
    `topic '${rules.topic}' partition ${partition}: the stored offset ${wanted} is not there any more ` +
      `(the broker has ${bounds.low} to ${bounds.high}); going on at ${offset} by auto_offset_reset = "${rules.reset}"` +
      (offset > wanted ? `, records ${wanted} to ${offset - 1} are lost` : ""),
  );
  return made(offset);
}

/** The error for a position that the broker does not have. */
export function outOfRange(
  topic: string,
  partition: number,
  offset: Position,
  bounds: PartitionBounds | undefined,
): FlowError {
  const has = bounds === undefined ? "" : ` (it has ${bounds.low} to ${bounds.high})`;
  const why = bounds !== undefined && Number(offset) > bounds.high
    ? "the topic was made anew or lost its end"
    : "its retention has removed what was not read yet";
  return new FlowError(
    `cannot go on with topic '${topic}' partition ${partition} at offset ${offset}: the broker does not have it${has}; ${why}`,
    {
      code: "kafka_offset_out_of_range",
      domain: "external",
      hint:
        'set auto_offset_reset = "earliest" (or "latest") in [source] to go on with what is there, knowing that rows are missing',
      details: { topic, partition, offset },
    },
  );
}
