import assert from "node:assert/strict";
import { type Batch, ROW_COLUMN } from "../../core/batch.ts";
import { OffsetName } from "../../core/offset_name.ts";
import { systemClock } from "../../core/clock.ts";
import { FlowError } from "../../core/error.ts";
import type { Engine, Session } from "../../core/session.ts";
import { createEngine } from "../../sql/engine.ts";
import { memoryBroker, type MemoryStep, removeMemoryBroker } from "./broker.ts";
import { memoryConnector } from "./connector.ts";

const never = new AbortController().signal;

async function withEngine(work: (engine: Engine, session: Session) => Promise<void>) {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  try {
    await work(engine, await engine.connect());
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
    removeMemoryBroker("failing");
  }
}

Deno.test("memory: every step fails when it is told to, once, at the passage asked for", () =>
  withEngine(async (engine, session) => {
    const broker = memoryBroker("failing");
    const context = {
      pipeline: "p",
      offsetName: OffsetName.ofOnly("p"),
      engine,
      clock: systemClock,
      observe: () => {},
      exactlyOnce: true,
    };
    const sink = memoryConnector.createSink?.({
      options: { broker: "failing" },
      table: { schema: "s", name: "t" },
      mode: "append",
      keys: [],
      create: true,
    });
    assert.ok(sink);
    await session.run(`CREATE TABLE b AS SELECT 1 AS id, 0::BIGINT AS ${ROW_COLUMN}`);
    const batch: Batch = {
      table: "b",
      columns: [{ name: "id", type: "INTEGER" }],
      hasRowColumn: true,
      rows: 1,
    };
    const ref = { sourceId: "t", partition: "0" };
    const failing = { code: "memory_failure", retryable: true };
    const told = async (step: MemoryStep, run: () => Promise<unknown>) => {
      broker.failAt(step);
      await assert.rejects(run(), failing, step);
    };
    await told("sink_open", () => sink.open(context, never));
    await sink.open(context, never);
    await told("begin", () => sink.begin(1));
    broker.failAt("write", 2, new FlowError("odd", { code: "odd", domain: "user" }));
    await sink.begin(1);
    await sink.write(batch, session, never);
    await assert.rejects(sink.write(batch, session, never), { code: "odd" });
    await sink.abort();
    assert.deepEqual(broker.rows("s.t"), []);
    await sink.begin(2);
    await sink.write(batch, session, never);
    await told("commit", () => sink.commit([{ ...ref, expected: null, to: "1" }]));
    await sink.abort();
    assert.deepEqual(await sink.storedOffsets(), []);
    await sink.begin(3);
    await sink.write(batch, session, never);
    await told("committed", () => sink.commit([{ ...ref, expected: null, to: "1" }]));
    await sink.abort();
    assert.deepEqual(broker.rows("s.t"), [{ id: "1" }]);
    assert.deepEqual(await sink.storedOffsets(), [{ ...ref, position: "1" }]);
  }));

Deno.test("memory: keys, headers, times and missing payloads come through; acknowledged positions are kept", () =>
  withEngine(async (engine, session) => {
    const broker = memoryBroker("failing");
    broker.produce("t", [
      { payload: null, key: "k", headers: { h: "ü" }, eventTimeMicros: 5n },
      { payload: Uint8Array.of(0xff) },
      "{}",
    ]);
    const open = async () => {
      const source = memoryConnector.createSource?.({
        sourceId: "t",
        query: "t",
        options: { broker: "failing" },
      });
      assert.ok(source);
      await source.open({
        pipeline: "p",
        engine,
        clock: systemClock,
        observe: () => {},
        untilEnd: true,
        wantedMetadata: new Set(),
        storedPositions: () => Promise.resolve([]),
        maxBatchBytes: 1000,
        maxBatchRows: 2,
        maxBatchWaitMs: 10,
      }, never);
      return source;
    };
    const first = await open();
    for await (const batch of first.read(never)) {
      assert.ok(batch);
      const rows = await session.rows(
        `SELECT _payload AS p, _key AS k, _headers AS h, epoch_us(_event_ts) = 5 AS e FROM ${batch.table} ORDER BY _offset`,
      );
      assert.deepEqual(rows.map((row) => ({ ...row })), [
        { p: null, k: "k", h: '{"h":"ü"}', e: true },
        { p: null, k: null, h: null, e: false },
      ]);
      assert.equal(batch.lagRows, 1);
      await first.acknowledge(batch.ranges.map(({ sourceId, partition, to }) => ({
        sourceId,
        partition,
        position: to,
      })));
      break;
    }
    await first.close();
    const second = await open();
    const ranges = [];
    for await (const batch of second.read(never)) ranges.push(...batch?.ranges ?? []);
    await second.close();
    assert.deepEqual(ranges, [{ sourceId: "t", partition: "0", from: "2", to: "3" }]);
  }));
