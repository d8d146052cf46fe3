/**
 * The process that `file_target_test.ts` kills: writes rows 0, 1, 2 … into a file target, a thousand an epoch, going on from the stored
 * offset, and prints the position after each commit. Arguments: kind, path, mode, scratch directory, position to stop at.
 */
import { ROW_COLUMN } from "../../src/core/batch.ts";
import { OffsetName } from "../../src/core/offset_name.ts";
import { systemClock } from "../../src/core/clock.ts";
import type { Connector } from "../../src/core/connector.ts";
import { duckdbConnector } from "../../src/connectors/duckdb/connector.ts";
import { sqliteConnector } from "../../src/connectors/sqlite/connector.ts";
import { createEngine } from "../../src/sql/engine.ts";

const ROWS = 1000;
const connectors: Readonly<Record<string, Connector>> = {
  duckdb: duckdbConnector,
  sqlite: sqliteConnector,
};

const [kind = "", path = "", mode = "", scratchDir = "", end = "0"] = Deno.args;
const merges = mode === "merge";
const engine = await createEngine({ scratchDir, threads: 1 });
const session = await engine.connect();
const sink = connectors[kind]?.createSink?.({
  options: { path },
  table: { name: "events" },
  mode: merges ? "merge" : "append",
  keys: merges ? ["id"] : [],
  create: true,
});
if (sink === undefined) throw new Error(`no target of kind '${kind}'`);
const { signal } = new AbortController();
await sink.open({
  pipeline: "p",
  offsetName: OffsetName.ofOnly("p"),
  engine,
  clock: systemClock,
  observe: () => {},
  exactlyOnce: true,
}, signal);
const [stored] = await sink.storedOffsets();
let expected = stored?.position ?? null;
const lines = new TextEncoder();
for (let epoch = 1; Number(expected ?? 0) < Number(end); epoch += 1) {
  const from = Number(expected ?? 0);
  const table = engine.newName("batch");
  const id = merges ? "i % 1500" : "i";
  await session.run(
    `CREATE TABLE ${table} AS SELECT ${id} AS id, i AS n, 'row ' || i AS t, i - ${from} AS ${ROW_COLUMN} ` +
      `FROM range(${from}, ${from + ROWS}) r(i)`,
  );
  const columns = [
    { name: "id", type: "BIGINT" },
    { name: "n", type: "BIGINT" },
    { name: "t", type: "VARCHAR" },
  ];
  await sink.begin(epoch);
  await sink.write({ table, columns, hasRowColumn: true, rows: ROWS }, session, signal);
  const to = String(from + ROWS);
  await sink.commit([{ sourceId: "rows", partition: "0", expected, to }]);
  expected = to;
  await session.run(`DROP TABLE ${table}`);
  await Deno.stdout.write(lines.encode(`${to}\n`));
}
await sink.close();
await engine.close();
