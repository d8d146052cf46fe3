import assert from "node:assert/strict";
import { serviceTest, type TestRig } from "./test_rig.ts";

const TYPES = "SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type " +
  "FROM pg_attribute a WHERE a.attrelid = 'events'::regclass AND attnum > 0 ORDER BY attnum";

async function types(rig: TestRig): Promise<Record<string, string | null>> {
  await rig.execute("SELECT 1");
  const rows = await rig.select(TYPES);
  return Object.fromEntries(rows.map((row) => [row["name"] ?? "", row["type"] ?? null]));
}

function notices(rig: TestRig): string[] {
  return rig.observations.flatMap((observation) =>
    observation.kind === "notice" ? [observation.message] : []
  );
}

serviceTest("the wider type is the narrowest that holds the values", async (rig) => {
  const sink = await rig.sink();
  await rig.writeEpoch(
    sink,
    "SELECT 1::BIGINT AS a, 9007199254740993::BIGINT AS b, 0.125::DOUBLE AS c, DATE '2024-01-02' AS d, " +
      "9::BIGINT AS e, 12345678.25::DECIMAL(10,2) AS f, 'infinity'::DOUBLE AS g, " +
      "TIMESTAMP '2024-01-02 03:04:05' AS h, 5::BIGINT AS i",
  );
  const rejected = await rig.writeEpoch(
    sink,
    "SELECT 1.5::DOUBLE AS a, 1.5::DOUBLE AS b, 1234567890123456.25::DECIMAL(38,2) AS c, " +
      "TIMESTAMP '2024-01-02 03:04:05.5' AS d, 1e300::DOUBLE AS e, 0.125::DOUBLE AS f, " +
      "12345678901234567.25::DECIMAL(38,2) AS g, 'soon' AS h, '05' AS i",
  );
  assert.deepEqual(await rig.reasons(rejected), []);
  assert.deepEqual(await types(rig), {
    a: "double precision",
    b: "numeric(38,1)",
    c: "numeric(38,10)",
    d: "timestamp without time zone",
    e: "double precision",
    f: "numeric(38,3)",
    g: "text",
    h: "text",
    i: "text",
  });
  assert.deepEqual(await rig.select("SELECT * FROM events ORDER BY a"), [
    {
      a: "1",
      b: "9007199254740993.0",
      c: "0.1250000000",
      d: "2024-01-02 00:00:00",
      e: "9",
      f: "12345678.250",
      g: "Infinity",
      h: "2024-01-02T03:04:05",
      i: "5",
    },
    {
      a: "1.5",
      b: "1.5",
      c: "1234567890123456.2500000000",
      d: "2024-01-02 03:04:05.5",
      e: "1e+300",
      f: "0.125",
      g: "12345678901234567.25",
      h: "soon",
      i: "05",
    },
  ]);
  assert.match(
    notices(rig).at(-1) ?? "",
    /widened columns of the table .*events: "a" \(bigint\) now holds DOUBLE/,
  );
});

serviceTest("a type that a view depends on stays, and the rows are refused", async (rig) => {
  const sink = await rig.sink();
  await rig.writeEpoch(sink, "SELECT 1::BIGINT AS id, 1::BIGINT AS n");
  await rig.execute("CREATE VIEW totals AS SELECT sum(n) AS n FROM events");
  for (const _batch of [1, 2]) {
    const rejected = await rig.writeEpoch(
      sink,
      "SELECT * FROM (VALUES (2, 'x'), (3, '3')) v(id, n)",
    );
    assert.deepEqual(await rig.reasons(rejected), ['0: column "n": x does not fit bigint']);
  }
  assert.equal((await types(rig))["n"], "bigint");
  const told = notices(rig).filter((message) => message.startsWith("cannot widen"));
  assert.equal(told.length, 1, "it is asked and told once");
  assert.match(told[0] ?? "", /used by a view/);
  assert.equal((await rig.select("SELECT n FROM events")).length, 3);
});

serviceTest("who takes the comment away keeps the type", async (rig) => {
  const sink = await rig.sink();
  await rig.writeEpoch(sink, "SELECT 1::BIGINT AS n");
  await rig.execute("COMMENT ON COLUMN events.n IS 'mine'");
  await sink.abort();
  const rejected = await rig.writeEpoch(sink, "SELECT 'x' AS n");
  assert.deepEqual(await rig.reasons(rejected), ['0: column "n": x does not fit bigint']);
});
