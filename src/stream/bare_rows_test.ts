import assert from "node:assert/strict";
import { type Batch, ROW_COLUMN } from "../core/batch.ts";
import type { TargetColumn } from "../core/schema.ts";
import type { Engine, Session } from "../core/session.ts";
import { createEngine } from "../sql/engine.ts";
import { dressBareRows } from "./bare_rows.ts";

async function withBareRows(
  work: (tools: { engine: Engine; session: Session; batch: Batch }) => Promise<void>,
): Promise<void> {
  const scratchDir = await Deno.makeTempDir({ prefix: "flow_test_" });
  const engine = await createEngine({ scratchDir });
  const session = await engine.connect();
  try {
    await session.run(`CREATE TABLE bare_rows AS SELECT i AS ${ROW_COLUMN} FROM range(3) t(i)`);
    const batch: Batch = { table: "bare_rows", columns: [], hasRowColumn: true, rows: 3 };
    await work({ engine, session, batch });
  } finally {
    await engine.close();
    await Deno.remove(scratchDir, { recursive: true });
  }
}

function column(name: string, change: Partial<TargetColumn> = {}): TargetColumn {
  return {
    name,
    type: "INTEGER",
    nativeType: "integer",
    nullable: true,
    hasDefault: false,
    ...change,
  };
}

Deno.test("rows without fields get a column that takes NULL, and no default is overwritten", () =>
  withBareRows(async ({ engine, session, batch }) => {
    const columns = [
      column("id", { nullable: false }),
      column("made", { hasDefault: true }),
      column("note", { type: "VARCHAR" }),
    ];
    const dressed = await dressBareRows(engine, session, batch, columns, "append");
    assert.ok("batch" in dressed);
    assert.deepEqual(dressed.batch.columns, [{ name: "note", type: "VARCHAR" }]);
    assert.deepEqual(
      await session.rows(`SELECT note, ${ROW_COLUMN} AS row FROM ${dressed.batch.table}`),
      [0n, 1n, 2n].map((row) => ({ note: null, row })),
    );
  }));

Deno.test("rows without fields are refused where the table cannot take them, with the reason", () =>
  withBareRows(async ({ engine, session, batch }) => {
    for (
      const [columns, mode, reason] of [
        [undefined, "append", /no table yet/],
        [[column("id", { nullable: false })], "append", /must have a value/],
        [[column("id")], "merge", /no key/],
      ] as const
    ) {
      const dressed = await dressBareRows(engine, session, batch, columns, mode);
      assert.ok("rejected" in dressed);
      const { table, count, by } = dressed.rejected;
      assert.deepEqual([count, by], [3, "row_number"]);
      const rows = await session.rows<{ _error: string }>(`SELECT * FROM ${table}`);
      assert.equal(rows.length, 3);
      assert.match(rows[0]?._error ?? "", reason);
    }
  }));
