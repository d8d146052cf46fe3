import { Buffer } from "node:buffer";
import {
  type Assigner,
  AssignerProtocol,
  type Cluster,
  type GroupMember,
  type PartitionAssigner,
} from "kafkajs";

/** The version of the subscription format that is sent: topics only. */
const VERSION = 0;

/**
 * Shares the partitions of every topic among those members that read it, in contiguous ranges, members in the order of their ids: the rule
 * (and the name) of Java's `range` assignor, so that a group may hold other clients too.
 *
 * kafkajs' own assigner gives all members the topics that the leader reads. Members of one group that read different topics (a
 * pipeline with several sources and one `group_id`) would get nothing, or what they never asked for.
 */
export const rangeAssigner: PartitionAssigner = (
  { cluster }: { readonly cluster: Cluster },
): Assigner => ({
  name: "range",
  version: VERSION,
  assign: ({ members }) => assignRanges(members, (topics) => partitionsOf(cluster, topics)),
  protocol: ({ topics }) => ({
    name: "range",
    metadata: AssignerProtocol.MemberMetadata.encode({
      version: VERSION,
      topics,
      userData: Buffer.alloc(0),
    }),
  }),
});

async function partitionsOf(
  cluster: Cluster,
  topics: readonly string[],
): Promise<ReadonlyMap<string, readonly number[]>> {
  const found = new Map<string, readonly number[]>();
  for (const topic of topics) {
    try {
      await cluster.addTargetTopic(topic);
    } catch {
      // A topic that another member reads and that is not there (yet): nobody gets anything of it now.
      continue;
    }
    found.set(
      topic,
      cluster.findTopicPartitionMetadata(topic).map((one) => one.partitionId).sort((a, b) => a - b),
    );
  }
  return found;
}

/** The assignment of all partitions to members. Exported for its test. */
export async function assignRanges(
  members: readonly GroupMember[],
  partitionsOfTopics: (
    topics: readonly string[],
  ) => Promise<ReadonlyMap<string, readonly number[]>>,
): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
  const readers = new Map<string, string[]>();
  for (const { memberId, memberMetadata } of members) {
    const topics = AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? [];
    for (const topic of topics) readers.set(topic, [...readers.get(topic) ?? [], memberId]);
  }
  const shares = new Map<string, Record<string, number[]>>(
    members.map(({ memberId }) => [memberId, {}]),
  );
  for (const [topic, partitions] of await partitionsOfTopics([...readers.keys()])) {
    const ids = [...readers.get(topic) ?? []].sort();
    const least = Math.floor(partitions.length / ids.length);
    const extra = partitions.length % ids.length;
    let next = 0;
    ids.forEach((id, at) => {
      const size = least + (at < extra ? 1 : 0);
      const share = shares.get(id);
      if (size > 0 && share !== undefined) share[topic] = partitions.slice(next, next + size);
      next += size;
    });
  }
  return [...shares].map(([memberId, assignment]) => ({
    memberId,
    memberAssignment: AssignerProtocol.MemberAssignment.encode({
      version: VERSION,
      assignment,
      userData: Buffer.alloc(0),
    }),
  }));
}
