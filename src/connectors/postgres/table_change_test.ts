import assert from "node:assert/strict";
import { serviceTest } from "./test_rig.ts";

const ROW = "SELECT 2 AS id, 'two' AS v, 20 AS w";

serviceTest(
  "a table that is altered between two batches is looked at again, and no row is lost",
  async (rig) => {
    for (
      const [change, expected] of [
        ["ALTER TABLE events DROP COLUMN w", { id: "2", v: "two", w: "20" }],
        ["ALTER TABLE events RENAME COLUMN v TO other", {
          id: "2",
          other: null,
          v: "two",
          w: "20",
        }],
        ["ALTER TABLE events ALTER COLUMN w TYPE text", { id: "2", v: "two", w: "20" }],
        ["DROP TABLE events", { id: "2", v: "two", w: "20" }],
        [
          "DROP TABLE events; CREATE TABLE events (w int, id int, v text, z int DEFAULT 7)",
          { id: "2", v: "two", w: "20", z: "7" },
        ],
      ] as const
    ) {
      await rig.execute(
        "DROP TABLE IF EXISTS events; CREATE TABLE events (id int, v text, w int)",
      );
      const sink = await rig.sink();
      await rig.writeEpoch(sink, "SELECT 1 AS id, 'one' AS v, 10 AS w");
      await rig.execute(change);
      assert.equal(await rig.writeEpoch(sink, ROW), undefined, change);
      const [row] = await rig.select(`SELECT * FROM ${rig.schema}.events WHERE id = 2`);
      assert.deepEqual(sorted(row), expected, change);
      await sink.close();
    }
  },
);

serviceTest("an altered table that does not fit any more is told by its column", async (rig) => {
  await rig.execute("CREATE TABLE events (id int, v text, w int)");
  const sink = await rig.sink();
  await rig.writeEpoch(sink, "SELECT 1 AS id, 'one' AS v, 10 AS w");
  await rig.execute("ALTER TABLE events ALTER COLUMN w TYPE boolean USING w > 0");
  await assert.rejects(rig.writeEpoch(sink, ROW), {
    code: "target_type_mismatch",
    message: /column "w" .* cannot go into .*boolean/,
  });
  await sink.abort();
  await rig.execute("ALTER TABLE events DROP COLUMN w");
  await rig.execute("ALTER TABLE events ADD COLUMN w bigint");
  await rig.writeEpoch(sink, ROW);
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 2);
});

function sorted(row: Record<string, unknown> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

serviceTest("two targets of a pipeline may both need a schema that is missing", async (rig) => {
  const schema = `${rig.schema}_new`;
  const never = new AbortController().signal;
  const sinks = [
    await rig.sink({ table: { schema, name: "a" } }),
    await rig.sink({ table: { schema, name: "b" } }),
  ];
  try {
    // As the writer of epochs does: both transactions are open at the same time.
    for (const sink of sinks) {
      await sink.begin(1);
      await sink.write(await rig.batch("SELECT 1 AS id"), rig.session, never);
    }
    for (const sink of sinks) await sink.commit([]);
    const rows = await rig.select(`SELECT a.id FROM ${schema}.a JOIN ${schema}.b USING (id)`);
    assert.equal(rows.length, 1);
  } finally {
    for (const sink of sinks) await sink.close();
    await rig.client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  }
});
