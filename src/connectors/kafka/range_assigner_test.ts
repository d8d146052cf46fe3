import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { AssignerProtocol } from "kafkajs";
import { assignRanges } from "./range_assigner.ts";

const member = (memberId: string, topics: string[]) => ({
  memberId,
  memberMetadata: AssignerProtocol.MemberMetadata.encode({
    version: 0,
    topics,
    userData: Buffer.alloc(0),
  }),
});

async function sharesOf(
  members: readonly ReturnType<typeof member>[],
  topics: Readonly<Record<string, readonly number[]>>,
) {
  const shares = await assignRanges(members, (asked) =>
    Promise.resolve(
      new Map(
        asked.flatMap((topic) => topics[topic] === undefined ? [] : [[topic, topics[topic]]]),
      ),
    ));
  return Object.fromEntries(
    shares.map(({ memberId, memberAssignment }) => [
      memberId,
      { ...AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment },
    ]),
  );
}

Deno.test("range assigner: every topic is shared out among its own readers only", async () => {
  assert.deepEqual(
    await sharesOf([member("b", ["orders"]), member("a", ["payments"]), member("c", ["orders"])], {
      orders: [0, 1, 2],
      payments: [0, 1],
    }),
    { a: { payments: [0, 1] }, b: { orders: [0, 1] }, c: { orders: [2] } },
  );
});

Deno.test("range assigner: members without a partition, and topics that are not there", async () => {
  assert.deepEqual(
    await sharesOf([member("a", ["orders"]), member("b", ["orders"]), member("c", ["gone"])], {
      orders: [0],
    }),
    { a: { orders: [0] }, b: {}, c: {} },
  );
});
