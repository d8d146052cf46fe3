import assert from "node:assert/strict";
import { ROW_COLUMN } from "../core/batch.ts";
import { systemClock } from "../core/clock.ts";
import type { DeadLetter } from "../core/dead_letter.ts";
import { FlowError } from "../core/error.ts";
import type { PlannedTarget, StreamPlan } from "../plan/plan.ts";
import { createEngine } from "../sql/engine.ts";
import { EpochWriter } from "./epoch_writer.ts";
import { OffsetLedger } from "./offset_ledger.ts";
import type { PreparedEpoch } from "./prepare.ts";

Deno.test("a dead letter tells which attempt since the last commit it is of", async () => {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  try {
    const session = await engine.connect();
    const commits = ["fenced", "done", "done"];
    const target = {
      sink: {
        traits: { transactional: true },
        begin: () => Promise.resolve(),
        abort: () => Promise.resolve(),
        commit: () =>
          commits.shift() === "done" ? Promise.resolve() : Promise.reject(
            new FlowError("moved", { code: "offset_fenced", domain: "external", retryable: true }),
          ),
      },
    } as unknown as PlannedTarget;
    const letters: DeadLetter[] = [];
    const plan = {
      spec: { name: "p" },
      targets: [target],
      deadLetters: {
        to: "sink",
        sink: {
          write: (more: readonly DeadLetter[]) => Promise.resolve(void letters.push(...more)),
        },
      },
    } as unknown as StreamPlan;
    const writer = new EpochWriter(
      plan,
      {
        engine,
        clock: systemClock,
        observe: () => {},
        attempt: 4,
        now: new AbortController().signal,
      },
      session,
      { ledger: new OffsetLedger(0), keepers: [], forTarget: (part) => part },
    );
    await session.run(
      `CREATE TABLE raw_rows AS SELECT '{' AS _payload, NULL::BLOB AS _undecodable, 0 AS _partition, ` +
        `7::BIGINT AS _offset, NULL::TIMESTAMPTZ AS _event_ts, NULL::VARCHAR AS _key, 0 AS ${ROW_COLUMN}`,
    );
    await session.run(`CREATE TABLE refused AS SELECT 'no JSON' AS _error, 0 AS ${ROW_COLUMN}`);
    const source = {
      sourceId: "orders",
      table: "raw_rows",
      encoding: "json",
      rows: 1,
      bytes: 1,
      ranges: [{ sourceId: "orders", partition: "0", from: "7", to: "8" }],
    } as const;
    const epoch: PreparedEpoch = {
      source,
      parts: [],
      refusals: [
        { stage: "decode", rejected: { table: "refused", count: 1, by: "row_number" }, source },
      ],
      temporary: [],
      stageMs: {},
    };
    await assert.rejects(writer.write(epoch, 1), { code: "offset_fenced" });
    await writer.write(epoch, 2);
    await writer.write(epoch, 3);
    assert.deepEqual(letters.map(({ id, attempt }) => [id, attempt]), [
      ["orders/0/7", 4],
      ["orders/0/7", 5],
      ["orders/0/7", 1],
    ]);
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
});
