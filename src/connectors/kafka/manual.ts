import { systemClock } from "../../core/clock.ts";
import { createEngine } from "../../sql/engine.ts";
import { KafkaSource } from "./source.ts";
const [topic, session] = Deno.args as [string, string];
const scratchDir = await Deno.makeTempDir();
const engine = await createEngine({ scratchDir });
const t = performance.now();
const ts = () => ((performance.now() - t) / 1000).toFixed(1);
const src = new KafkaSource({ sourceId: topic, query: topic, options: { bootstrap_servers: Deno.env.get("FLOW_TEST_KAFKA_BROKERS"), payload_format: "json", session_timeout_ms: Number(session) } });
const s = await engine.connect();
try {
await src.open({ pipeline: "manual-" + topic, engine, clock: systemClock, observe: (o) => console.log(ts(), o.kind, "message" in o ? o.message : ""), untilEnd: false, wantedMetadata: new Set(), storedPositions: (p) => { console.log(ts(), "assigned", p.length); return Promise.resolve([]); }, maxBatchBytes: 16 << 20, maxBatchRows: 100_000, maxBatchWaitMs: 100 }, new AbortController().signal);
let rows = 0;
for await (const b of src.read(new AbortController().signal)) {
  if (!b) continue;
  rows += b.rows;
  console.log(ts(), "rows", rows, Deno.memoryUsage().rss >> 20);
  await s.run(`drop table ${b.table}`);
  await src.acknowledge(b.ranges.map((r) => ({ ...r, position: r.to })));
}
} catch (e) { console.log(ts(), "FAILED", e.code, e.message); await src.close(); await s.close(); await engine.close(); }
