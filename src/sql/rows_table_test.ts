import assert from "node:assert/strict";
import { createEngine } from "./engine.ts";
import { splitLines, tableOfRows } from "./rows_table.ts";

Deno.test("rows of a database about itself become a table with the types of their values", async () => {
  const scratchDir = await Deno.makeTempDir();
  const engine = await createEngine({ scratchDir, threads: 1 });
  try {
    const session = await engine.connect();
    const rows = Array.from({ length: 700 }, (_, at) => ({
      id: BigInt(at),
      'na"me': at === 3 ? null : `n${at}`,
      mixed: at % 2 === 0 ? BigInt(at) : "x",
      on: true,
    }));
    const { table, columns } = await tableOfRows(rows, engine, session);
    assert.deepEqual(columns.map(({ type }) => type), ["BIGINT", "VARCHAR", "VARCHAR", "BOOLEAN"]);
    assert.deepEqual(
      await session.rows(
        `SELECT count(*) AS n, sum(id)::BIGINT AS s, count("na""me") AS t, max(mixed) AS m FROM ${table}`,
      ),
      [{ n: 700n, s: 244_650n, t: 699n, m: "x" }],
    );
    const none = await tableOfRows([], engine, session);
    assert.deepEqual(none.columns, [{ name: "result", type: "VARCHAR" }]);
    assert.deepEqual(await session.rows(`SELECT * FROM ${none.table}`), []);
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
});

Deno.test("texts of several lines become rows", () => {
  assert.deepEqual(
    splitLines([{ key: "plan", n: 1n, value: "a\nb\n" }, { key: "x", n: null, value: "" }]),
    [
      { key: "plan", n: 1n, value: "a" },
      { key: "", n: "", value: "b" },
      { key: "x", n: null, value: "" },
    ],
  );
});
