import assert from "node:assert/strict";
import { serviceTest } from "./test_rig.ts";

serviceTest("merge inserts and updates by key, the last row of a key wins", async (rig) => {
  const sink = await rig.sink({ mode: "merge", keys: ["id"] });
  await rig.writeEpoch(sink, "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (1, 'c')) AS t(id, name)");
  await rig.execute(
    `CREATE TABLE changes (id int);
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO ${rig.schema}.changes VALUES (NEW.id); RETURN NEW; END $$;
     CREATE TRIGGER note AFTER INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION note()`,
  );
  await rig.writeEpoch(sink, "SELECT * FROM (VALUES (1, 'c'), (2, 'd'), (3, 'e')) AS t(id, name)");
  const rows = await rig.select(`SELECT * FROM ${rig.schema}.events ORDER BY id`);
  assert.deepEqual(rows.map((row) => `${row["id"]} ${row["name"]}`), ["1 c", "2 d", "3 e"]);
  const changes = await rig.select(`SELECT id FROM ${rig.schema}.changes ORDER BY id`);
  // Row 1 was the same and is left alone.
  assert.deepEqual(changes.map((row) => row["id"]), ["2", "3"]);
});

serviceTest(
  "merge takes the primary key when no keys are named, several batches per epoch",
  async (rig) => {
    await rig.execute("CREATE TABLE events (a int, b text, info json, PRIMARY KEY (b, a))");
    const sink = await rig.sink({ mode: "merge" });
    const signal = new AbortController().signal;
    await sink.begin(1);
    for (const info of ["[1]", "[2]", "[2]"]) {
      const batch = await rig.batch(`SELECT 1 AS a, 'x' AS b, '${info}'::JSON AS info`, false);
      assert.equal(await sink.write(batch, rig.session, signal), undefined);
    }
    await sink.commit([]);
    const rows = await rig.select(`SELECT * FROM ${rig.schema}.events`);
    assert.deepEqual(rows.map((row) => ({ ...row })), [{ a: "1", b: "x", info: "[2]" }]);
  },
);

serviceTest("merge without other columns, and into identity keys", async (rig) => {
  await rig.execute("CREATE TABLE events (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)");
  const sink = await rig.sink({ mode: "merge" });
  await rig.writeEpoch(sink, "SELECT 5 AS id");
  await rig.writeEpoch(sink, "SELECT unnest([5, 6]) AS id");
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 2);
});

serviceTest("bad rows of a merge: NULL keys, casts, constraints", async (rig) => {
  await rig.execute(
    "CREATE TABLE events (id int PRIMARY KEY, qty int CHECK (qty > 0)); INSERT INTO events VALUES (1, 1)",
  );
  const sink = await rig.sink({ mode: "merge" });
  const rejected = await rig.writeEpoch(
    sink,
    "SELECT * FROM (VALUES (1, '2'), (NULL, '3'), (2, 'x'), (3, '-1'), (1, '4'), (4, '5'), (4, '-5')) AS t(id, qty)",
  );
  assert.deepEqual((await rig.reasons(rejected)).map((reason) => reason.slice(0, 48)), [
    '1: column "id" is NULL, and it is a key of the m',
    '2: column "qty": x does not fit integer',
    '3: new row for relation "events" violates check ',
    '6: new row for relation "events" violates check ',
  ]);
  const rows = await rig.select(`SELECT * FROM ${rig.schema}.events ORDER BY id`);
  assert.deepEqual(rows.map((row) => `${row["id"]} ${row["qty"]}`), ["1 4", "4 5"]);
});

serviceTest("merge without a unique index is an error that says how to make one", async (rig) => {
  await rig.execute("CREATE TABLE events (id int, name text)");
  const sink = await rig.sink({ mode: "merge", keys: ["id"] });
  const batch = await rig.batch("SELECT 1 AS id, 'x' AS name");
  const signal = new AbortController().signal;
  await sink.begin(1);
  await assert.rejects(sink.write(batch, rig.session, signal), {
    code: "target_key_not_unique",
    message: /no unique index on exactly \(id\)/,
  });
  await sink.abort();
  await rig.execute("CREATE UNIQUE INDEX ON events (id)");
  await rig.writeEpoch(sink, "SELECT 1 AS id, 'x' AS name");
  const nameless = await rig.sink({ mode: "merge" });
  await nameless.begin(1);
  await assert.rejects(nameless.write(batch, rig.session, signal), { code: "target_key_missing" });
});
