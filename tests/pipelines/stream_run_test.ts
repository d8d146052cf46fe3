import assert from "node:assert/strict";
import { systemClock } from "../../src/core/clock.ts";
import { FlowError } from "../../src/core/error.ts";
import type { Observation } from "../../src/core/observation.ts";
import { partitionKey } from "../../src/core/offset.ts";
import type { Sink } from "../../src/core/sink.ts";
import type { Source } from "../../src/core/source.ts";
import type { StreamingSpec } from "../../src/core/spec.ts";
import {
  type MemoryBroker,
  memoryBroker,
  removeMemoryBroker,
} from "../../src/connectors/memory/broker.ts";
import { memoryConnector } from "../../src/connectors/memory/connector.ts";
import { createJsonDecoder } from "../../src/formats/json_decoder.ts";
import { planStream, type StreamPlan } from "../../src/plan/plan.ts";
import { createEngine } from "../../src/sql/engine.ts";
import { StreamRun } from "../../src/stream/stream_run.ts";

const PIPELINE = "orders";
const PARTITION = partitionKey({ sourceId: "orders", partition: "0" });

/** A pipeline from the topic `orders` into the table `orders`, two messages a batch, whose source and sink can be changed. */
async function runOrders(
  messages: number,
  change: {
    readonly source?: (source: Source, broker: MemoryBroker) => Source;
    readonly sink?: (sink: Sink, broker: MemoryBroker) => Sink;
    readonly stop?: { readonly drain: AbortController; readonly now: AbortController };
  },
) {
  const name = crypto.randomUUID();
  const broker = memoryBroker(name);
  broker.produce("orders", Array.from({ length: messages }, (_, id) => JSON.stringify({ id })));
  const observed: Observation[] = [];
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  const plan = planned(name);
  const [source] = plan.sources;
  const [target] = plan.targets;
  assert(source !== undefined && target !== undefined);
  try {
    const summary = await StreamRun.run({
      ...plan,
      sources: [{ ...source, source: change.source?.(source.source, broker) ?? source.source }],
      targets: [{ ...target, sink: change.sink?.(target.sink, broker) ?? target.sink }],
    }, {
      engine,
      clock: systemClock,
      observe: (observation) => observed.push(observation),
      untilEnd: true,
      attempt: 1,
      drain: (change.stop?.drain ?? new AbortController()).signal,
      now: (change.stop?.now ?? new AbortController()).signal,
      offsetStore: { load: () => Promise.resolve([]), save: () => Promise.resolve() },
      createDecoder: () => createJsonDecoder({ inferTimes: true }),
    });
    const ids = broker.rows("orders").map(({ id }) => Number(id));
    return { summary, ids, observed };
  } finally {
    await engine.close();
    removeMemoryBroker(name);
    await Deno.remove(scratchDir, { recursive: true });
  }
}

function planned(broker: string): StreamPlan {
  const spec: StreamingSpec = {
    name: PIPELINE,
    origin: { file: "orders.toml" },
    sources: [{ sourceId: "orders", kind: "memory", query: "orders", options: { broker } }],
    targets: [{
      kind: "memory",
      options: { broker },
      table: { name: "orders" },
      mode: "append",
      keys: [],
      create: true,
    }],
    delivery: "auto",
    idlePauseMs: 10,
    maxBatchBytes: 1 << 20,
    maxBatchRows: 2,
    maxBatchWaitMs: 10,
  };
  return planStream(spec, [memoryConnector]);
}

/** The same object, but for the methods given. */
function changed<T extends object>(whole: T, own: Partial<T>): T {
  return new Proxy(whole, {
    get: (target, key) => {
      const mine = Reflect.get(own, key);
      if (mine !== undefined) return mine;
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** What `Promise`s of this tick, and of the next ones, have to do. */
async function severalTurns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("a batch that is handed over while a lost fence is mended is read again as well", async () => {
  let handedOver = 0;
  let commits = 0;
  let isRecovering = false;
  const { ids, observed } = await runOrders(10, {
    source: (source) =>
      changed(source, {
        read: async function* (signal) {
          for await (const batch of source.read(signal)) {
            while (handedOver === 2 && !isRecovering) await severalTurns();
            handedOver += 1;
            yield batch;
          }
        },
      }),
    sink: (sink, broker) =>
      changed(sink, {
        commit: (moves) => {
          commits += 1;
          // Another process has written the first row of the second batch, which is being committed here.
          if (commits === 2) {
            broker.tables.get("orders")?.rows.push(["2"]);
            broker.offsets.get(PIPELINE)?.set(PARTITION, "3");
          }
          return sink.commit(moves);
        },
        storedOffsets: async () => {
          isRecovering = commits === 2;
          while (isRecovering && handedOver < 3) await severalTurns();
          await severalTurns();
          return await sink.storedOffsets();
        },
      }),
  });
  assert.equal(observed.filter(({ kind }) => kind === "offsets_fenced").length, 1);
  assert.deepEqual(ids, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("a batch that was dropped since everything is to stop at once is no success", async () => {
  const stop = { drain: new AbortController(), now: new AbortController() };
  let commits = 0;
  const run = runOrders(10, {
    stop,
    sink: (sink) =>
      changed(sink, {
        commit: async (moves) => {
          await sink.commit(moves);
          commits += 1;
          if (commits > 1) return;
          // The next batch is prepared by now, or is going to be.
          stop.drain.abort();
          await severalTurns();
          stop.now.abort();
        },
      }),
  });
  await assert.rejects(
    run,
    (error) => error instanceof Error && /stop|abort|interrupt/i.test(error.message),
  );
  assert.equal(commits, 1);
});

Deno.test("a source that cannot be told what is committed does not end a run whose target keeps the offsets", async () => {
  const { ids, observed } = await runOrders(10, {
    source: (source) =>
      changed(source, {
        acknowledge: () =>
          Promise.reject(new FlowError("the broker is away", { code: "away", domain: "external" })),
      }),
  });
  assert.deepEqual(ids, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const notices = observed.flatMap((one) => one.kind === "notice" ? [one.message] : []);
  assert.deepEqual(notices, ["the source could not be told what is committed: the broker is away"]);
});
