import assert from "node:assert/strict";
import { Secret } from "../../core/secret.ts";
import { serviceTest, TEST_URL } from "./test_rig.ts";

const NUL = "chr(0)";

serviceTest("bad rows come back with their reasons, the others are in", async (rig) => {
  await rig.execute(
    `CREATE TABLE countries (code text PRIMARY KEY);
     INSERT INTO countries VALUES ('de'), ('fr');
     CREATE TABLE events (id int PRIMARY KEY, name varchar(5), qty int CHECK (qty > 0),
       country text NOT NULL REFERENCES countries DEFERRABLE INITIALLY DEFERRED, info jsonb)`,
  );
  const sink = await rig.sink();
  const query = `SELECT * FROM (VALUES
    (1, 'good', 1, 'de', '{}'),
    (2, 'n' || ${NUL}, 1, 'de', '{}'),
    (3, 'too long', 1, 'de', '{}'),
    (4, 'ok', 0, 'de', '{}'),
    (5, 'ok', 1, 'xx', '{}'),
    (6, 'ok', 1, NULL, '{}'),
    (1, 'again', 1, 'fr', '{}'),
    (8, 'ok', 1, 'fr', '{'),
    (9, 'ok', 1, 'fr', '"\\u0000"'),
    (10, 'ok', 1, 'fr', '{"a": "\\\\u0000"}'),
    (11, 'spc  ', 1, 'fr', NULL)) AS t(id, name, qty, country, info)`;
  const expected = [
    '1: column "name" has a NUL character, which Postgres does not take',
    '2: column "name" has 8 characters, too many for character varying(5)',
    '3: new row for relation "events" violates check constraint "events_qty_check": ' +
    "Failing row contains (4, ok, 0, de, {}). [SQLSTATE 23514]",
    '4: insert or update on table "events" violates foreign key constraint "events_country_fkey": ' +
    'Key (country)=(xx) is not present in table "countries". [SQLSTATE 23503]',
    '5: column "country" is NULL, and the table says NOT NULL',
    '6: duplicate key value violates unique constraint "events_pkey": Key (id)=(1) already exists. [SQLSTATE 23505]',
    '7: column "info": { is not JSON',
    '8: column "info" has a NUL character, which jsonb does not take',
  ];
  assert.deepEqual(await rig.reasons(await rig.writeEpoch(sink, query)), expected);
  const rows = await rig.select(`SELECT id, name, info FROM ${rig.schema}.events ORDER BY id`);
  assert.deepEqual(rows.map((row) => `${row["id"]} ${row["name"]} ${row["info"]}`), [
    "1 good {}",
    '10 ok {"a": "\\\\u0000"}',
    "11 spc   null",
  ]);
  // The next batch is looked through beforehand.
  await rig.execute("DELETE FROM events");
  assert.deepEqual(await rig.reasons(await rig.writeEpoch(sink, query)), expected);
});

serviceTest("values that would arrive changed are bad rows", async (rig) => {
  await rig.execute(
    "CREATE TABLE events (n int, small bigint, price numeric(6,2), at timestamptz, d double precision, day date)",
  );
  const sink = await rig.sink();
  const rejected = await rig.writeEpoch(
    sink,
    `SELECT * FROM (VALUES
      (1, '7', 1.5::DOUBLE, '2024-01-01T12:00:00+02:00', 9007199254740992, TIMESTAMP '2024-01-01 00:00:00'),
      (3000000000, '8', 2.25, '2024-01-01T12:00:00Z', 1, NULL),
      (3, 'abc', 2.25, '2024-01-01T12:00:00Z', 1, NULL),
      (4, '1.5', 2.25, '2024-01-01T12:00:00Z', 1, NULL),
      (5, '5', 2.255, '2024-01-01T12:00:00Z', 1, NULL),
      (6, '6', 12345.5, '2024-01-01T12:00:00Z', 1, NULL),
      (7, '7', 2.25, 'yesterday', 1, NULL),
      (8, '8', 2.25, NULL, 9007199254740993, NULL),
      (9, '9', NULL, '2024-01-01', 1, TIMESTAMP '2024-01-01 12:00:00')) AS t(n, small, price, "at", d, day)`,
  );
  assert.deepEqual(await rig.reasons(rejected), [
    '1: column "n": 3000000000 does not fit integer',
    '2: column "small": abc does not fit bigint',
    '3: column "small": 1.5 does not fit bigint',
    '4: column "price": 2.255 does not fit numeric(6,2)',
    '5: column "price": 12345.5 does not fit numeric(6,2)',
    '6: column "at": yesterday does not fit timestamp with time zone',
    '7: column "d": 9007199254740993 does not fit double precision',
    '8: column "day": 2024-01-01 12:00:00 does not fit date',
  ]);
  const [row] = await rig.select(
    `SELECT *, at AT TIME ZONE 'UTC' AS utc FROM ${rig.schema}.events`,
  );
  assert.equal(row?.["utc"], "2024-01-01 10:00:00");
  assert.equal(row?.["d"], "9.007199254740992e+15");
  assert.equal(row?.["price"], "1.50");
});

serviceTest("rows with a value for a column that no table can have are bad rows", async (rig) => {
  const sink = await rig.sink();
  const long = "k".repeat(64);
  const systemName = 'column "ctid" is the name of a system column of Postgres';
  // The table is made of the others.
  const first = await rig.writeEpoch(
    sink,
    `SELECT * FROM (VALUES (1, NULL, NULL), (2, 'x', NULL), (3, NULL, 'y')) AS t(id, ctid, ${long})`,
  );
  const longName = `column "${long}" has a name of more than 63 bytes, which Postgres would cut`;
  assert.deepEqual(await rig.reasons(first), [`1: ${systemName}`, `2: ${longName}`]);
  // One in mid-stream, with a new column that can be had.
  const second = await rig.writeEpoch(
    sink,
    "SELECT * FROM (VALUES (4, 'n', NULL), (5, NULL, 'x')) AS t(id, note, ctid)",
  );
  assert.deepEqual(await rig.reasons(second), [`1: ${systemName}`]);
  const third = await rig.writeEpoch(sink, "SELECT * FROM (VALUES ('x'), (NULL)) AS t(ctid)");
  assert.deepEqual(await rig.reasons(third), [
    `0: ${systemName}`,
    "1: the row has no column for the table",
  ]);
  const rows = await rig.select(`SELECT * FROM ${rig.schema}.events ORDER BY id`);
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { id: "1", note: null },
    { id: "4", note: "n" },
  ]);
});

serviceTest("a table is made although the first rows have no column for it", async (rig) => {
  const sink = await rig.sink();
  const first = await rig.writeEpoch(sink, "SELECT 1 AS xmin");
  assert.equal(first?.count, 1);
  assert.equal(await rig.writeEpoch(sink, "SELECT 1 AS id"), undefined);
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 1);
});

serviceTest("rows without a number come back as JSON", async (rig) => {
  await rig.execute("CREATE TABLE events (id int PRIMARY KEY, qty int CHECK (qty > 0))");
  const sink = await rig.sink();
  await sink.begin(1);
  const rejected = await sink.write(
    await rig.batch(
      "SELECT * FROM (VALUES (1, '1'), (2, 'x'), (3, '-1'), (1, '2')) AS t(id, qty)",
      false,
    ),
    rig.session,
    new AbortController().signal,
  );
  await sink.commit([]);
  assert.equal(rejected?.by, "row_json");
  assert.equal(rejected?.count, 3);
  assert.deepEqual((await rig.reasons(rejected)).map((text) => text.slice(0, 40)), [
    '{"id":1,"qty":"2"}: duplicate key value ',
    '{"id":2,"qty":"x"}: column "qty": x does',
    '{"id":3,"qty":"-1"}: new row for relatio',
  ]);
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 1);
});

serviceTest("bad rows among many are found by splitting", async (rig) => {
  await rig.execute("CREATE TABLE events (id int PRIMARY KEY, qty int CHECK (qty <> 13))");
  const sink = await rig.sink();
  const rejected = await rig.writeEpoch(
    sink,
    "SELECT (CASE WHEN i = 15000 THEN 3 ELSE i END)::INTEGER AS id, (i % 1000)::INTEGER AS qty FROM range(20000) t(i)",
  );
  assert.equal(rejected?.count, 21);
  assert.ok((await rig.reasons(rejected)).some((reason) => reason.startsWith("15000: duplicate")));
  const [row] = await rig.select(
    `SELECT count(*) AS n, sum(id::bigint) AS ids FROM ${rig.schema}.events`,
  );
  const bad = Array.from({ length: 20 }, (_, k) => k * 1000 + 13);
  const sum = 19999 * 20000 / 2 - 15000 - bad.reduce((a, b) => a + b, 0);
  assert.deepEqual({ ...row }, { n: String(20000 - 21), ids: String(sum) });
});

serviceTest("an error of a trigger is a bad row, another kind of error is not", async (rig) => {
  await rig.execute(
    `CREATE TABLE events (id int);
     CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF NEW.id = 2 THEN RAISE EXCEPTION 'no twos'; END IF;
       IF NEW.id = 7 THEN PERFORM * FROM no_such_table; END IF; RETURN NEW; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()`,
  );
  const sink = await rig.sink();
  const rejected = await rig.writeEpoch(sink, "SELECT i::INTEGER AS id FROM range(5) t(i)");
  assert.deepEqual(await rig.reasons(rejected), ["2: no twos [SQLSTATE P0001]"]);
  await sink.begin(2);
  const batch = await rig.batch("SELECT unnest([1, 2, 7])::INTEGER AS id");
  await assert.rejects(sink.write(batch, rig.session, new AbortController().signal), {
    code: "postgres_statement_invalid",
    message: /no_such_table/,
  });
  await sink.abort();
  assert.equal((await rig.select(`SELECT * FROM ${rig.schema}.events`)).length, 4);
});

serviceTest(
  "a server of another encoding refuses just the rows that it cannot spell",
  async (rig) => {
    const [role] = await rig.select(
      "SELECT rolcreatedb OR rolsuper AS may FROM pg_roles WHERE rolname = current_user",
    );
    if (role?.["may"] !== "t") return;
    const database = `${rig.schema}_latin`;
    await rig.client.query(
      `CREATE DATABASE ${database} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    try {
      const url = new URL(TEST_URL ?? "");
      url.pathname = `/${database}`;
      const sink = await rig.sink({
        options: { url: new Secret(url.href) },
        table: { name: "events" },
      });
      const rejected = await rig.writeEpoch(
        sink,
        "SELECT * FROM (VALUES (1, 'é'), (2, '中'), (3, 'x')) AS t(id, name)",
      );
      const [reason] = await rig.reasons(rejected);
      assert.equal(rejected?.count, 1);
      assert.match(
        reason ?? "",
        /^1: column "name": character with byte sequence .* has no equivalent .*22P05\]$/,
      );
      await sink.close();
    } finally {
      await rig.client.query(`DROP DATABASE ${database}`);
    }
  },
);
